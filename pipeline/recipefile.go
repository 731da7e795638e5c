package pipeline

import (
	"bytes"
	"embed"
	"encoding/json"

	"gopkg.in/yaml.v3"

	"tandem"
)

// recipes are the presets with every value explained; go run ./scripts/recipes writes them.
//
//go:embed recipes/*.yaml
var recipes embed.FS

// RecipeFile is a preset as a YAML file to change, with every value explained.
func RecipeFile(preset string) ([]byte, error) {
	text, err := recipes.ReadFile("recipes/" + preset + ".yaml")
	if err != nil {
		_, err = RecipePreset(preset) // says which there are
	}
	return text, err
}

// Read overrides the recipe by what a file says, in YAML or JSON. A name that a recipe has not is an error.
func (r *Recipe) Read(text []byte) error {
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		return tandem.Errorf(tandem.Invalid, "pipeline.Recipe", "the recipe is no YAML: %w", err)
	}
	plain, err := json.Marshal(values)
	if err != nil {
		return tandem.Errorf(tandem.Invalid, "pipeline.Recipe", "%w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(plain))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(r); err != nil {
		return tandem.Errorf(tandem.Invalid, "pipeline.Recipe", "%w", err)
	}
	return nil
}

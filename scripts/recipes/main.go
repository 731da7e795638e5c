// Command recipes writes the recipes of pipeline.RecipePreset as files with every value explained, for the binary to print
// (tandem config recipe) and for people to change. What explains a value is the documentation of its field.
//
//	go run ./scripts/recipes
package main

import (
	"log"
	"os"
	"path/filepath"

	"tandem/pipeline"
)

func main() {
	for _, name := range pipeline.RecipePresets() {
		recipe, err := pipeline.RecipePreset(name)
		if err == nil {
			var text string
			if text, err = explain(".", recipe, head(name)); err == nil {
				err = os.WriteFile(filepath.Join("pipeline", "recipes", name+".yaml"), []byte(text), 0o644)
			}
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}

func head(preset string) string {
	return "# The recipe " + preset + " of a round: tandem round --recipe FILE. What is left out is --preset's.\n"
}

// explain is a configuration as YAML, with the documentation of each field, read from the sources below root, above it.
func explain(root string, config any, head string) (string, error) {
	e := explainer{root: root, docs: make(map[string]map[string]string)}
	e.text.WriteString(head)
	err := e.object(config, "")
	return e.text.String(), err
}

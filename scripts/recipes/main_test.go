package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/pipeline"
)

// What the binary prints is what the sources say.
func TestRecipesAreCurrent(t *testing.T) {
	root := filepath.Join("..", "..")
	for _, name := range pipeline.RecipePresets() {
		recipe, err := pipeline.RecipePreset(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := explain(root, recipe, head(name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(root, "pipeline", "recipes", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("pipeline/recipes/%s.yaml is not what its types say: go run ./scripts/recipes", name)
		}
	}
}

func TestExplainWantsDocumentation(t *testing.T) {
	type nobody struct{ Knows int }
	if _, err := explain(filepath.Join("..", ".."), nobody{}, ""); err == nil || !strings.Contains(err.Error(), "nobody.Knows is not documented") {
		t.Errorf("a field without a comment: %v", err)
	}
}

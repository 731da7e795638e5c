package pipeline

import (
	"reflect"
	"strings"
	"testing"

	"tandem"
)

// Over another preset every value of a file counts.
func TestRecipeFilesAreThePresets(t *testing.T) {
	for _, name := range RecipePresets() {
		want, err := RecipePreset(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := want.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		text, err := RecipeFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range RecipePresets() {
			got, err := RecipePreset(other)
			if err != nil {
				t.Fatal(err)
			}
			if err := got.Read(text); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("the file of %s over %s makes\n%+v\nnot\n%+v", name, other, got, want)
			}
		}
	}
	if _, err := RecipeFile("llama3"); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("a preset that there is not: %v", err)
	}
}

func TestRecipeReadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"ppo: {betta: 1}": "betta", "ppo: [": "no YAML", "shard_prompts: many": "shard_prompts", "- 1": "no YAML",
	} {
		r := Recipe{ShardPrompts: 5}
		if err := r.Read([]byte(text)); tandem.CodeOf(err) != tandem.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	r := Recipe{ShardPrompts: 5}
	if err := r.Read(nil); err != nil || r.ShardPrompts != 5 {
		t.Errorf("an empty file: %v, %+v", err, r)
	}
}

package pipeline

import (
	"context"
	"path/filepath"

	"tandem/llama"
	"tandem/llama/checkpoint"
)

// adapterName is the folder beside a model with the adapters by which it was trained, in PEFT's layout. The model itself
// is an ordinary one: they are merged into its matrices.
const adapterName = "adapter"

// derived is a model of weights that were trained from another model's, with what goes with it.
func derived(from *checkpoint.Model, weights *llama.Weights) *checkpoint.Model {
	return &checkpoint.Model{Weights: weights, Files: from.Files, Fields: from.Fields, Path: from.Path}
}

// saveAdapter keeps a finished model's adapters, if it has any, as what they add to the model that it was made from.
func saveAdapter(ctx context.Context, out string, made *checkpoint.Model) error {
	if made.Weights.LoRA().Rank == 0 {
		return nil
	}
	return checkpoint.SaveAdapter(ctx, filepath.Join(out, adapterName), made.Weights, made.Path)
}

// adapterFiles are what saveAdapter writes.
func adapterFiles(out string, l llama.LoRA) []string {
	if l.Rank == 0 {
		return nil
	}
	return []string{filepath.Join(out, adapterName, checkpoint.AdapterConfigName), filepath.Join(out, adapterName, checkpoint.AdapterName)}
}

// countAdapted adds what adapters of a model train to the counts of a plan; a head is trained beside them.
func countAdapted(counts map[string]int, name string, l llama.LoRA, c llama.Config, head int) {
	if l.Rank > 0 {
		counts[name] = l.Parameters(c) + head
	}
}

package llama

import (
	"context"

	"tandem"
)

// AttentionWeights are what a model pays attention to over one sequence of n tokens: softmax(q·Kᵀ / √e) of every layer
// and head, before values are mixed by them.
type AttentionWeights struct {
	Layers, Heads, Tokens int
	weights               []float32 // [layers, heads, n, n], lower triangles
}

// Of returns one head's weights of the query at a position over the keys up to it, which add up to 1.
func (a AttentionWeights) Of(layer, head, query int) []float32 {
	row := ((layer*a.Heads+head)*a.Tokens + query) * a.Tokens
	return a.weights[row : row+query+1]
}

// Attention passes one sequence through the model and returns its attention weights, for pictures: layers·heads·n² of
// them are kept.
func (f *Forward) Attention(ctx context.Context, tokens []int32) (AttentionWeights, error) {
	if len(tokens) > f.limit {
		return AttentionWeights{}, tandem.Errorf(tandem.Invalid, "llama.Attention", "%d tokens, of which %d pass at once", len(tokens), f.limit)
	}
	c := f.weights.Config
	a := AttentionWeights{Layers: c.NumHiddenLayers, Heads: c.NumAttentionHeads, Tokens: len(tokens)}
	a.weights = make([]float32, a.Layers*a.Heads*a.Tokens*a.Tokens)
	watch := func(layer, head, query int, weights []float32, total float32) {
		to := a.Of(layer, head, query)
		for i, w := range weights {
			to[i] = w / total
		}
	}
	err := f.eachWatched(ctx, [][]int32{tokens}, every, watch, func([]float32, []pick) error { return nil })
	return a, err
}

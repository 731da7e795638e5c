package llama

import (
	"context"
	"math"

	"tandem"
)

// Classifier gives a sequence its raw scalar: the head's product with the last token's normalised hidden
// state, score·rmsnorm(x). It is transformers' LlamaForSequenceClassification with num_labels 1, its pooling
// included (see Config.Pooled); the paper leaves open which token is read (section 3.2.2).
//
// A score depends on its sequence alone, to the bit. Any number of goroutines may use a Classifier; their
// calls take turns.
type Classifier struct{ forward *Forward }

// NewClassifier returns a classifier on w in place, which must have a scalar head.
func NewClassifier(w *Weights, config ForwardConfig) (*Classifier, error) {
	if !w.IsClassifier() {
		return nil, tandem.Errorf(tandem.Invalid, "llama.NewClassifier", "the model has no scalar head: it is a policy")
	}
	forward, err := NewForward(w, config)
	if err != nil {
		return nil, err
	}
	return &Classifier{forward}, nil
}

// Scores returns the raw scalar r of each sequence. Sequences end in EOS, which is what the head is
// trained to read.
func (c *Classifier) Scores(ctx context.Context, sequences [][]int32) ([]float32, error) {
	const op = "llama.Classifier"
	pooled := make([][]int32, len(sequences))
	for i, tokens := range sequences {
		if len(tokens) == 0 {
			return nil, tandem.Errorf(tandem.Invalid, op, "sequence %d has no tokens", i)
		}
		pooled[i] = c.forward.weights.Config.Pooled(tokens)
	}
	head := c.forward.weights.Score
	d := len(head)
	scores := make([]float32, len(sequences))
	err := c.forward.each(ctx, pooled, lastOnly, func(hidden []float32, picks []pick) error {
		for i, p := range picks {
			score := dot(head, hidden[i*d:(i+1)*d])
			if math.IsNaN(float64(score)) || math.IsInf(float64(score), 0) {
				return notFinite(op, "its score is", p)
			}
			scores[p.sequence] = score
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return scores, nil
}

// dot is the sum of products in order of the index, in float64.
func dot(a, b []float32) float32 {
	sum := 0.0
	for i, v := range a {
		sum += float64(v) * float64(b[i])
	}
	return float32(sum)
}

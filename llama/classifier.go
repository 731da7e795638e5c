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

// Summaries returns what the trunk makes of each sequence, whole: the mean of its tokens' normalised hidden
// states and the last token's, one after the other, [2·hidden_size]. Like a score, a summary depends on its
// sequence alone, to the bit.
func (c *Classifier) Summaries(ctx context.Context, sequences [][]int32) ([][]float32, error) {
	const op = "llama.Classifier"
	d := c.forward.weights.Config.HiddenSize
	summaries := make([][]float32, len(sequences))
	sums := make([][]float64, len(sequences))
	for i, tokens := range sequences {
		if len(tokens) == 0 {
			return nil, tandem.Errorf(tandem.Invalid, op, "sequence %d has no tokens", i)
		}
		summaries[i], sums[i] = make([]float32, 2*d), make([]float64, d)
	}
	// The rows of a sequence come in the order of their positions.
	err := c.forward.each(ctx, sequences, every, func(hidden []float32, picks []pick) error {
		for i, p := range picks {
			state := hidden[i*d : (i+1)*d]
			for j, v := range state {
				if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
					return notFinite(op, "its hidden state is", p)
				}
				sums[p.sequence][j] += float64(v)
			}
			copy(summaries[p.sequence][d:], state) // the last one stays
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, sum := range sums {
		for j, v := range sum {
			summaries[i][j] = float32(v / float64(len(sequences[i])))
		}
	}
	return summaries, nil
}

// dot is the sum of products in order of the index, in float64.
func dot(a, b []float32) float32 {
	sum := 0.0
	for i, v := range a {
		sum += float64(v) * float64(b[i])
	}
	return float32(sum)
}

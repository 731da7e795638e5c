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
	scores, _, err := c.ScoresAndSummaries(ctx, sequences, make([]int, len(sequences)))
	return scores, err
}

// Summaries returns what the trunk makes of each sequence, whole: the mean of its tokens' normalised hidden
// states and the last token's, one after the other, [2·hidden_size]. Like a score, a summary depends on its
// sequence alone, to the bit.
func (c *Classifier) Summaries(ctx context.Context, sequences [][]int32) ([][]float32, error) {
	lengths := make([]int, len(sequences))
	for i, tokens := range sequences {
		lengths[i] = len(tokens)
	}
	summaries := newSummaries(c.forward.weights.Config.HiddenSize, lengths)
	if err := nonEmpty(sequences); err != nil {
		return nil, err
	}
	err := c.forward.each(ctx, sequences, every, summaries.see)
	return summaries.of, err
}

// ScoresAndSummaries is Scores and, of the same pass, the summary of the first lengths[i] tokens of each sequence; nil
// where that is 0. The trunk is causal, so these tokens' states are those of the tokens alone, to the bit.
func (c *Classifier) ScoresAndSummaries(ctx context.Context, sequences [][]int32, lengths []int) ([]float32, [][]float32, error) {
	if err := nonEmpty(sequences); err != nil {
		return nil, nil, err
	}
	passed, last := make([][]int32, len(sequences)), make([]int, len(sequences))
	for i, tokens := range sequences {
		if n := len(tokens); lengths[i] < 0 || lengths[i] > n {
			return nil, nil, tandem.Errorf(tandem.Invalid, classifierOp, "a summary of %d tokens of sequence %d, which has %d", lengths[i], i, n)
		}
		pooled := len(c.forward.weights.Config.Pooled(tokens))
		passed[i], last[i] = tokens[:max(pooled, lengths[i])], pooled-1
	}
	d, head := c.forward.weights.Config.HiddenSize, c.forward.weights.Score
	scores, summaries := make([]float32, len(sequences)), newSummaries(d, lengths)
	asked := func(p pick, _ int) bool { return p.position == last[p.sequence] || p.position < lengths[p.sequence] }
	err := c.forward.each(ctx, passed, asked, func(hidden []float32, picks []pick) error {
		for i, p := range picks {
			if p.position != last[p.sequence] {
				continue
			}
			score := dot(head, hidden[i*d:(i+1)*d])
			if !finite(score) {
				return notFinite(classifierOp, "its score is", p)
			}
			scores[p.sequence] = score
		}
		return summaries.see(hidden, picks)
	})
	if err != nil {
		return nil, nil, err
	}
	return scores, summaries.of, nil
}

// summaries gathers what a trunk makes of the first tokens of sequences.
type summaries struct {
	d       int
	lengths []int
	sums    [][]float64
	of      [][]float32
}

func newSummaries(d int, lengths []int) *summaries {
	s := &summaries{d, lengths, make([][]float64, len(lengths)), make([][]float32, len(lengths))}
	for i, n := range lengths {
		if n > 0 {
			s.sums[i], s.of[i] = make([]float64, d), make([]float32, 2*d)
		}
	}
	return s
}

// see takes hidden states of positions, [len(picks), d]; those of a sequence come in order.
func (s *summaries) see(hidden []float32, picks []pick) error {
	for i, p := range picks {
		n := s.lengths[p.sequence]
		if p.position >= n {
			continue
		}
		state, sum := hidden[i*s.d:(i+1)*s.d], s.sums[p.sequence]
		for j, v := range state {
			if !finite(v) {
				return notFinite(classifierOp, "its hidden state is", p)
			}
			sum[j] += float64(v)
		}
		if p.position == n-1 {
			of := s.of[p.sequence]
			for j, v := range sum {
				of[j] = float32(v / float64(n))
			}
			copy(of[s.d:], state)
		}
	}
	return nil
}

const classifierOp = "llama.Classifier"

func nonEmpty(sequences [][]int32) error {
	for i, tokens := range sequences {
		if len(tokens) == 0 {
			return tandem.Errorf(tandem.Invalid, classifierOp, "sequence %d has no tokens", i)
		}
	}
	return nil
}

func finite(x float32) bool { return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0) }

// dot is the sum of products in order of the index, in float64.
func dot(a, b []float32) float32 {
	sum := 0.0
	for i, v := range a {
		sum += float64(v) * float64(b[i])
	}
	return float32(sum)
}

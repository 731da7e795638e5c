package train

import (
	"tandem"
	"tandem/llama"
	"tandem/llama/nn"
)

// Task is what a model is fitted to: numbered examples, and the loss that they are measured by.
type Task interface {
	// Examples is how many there are.
	Examples() int
	// Shape is what one example takes of a graph: its tokens and its sequences (a pair has two).
	Shape(example int) llama.Shape
	// Build compiles the loss over an empty graph.
	Build(g *llama.Graph) (*llama.Program, error)
	// Batch makes the data of one run out of some of a step's examples. A loss is divided by counts over
	// all of step, so that the losses and gradients of its micro-batches add up to the step's.
	Batch(examples, step []int) (llama.Batch, error)
}

// Measurer is a Task that measures more than its loss, from the outputs of its program.
type Measurer interface {
	Task
	// Measure looks at the result of one micro-batch.
	Measure(examples []int, r llama.Result)
	// Metrics returns what was measured since the last call.
	Metrics() map[string]float64
}

// Sequence is one example of a language model.
type Sequence struct {
	Tokens []int32
	// Weights says how much the prediction of each token counts, 0 for not at all: prompt tokens in
	// supervised fine-tuning (section 3.1). The first token is never predicted. Nil counts all others.
	Weights []float32
}

// LanguageModel is next-token prediction: the loss is the mean over a step's weighted tokens of
// −weight · ln P(token | tokens before it).
type LanguageModel struct{ Sequences []Sequence }

// NewLanguageModel checks the sequences: two tokens at least, a weight for each if any, and one that counts.
func NewLanguageModel(sequences []Sequence) (*LanguageModel, error) {
	const op = "train.LanguageModel"
	if len(sequences) == 0 {
		return nil, tandem.Errorf(tandem.Invalid, op, "there are no sequences to train on")
	}
	for i, s := range sequences {
		if len(s.Tokens) < 2 {
			return nil, tandem.Errorf(tandem.Invalid, op, "sequence %d has %d tokens, nothing to predict", i, len(s.Tokens))
		}
		if s.Weights != nil && len(s.Weights) != len(s.Tokens) {
			return nil, tandem.Errorf(tandem.Invalid, op, "sequence %d has %d weights for %d tokens", i, len(s.Weights), len(s.Tokens))
		}
		if s.count() == 0 {
			return nil, tandem.Errorf(tandem.Invalid, op, "no token of sequence %d counts", i)
		}
	}
	return &LanguageModel{Sequences: sequences}, nil
}

// weight of the prediction of token i.
func (s Sequence) weight(i int) float32 {
	if i == 0 {
		return 0
	}
	if s.Weights == nil {
		return 1
	}
	return s.Weights[i]
}

// count is how many tokens count.
func (s Sequence) count() int {
	n := 0
	for i := range s.Tokens {
		if s.weight(i) != 0 {
			n++
		}
	}
	return n
}

// Examples is the number of sequences.
func (m *LanguageModel) Examples() int { return len(m.Sequences) }

// Shape is one sequence of its length.
func (m *LanguageModel) Shape(i int) llama.Shape {
	return llama.Shape{Tokens: len(m.Sequences[i].Tokens), Sequences: 1}
}

// Build compiles the cross-entropy.
func (m *LanguageModel) Build(g *llama.Graph) (p *llama.Program, err error) {
	err = nn.Guard(func() error {
		loss := nn.CrossEntropy(g.LogProbs(1), g.Input("weights", nn.PerToken), g.Input("count", nn.Scalar))
		p, err = g.Compile(loss)
		return err
	})
	return p, err
}

// Batch packs the sequences; row i predicts token i + 1.
func (m *LanguageModel) Batch(examples, step []int) (llama.Batch, error) {
	var sequences [][]int32
	var weights []float32
	for _, e := range examples {
		s := m.Sequences[e]
		sequences = append(sequences, s.Tokens)
		for i := 1; i < len(s.Tokens); i++ {
			weights = append(weights, s.weight(i))
		}
		weights = append(weights, 0) // the last row predicts nothing
	}
	count := 0
	for _, e := range step {
		count += m.Sequences[e].count()
	}
	b := llama.NewBatch(sequences...)
	for i, w := range weights {
		if w == 0 {
			b.Targets[i] = -1
		}
	}
	b.Inputs = map[string][]float32{"weights": weights, "count": {float32(count)}}
	return b, nil
}

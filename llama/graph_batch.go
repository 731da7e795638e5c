package llama

import (
	"math"

	"tandem"
	"tandem/llama/nn"
)

// Batch is the data of one run of a program: ragged sequences one after another, with no padding.
type Batch struct {
	Tokens  []int32              // [n]
	Targets []int32              // [n], the token that each row predicts, −1 for none; nil for programs without log-probabilities
	Offsets []int32              // [sequences + 1]: where each sequence starts, the last is n
	Inputs  map[string][]float32 // what Graph.Input declared, for the rows that the batch fills
}

// NewBatch packs sequences; every token but a sequence's last has the next one as its target.
func NewBatch(sequences ...[]int32) Batch {
	b := Batch{Offsets: []int32{0}, Inputs: make(map[string][]float32)}
	for _, s := range sequences {
		b.Tokens = append(b.Tokens, s...)
		for i := range s {
			target := int32(-1)
			if i+1 < len(s) {
				target = s[i+1]
			}
			b.Targets = append(b.Targets, target)
		}
		b.Offsets = append(b.Offsets, int32(len(b.Tokens)))
	}
	return b
}

// Sequences counts the batch's sequences.
func (b Batch) Sequences() int { return max(len(b.Offsets)-1, 0) }

// Shape is the smallest shape that b fits.
func (b Batch) Shape() Shape { return Shape{Tokens: len(b.Tokens), Sequences: b.Sequences()} }

// load checks b against the graph and makes it the graph's next batch.
func (g *Graph) load(b Batch) error {
	const op = "llama.Program"
	c := g.weights.Config
	n, sequences := len(b.Tokens), b.Sequences()
	switch {
	case n == 0 || sequences == 0:
		return tandem.Errorf(tandem.Invalid, op, "the batch is empty")
	case n > g.shape.Tokens || sequences > g.shape.Sequences:
		return tandem.Errorf(tandem.Invalid, op, "%d tokens in %d sequences do not fit a graph of %d and %d",
			n, sequences, g.shape.Tokens, g.shape.Sequences)
	case b.Offsets[0] != 0 || int(b.Offsets[sequences]) != n:
		return tandem.Errorf(tandem.Invalid, op, "the offsets span %d to %d, the tokens 0 to %d", b.Offsets[0], b.Offsets[sequences], n)
	case len(b.Targets) != n && (b.Targets != nil || g.targets):
		return tandem.Errorf(tandem.Invalid, op, "%d targets for %d tokens", len(b.Targets), n)
	}
	for s := range sequences {
		switch length := int(b.Offsets[s+1]) - int(b.Offsets[s]); {
		case length < 1:
			return tandem.Errorf(tandem.Invalid, op, "sequence %d has %d tokens", s, length)
		case length > c.MaxPositionEmbeddings:
			return tandem.Errorf(tandem.Invalid, op, "sequence %d has %d tokens, the context is %d", s, length, c.MaxPositionEmbeddings)
		}
	}
	for i, t := range b.Tokens {
		if t < 0 || int(t) >= c.VocabSize {
			return tandem.Errorf(tandem.Invalid, op, "token %d of the batch is %d, the vocabulary has %d", i, t, c.VocabSize)
		}
	}
	for i, t := range b.Targets {
		if t < -1 || int(t) >= c.VocabSize {
			return tandem.Errorf(tandem.Invalid, op, "target %d of the batch is %d, the vocabulary has %d", i, t, c.VocabSize)
		}
	}
	g.scope.Batch = nn.Batch{Tokens: b.Tokens, Targets: b.Targets, Offsets: b.Offsets}
	return g.loadInputs(b)
}

func (g *Graph) loadInputs(b Batch) error {
	const op = "llama.Program"
	if len(b.Inputs) > len(g.inputs) {
		for name := range b.Inputs {
			if !g.declares(name) {
				return tandem.Errorf(tandem.Invalid, op, "the graph has no input %q", name)
			}
		}
	}
	for _, in := range g.inputs {
		data, ok := b.Inputs[in.name]
		if !ok {
			return tandem.Errorf(tandem.Invalid, op, "the batch lacks the input %q", in.name)
		}
		if in.rows == nn.PerPair && b.Sequences()%2 != 0 {
			return tandem.Errorf(tandem.Invalid, op, "input %q is one for each pair of %d sequences, an odd number", in.name, b.Sequences())
		}
		if want := g.scope.Filled(in.rows); len(data) != want {
			return tandem.Errorf(tandem.Invalid, op, "input %q has %d numbers, one for each %v makes %d", in.name, len(data), in.rows, want)
		}
		for i, v := range data {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return tandem.Errorf(tandem.Invalid, op, "input %q is %g at %d", in.name, v, i)
			}
		}
		clear(in.data)
		copy(in.data, data)
	}
	return nil
}

func (g *Graph) declares(name string) bool {
	for _, in := range g.inputs {
		if in.name == name {
			return true
		}
	}
	return false
}

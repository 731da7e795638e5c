package nn

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"tandem"
)

// Rows says what the rows of a node are, and so how many of them a batch fills.
type Rows int

const (
	Fixed       Rows = iota // all of them: parameters
	PerToken                // one for each token: [N, …]
	PerTarget               // one for each token that has a target: [N, …]
	PerSequence             // one for each sequence: [S, …]
	PerPair                 // one for each two sequences: [S/2, …]
	Scalar                  // a single number: [1]
)

func (r Rows) String() string {
	return [...]string{"fixed", "token", "target", "sequence", "pair", "scalar"}[r]
}

// Scope is where the ops of one graph find the device that computes them and the batch that they compute.
// A scope is used by one goroutine at a time.
type Scope struct {
	Graph     *gorgonia.ExprGraph
	Device    Device
	Tokens    int   // N, the capacity in tokens
	Sequences int   // S, the capacity in sequences
	Batch     Batch // what the next run computes

	rows map[*gorgonia.Node]Rows
	ops  int // made so far: an op's identity within its graph

	targetRows []int32 // the rows that have a target, set by TargetRows
	targets    []int32 // their targets
}

// NewScope returns a scope with an empty graph for batches of at most tokens tokens in at most sequences
// sequences.
func NewScope(dev Device, tokens, sequences int) *Scope {
	return &Scope{
		Graph:     gorgonia.NewGraph(),
		Device:    dev,
		Tokens:    tokens,
		Sequences: sequences,
		rows:      make(map[*gorgonia.Node]Rows),
	}
}

// Param makes an input node over data, which the node shares: shape [rows, columns] or [n].
func (s *Scope) Param(name string, shape []int, data []float32) *gorgonia.Node {
	return s.input(name, shape, data, Fixed)
}

// Input makes an input node of float32 that is filled for every run: shape [N], [S], [S/2] or [1]. The
// returned slice is its storage.
func (s *Scope) Input(name string, rows Rows) (*gorgonia.Node, []float32) {
	data := make([]float32, s.capacity(rows))
	return s.input(name, []int{len(data)}, data, rows), data
}

func (s *Scope) input(name string, shape []int, data []float32, rows Rows) *gorgonia.Node {
	value := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
	n := gorgonia.NewTensor(s.Graph, tensor.Float32, len(shape),
		gorgonia.WithName(name), gorgonia.WithShape(shape...), gorgonia.WithValue(value))
	s.rows[n] = rows
	return n
}

// Filled returns how many rows of a node of kind r the current batch fills.
func (s *Scope) Filled(r Rows) int {
	switch r {
	case PerToken:
		return len(s.Batch.Tokens)
	case PerTarget:
		return len(s.targets)
	case PerSequence:
		return s.Batch.Sequences()
	case PerPair:
		return s.Batch.Sequences() / 2
	}
	return 1
}

// RowsOf returns what the rows of n are.
func (s *Scope) RowsOf(n *gorgonia.Node) Rows { return s.rows[n] }

func (s *Scope) capacity(r Rows) int {
	switch r {
	case PerToken, PerTarget:
		return s.Tokens
	case PerSequence:
		return s.Sequences
	case PerPair:
		return s.Sequences / 2
	}
	return 1
}

// scopeOf finds the scope of the first node that an op made.
func scopeOf(nodes ...*gorgonia.Node) *Scope {
	for _, n := range nodes {
		if o, ok := n.Op().(*op); ok {
			return o.scope
		}
	}
	panic(tandem.Errorf(tandem.Internal, "nn", "none of %v was made by this package", nodes))
}

package nn

import (
	"math"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"tandem"
)

// Arena is the memory that the ops of many tapes share, since one tape runs at a time. It only grows, to
// what the largest tape needs.
type Arena struct{ slabs [][]float32 }

// Bytes is how much memory the arena holds.
func (a *Arena) Bytes() int {
	n := 0
	for _, s := range a.slabs {
		n += 4 * len(s)
	}
	return n
}

// Tape runs the ops that a scope's graph held when the tape was made.
type Tape struct {
	machine  gorgonia.VM
	bindings []binding
}

// binding is where an op's output lives while its tape runs.
type binding struct {
	op    *op
	data  []float32
	value *tensor.Dense
}

// NewTape compiles the graph as it is now. The values of keep outlive the run; every other buffer is
// handed on as soon as nothing reads it any more.
func NewTape(s *Scope, arena *Arena, keep ...*gorgonia.Node) (t *Tape, err error) {
	err = Guard(func() error {
		order, err := executionOrder(s.Graph)
		if err != nil {
			return err
		}
		if err := distinctHashes(order); err != nil {
			return err
		}
		t = &Tape{bindings: plan(order, arena, keep)}
		t.machine = gorgonia.NewTapeMachine(s.Graph)
		return nil
	})
	return t, err
}

// Run executes the ops in order.
func (t *Tape) Run() error {
	for _, b := range t.bindings {
		b.op.data, b.op.value = b.data, b.value
	}
	defer t.machine.Reset()
	return t.machine.RunAll()
}

// Output returns n's rows that the current batch fills, valid until the next run of any tape on the same
// arena.
func Output(n *gorgonia.Node) []float32 {
	o := n.Op().(*op)
	width := 1
	if o.shape.Dims() > 1 {
		width = o.shape[1]
	}
	return o.data[:o.scope.Filled(o.rows)*width]
}

// plan gives every op of order a buffer: its input's where it may reuse that and nothing reads the input
// afterwards, else the smallest slab of the arena that is free and large enough, else a new one.
func plan(order gorgonia.Nodes, arena *Arena, keep []*gorgonia.Node) []binding {
	last := make(map[*gorgonia.Node]int) // the position in order of the last reader
	for i, n := range order {
		last[n] = i
		for _, c := range children(n) {
			last[c] = i
		}
	}
	for _, n := range keep {
		last[n] = math.MaxInt
	}
	slab := make(map[*gorgonia.Node]int)
	busy := make([]bool, len(arena.slabs))
	var bindings []binding
	for i, n := range order {
		o, ok := n.Op().(*op)
		if !ok || o.accumulates {
			continue
		}
		size := max(o.shape.TotalSize(), 1)
		at := -1
		if o.reuses >= 0 {
			if c := o.nodes[o.reuses]; last[c] == i && c.Shape().Eq(o.shape) {
				if from, ok := slab[c]; ok {
					at = from
					delete(slab, c)
				}
			}
		}
		if at < 0 {
			for j, s := range arena.slabs {
				if !busy[j] && len(s) >= size && (at < 0 || len(s) < len(arena.slabs[at])) {
					at = j
				}
			}
		}
		if at < 0 {
			at = len(arena.slabs)
			arena.slabs = append(arena.slabs, make([]float32, size))
			busy = append(busy, false)
		}
		busy[at], slab[n] = true, at
		data := arena.slabs[at][:size]
		bindings = append(bindings, binding{o, data, tensor.New(tensor.WithShape(o.shape...), tensor.WithBacking(data))})
		for _, c := range slices.Concat(children(n), gorgonia.Nodes{n}) {
			if from, ok := slab[c]; ok && last[c] == i {
				busy[from] = false
				delete(slab, c)
			}
		}
	}
	return bindings
}

// distinctHashes guards against Gorgonia's compiler, which takes nodes whose 32-bit hashes agree for one
// common subexpression.
func distinctHashes(order gorgonia.Nodes) error {
	seen := make(map[uint32]*gorgonia.Node, len(order))
	for _, n := range order {
		if other, ok := seen[n.Hashcode()]; ok {
			return tandem.Errorf(tandem.Internal, "nn.NewTape", "the nodes %v and %v have the same hash", n, other)
		}
		seen[n.Hashcode()] = n
	}
	return nil
}

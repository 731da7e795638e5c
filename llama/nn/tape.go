package nn

import (
	"math"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"tandem"
	"tandem/internal/memory"
)

// Arena is the memory that the ops of many tapes share, since one tape runs at a time: a block as large as
// the largest tape needs, taken when one runs.
type Arena struct {
	block []float32
	need  int
	spans [][2]int // offset and size of what lies in it, of all tapes
}

// Bytes is how much memory the arena takes.
func (a *Arena) Bytes() int { return 4 * a.need }

// TouchedBytes is how much of it batches write on that fill that share of the rows, by whole pages of memory.Floats.
func (a *Arena) TouchedBytes(share float64) int {
	const page = memory.LargePage / 4
	touched := make([]bool, (a.need+page-1)/page)
	n := 0
	for _, s := range a.spans {
		last := s[0] + max(int(share*float64(s[1])), 1) - 1
		for p := s[0] / page; p <= last/page; p++ {
			if !touched[p] {
				touched[p] = true
				n++
			}
		}
	}
	return n * memory.LargePage
}

// Tape runs the ops that a scope's graph held when the tape was made.
type Tape struct {
	machine gorgonia.VM
	arena   *Arena
	places  []place
	block   []float32 // the arena's, when places were bound to it
}

// place is where an op's output lives in the arena while its tape runs.
type place struct {
	op     *op
	offset int
	data   []float32
	value  *tensor.Dense
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
		t = &Tape{arena: arena, places: plan(order, arena, keep)}
		t.machine = gorgonia.NewTapeMachine(s.Graph)
		return nil
	})
	return t, err
}

// Run executes the ops in order.
func (t *Tape) Run() error {
	if len(t.arena.block) < t.arena.need {
		t.arena.block = nil // before its successor is there
		t.arena.block = memory.Floats(t.arena.need)
	}
	moved := len(t.block) == 0 || &t.block[0] != &t.arena.block[0]
	t.block = t.arena.block
	for i := range t.places {
		p := &t.places[i]
		if moved {
			p.op.bind(t.block[p.offset:])
			p.data, p.value = p.op.data, p.op.value
		}
		p.op.data, p.op.value = p.data, p.value
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

// storage is memory that one op's output, or several that take it over from each other, need from the
// first writer to the last reader.
type storage struct {
	size        int
	first, last int // positions in the order of execution
	offset      int
	ops         []*op
}

// plan gives every op of order a place in the arena: its input's where it may reuse that and nothing reads
// the input afterwards, else one that no output of the same time has.
func plan(order gorgonia.Nodes, arena *Arena, keep []*gorgonia.Node) []place {
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
	of := make(map[*gorgonia.Node]*storage)
	var storages []*storage
	for i, n := range order {
		o, ok := n.Op().(*op)
		if !ok || o.accumulates {
			continue
		}
		var s *storage
		if o.reuses >= 0 {
			if c := o.nodes[o.reuses]; last[c] == i && c.Shape().Eq(o.shape) {
				s = of[c]
			}
		}
		if s == nil {
			s = &storage{size: max(o.shape.TotalSize(), 1), first: i}
			storages = append(storages, s)
		}
		s.last = max(s.last, last[n])
		s.ops = append(s.ops, o)
		of[n] = s
	}
	arena.need = max(arena.need, arrange(storages))
	var places []place
	for _, s := range storages {
		arena.spans = append(arena.spans, [2]int{s.offset, s.size})
		for _, o := range s.ops {
			places = append(places, place{op: o, offset: s.offset})
		}
	}
	return places
}

// arrange sets the offsets, the largest storage first, each as low as those before it that live at the
// same time allow, and returns how much memory they take together
// (https://arxiv.org/abs/2001.03288, section 5.2, greedy by size for offset calculation).
func arrange(storages []*storage) (need int) {
	const alignment = 16 // floats: a cache line
	bySize := slices.Clone(storages)
	slices.SortStableFunc(bySize, func(a, b *storage) int { return b.size - a.size })
	var placed []*storage // by offset
	for _, s := range bySize {
		s.offset = 0
		for _, p := range placed {
			if p.first > s.last || p.last < s.first {
				continue
			}
			if s.offset+s.size <= p.offset {
				break
			}
			s.offset = max(s.offset, (p.offset+p.size+alignment-1)/alignment*alignment)
		}
		at, _ := slices.BinarySearchFunc(placed, s, func(a, b *storage) int { return a.offset - b.offset })
		placed = slices.Insert(placed, at, s)
		need = max(need, s.offset+s.size)
	}
	return need
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

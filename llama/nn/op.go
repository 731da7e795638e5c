package nn

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"tandem"
)

// op is the one implementation of Gorgonia's Op that this package has. Each operation is a constructor
// that fills one in; forward and backward stand together there.
type op struct {
	name  string
	scope *Scope
	id    int // distinguishes ops of one graph: Gorgonia merges nodes whose ops hash alike

	nodes gorgonia.Nodes // the inputs
	shape tensor.Shape   // the output's; nil dimensions make a scalar
	rows  Rows           // what the output's rows are

	// compute fills out from in; every slice is whole, and only the rows that the batch fills are read
	// and written. With adds set it adds to out instead, which is zeroed before unless it accumulates.
	compute func(out []float32, in [][]float32)
	adds    bool
	// reuses is the input whose buffer may become the output's when nothing reads it afterwards; −1 for
	// none. compute must then be right when out and that input are the same slice.
	reuses int
	// gradient returns a node for each input that want marks, nil for the others. A nil function means
	// that nothing flows back.
	gradient func(in gorgonia.Nodes, out, grad *gorgonia.Node, want []bool) gorgonia.Nodes
	wrt      []bool // inputs that a gradient exists for

	data        []float32     // the output's buffer, given by a plan or by accumulateInto
	value       *tensor.Dense // over data
	accumulates bool
	args        [][]float32 // reused from run to run
}

// apply adds o to the graph over the inputs and returns its node. It panics with a *tandem.Error where
// the graph is malformed, a programmer's mistake.
func (s *Scope) apply(o *op, inputs ...*gorgonia.Node) *gorgonia.Node {
	o.scope = s
	o.id = s.ops
	s.ops++
	o.nodes = inputs
	if o.wrt == nil {
		o.wrt = make([]bool, len(inputs))
	}
	n, err := gorgonia.ApplyOp(o, inputs...)
	if err != nil {
		panic(tandem.Errorf(tandem.Internal, "nn."+o.name, "%w", err))
	}
	s.rows[n] = o.rows
	return n
}

// bind gives the op the buffer that its output lives in.
func (o *op) bind(data []float32) {
	o.data = data[:o.shape.TotalSize()]
	if o.shape.IsScalar() {
		o.data = data[:1]
	}
	o.value = tensor.New(tensor.WithShape(o.shape...), tensor.WithBacking(o.data))
}

// accumulateInto makes the op add its output into sum, which it never zeroes.
func (o *op) accumulateInto(sum []float32) {
	o.accumulates = true
	o.bind(sum)
}

// Do computes the op into its own buffer.
func (o *op) Do(values ...gorgonia.Value) (gorgonia.Value, error) {
	err := Guard(func() error {
		if o.data == nil { // outside a plan: a graph run by hand
			o.bind(make([]float32, max(o.shape.TotalSize(), 1)))
		}
		o.args = o.args[:0]
		for i, v := range values {
			switch v := v.(type) {
			case *tensor.Dense:
				o.args = append(o.args, v.Float32s())
			case *gorgonia.F32: // the 1 that gorgonia.Grad begins with
				o.args = append(o.args, []float32{float32(*v)})
			default:
				return tandem.Errorf(tandem.Internal, "nn."+o.name, "input %d is %T, not a dense tensor", i, v)
			}
		}
		if o.adds && !o.accumulates {
			clear(o.data)
		}
		o.compute(o.data, o.args)
		return nil
	})
	return o.value, err
}

// UsePreallocDo computes into the op's own buffer: where an output lives is decided by the plan.
func (o *op) UsePreallocDo(_ gorgonia.Value, values ...gorgonia.Value) (gorgonia.Value, error) {
	return o.Do(values...)
}

// DiffWRT marks the inputs that a gradient exists for.
func (o *op) DiffWRT(int) []bool { return o.wrt }

// SymDiff returns the gradients of all differentiable inputs.
func (o *op) SymDiff(inputs gorgonia.Nodes, output, grad *gorgonia.Node) (grads gorgonia.Nodes, err error) {
	err = Guard(func() error {
		if o.gradient == nil {
			return tandem.Errorf(tandem.Internal, "nn."+o.name, "the op has no gradient")
		}
		grads = o.gradient(inputs, output, grad, o.wrt)
		return nil
	})
	return grads, err
}

func (o *op) Arity() int { return len(o.nodes) }

// Type is Tensor-a → … → Tensor-b of float32 with the dimensions of this very op.
func (o *op) Type() hm.Type {
	types := make([]hm.Type, 0, len(o.nodes)+1)
	for _, n := range o.nodes {
		types = append(types, tensorType(n.Shape()))
	}
	return hm.NewFnType(append(types, tensorType(o.shape))...)
}

func tensorType(s tensor.Shape) hm.Type {
	if s.IsScalar() {
		return tensor.Float32
	}
	return gorgonia.TensorType{Dims: s.Dims(), Of: tensor.Float32}
}

func (o *op) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) { return o.shape, nil }

// ReturnsPtr, CallsExtern and OverwritesInput tell Gorgonia's compiler to allocate and free nothing.
func (o *op) ReturnsPtr() bool     { return true }
func (o *op) CallsExtern() bool    { return false }
func (o *op) OverwritesInput() int { return -1 }

func (o *op) WriteHash(h hash.Hash) {
	h.Write([]byte(o.name))
	var id [8]byte
	binary.LittleEndian.PutUint64(id[:], uint64(o.id))
	h.Write(id[:])
}

func (o *op) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

func (o *op) String() string { return fmt.Sprintf("%s#%d%v", o.name, o.id, o.shape) }

// require panics with what is wrong about an op's inputs unless ok.
func require(ok bool, name, format string, args ...any) {
	if !ok {
		panic(tandem.Errorf(tandem.Invalid, "nn."+name, format, args...))
	}
}

// requireShape panics unless n has the given shape.
func requireShape(n *gorgonia.Node, name, input string, shape ...int) {
	require(n.Shape().Eq(tensor.Shape(shape)), name, "%s has shape %v where %v is expected", input, n.Shape(), shape)
}

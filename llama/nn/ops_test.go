package nn

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gorgonia.org/gorgonia"

	"tandem/internal/blas"
	"tandem/internal/parallel"
	"tandem/llama/nn/kernel"
)

// forward runs a graph once and returns the node's rows.
func forward(t *testing.T, s *Scope, b Batch, n *gorgonia.Node) []float32 {
	t.Helper()
	tape, err := NewTape(s, new(Arena), n)
	if err != nil {
		t.Fatal(err)
	}
	s.Batch = b
	if err := tape.Run(); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(Output(n))
}

// Attention with grouped queries over ragged sequences, against one loop for each sum of its definition.
func TestAttentionAgainstPlainLoops(t *testing.T) {
	b := ragged(11)
	h := testHeads(80)
	n := newNetwork(t, 80, 4)
	x := n.rows(PerToken, 1, h.Stride())
	got := forward(t, n.scope, b, Attention(Rotate(x, h), h))

	qkv := n.data[0]
	turned := func(row, head, position int) []float64 { // the head's values after the rotary embedding
		x := qkv[row*h.Stride()+head*h.Size:][:h.Size]
		y := make([]float64, h.Size)
		for i := range h.Size / 2 {
			cos, sin := float64(h.Cos[position*h.Size/2+i]), float64(h.Sin[position*h.Size/2+i])
			a, b := float64(x[i]), float64(x[i+h.Size/2])
			y[i], y[i+h.Size/2] = a*cos-b*sin, b*cos+a*sin
		}
		return y
	}
	for s := range b.Sequences() {
		start, end := int(b.Offsets[s]), int(b.Offsets[s+1])
		for row := start; row < end; row++ {
			for head := range h.Query {
				kv := head * h.KeyValue / h.Query
				q := turned(row, head, row-start)
				weights, sum := make([]float64, row-start+1), 0.0
				for j := range weights {
					dot := 0.0
					for i, k := range turned(start+j, h.Query+kv, j) {
						dot += q[i] * k
					}
					weights[j] = math.Exp(dot / math.Sqrt(float64(h.Size)))
					sum += weights[j]
				}
				for i := range h.Size {
					want := 0.0
					for j, w := range weights {
						want += w / sum * float64(qkv[(start+j)*h.Stride()+(h.Query+h.KeyValue+kv)*h.Size+i])
					}
					if v := float64(got[(row*h.Query+head)*h.Size+i]); math.Abs(v-want) > 1e-5 {
						t.Fatalf("sequence %d, row %d, head %d, value %d: %g, plainly %g", s, row, head, i, v, want)
					}
				}
			}
		}
	}
}

func TestLogProbAndEntropyByHand(t *testing.T) {
	n := newNetwork(t, 3, 1)
	logits := TargetRows(n.rows(PerToken, 1, 2))
	copy(n.data[0], []float32{0, float32(math.Log(3)), 5, 5, 1000, 0})
	b := Batch{Tokens: []int32{0, 0, 0}, Targets: []int32{1, -1, 0}, Offsets: []int32{0, 3}}
	for _, c := range []struct {
		name string
		got  []float32
		want []float64
	}{
		{"log-probability", forward(t, n.scope, b, LogProb(logits, 1)), []float64{math.Log(0.75), 0, 0}},
		{"entropy", forward(t, n.scope, b, Entropy(logits, 1)), []float64{-0.75*math.Log(0.75) - 0.25*math.Log(0.25), 0, 0}},
		{"at temperature 1/2", forward(t, n.scope, b, LogProb(logits, 0.5)), []float64{math.Log(0.9), 0, 0}},
	} {
		for i, want := range c.want {
			if math.Abs(float64(c.got[i])-want) > 1e-5 {
				t.Errorf("%s of row %d is %g, want %g", c.name, i, c.got[i], want)
			}
		}
	}
}

// transformerGradients are a loss through every op of a layer and the gradients of its parameters.
func transformerGradients(t *testing.T, kernels string, workers int) (all []float32) {
	t.Helper()
	library, err := blas.Load(blas.Options{Name: "gonum"})
	if err != nil {
		t.Fatal(err)
	}
	set, err := kernel.Select(kernels)
	if err != nil {
		t.Fatal(err)
	}
	n := newNetwork(t, 80, 4)
	n.scope.Device = NewCPU(library, set, parallel.New(workers))
	h := testHeads(80)
	x := n.scope.Embedding(n.param(1, 11, 48))
	x = Add(x, Linear(Attention(Rotate(Linear(RMSNorm(x, n.param(1, 48), 1e-5), n.param(0.2, 48, 48)), h), h), n.param(0.2, 48, 24)))
	loss := n.dot(LogProb(Linear(TargetRows(SwiGLU(Linear(x, n.param(0.2, 140, 48)))), n.param(0.2, 11, 70)), 1))
	sums := make(map[*gorgonia.Node][]float32)
	for i, p := range n.params {
		sums[p] = make([]float32, len(n.data[i]))
	}
	if err := Backward(loss, sums); err != nil {
		t.Fatal(err)
	}
	all = forward(t, n.scope, ragged(11), loss)
	for _, p := range n.params {
		all = append(all, sums[p]...)
	}
	return all
}

// The bits of a step do not depend on the number of workers.
func TestWorkersDoNotChangeBits(t *testing.T) {
	for _, kernels := range []string{"", kernel.Plain} {
		want := transformerGradients(t, kernels, 1)
		for _, workers := range []int{2, 3, 7} {
			if !slices.Equal(transformerGradients(t, kernels, workers), want) {
				t.Errorf("kernels %q: %d workers give other bits than one", kernels, workers)
			}
		}
	}
}

// Where the kernels are not assembly a BLAS multiplies, and comes to the same but for rounding.
func TestPlainKernelsAgree(t *testing.T) {
	fast, plain := transformerGradients(t, "", 2), transformerGradients(t, kernel.Plain, 2)
	for i, want := range plain {
		if math.Abs(float64(fast[i]-want)) > 1e-4*(1+math.Abs(float64(want))) {
			t.Fatalf("number %d is %g, by plain kernels %g", i, fast[i], want)
		}
	}
}

// Outputs that live at the same time never share memory, and memory is reused.
func TestArrangeKeepsLivingStorageApart(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var all []*storage
	total := 0
	for i := range 200 {
		s := &storage{size: 1 + rng.IntN(1000), first: i, last: i + rng.IntN(8)}
		all = append(all, s)
		total += s.size
	}
	need := arrange(all)
	for i, a := range all {
		if a.offset+a.size > need {
			t.Fatalf("storage %d ends at %d of %d", i, a.offset+a.size, need)
		}
		for _, b := range all[:i] {
			if a.first <= b.last && b.first <= a.last && a.offset < b.offset+b.size && b.offset < a.offset+a.size {
				t.Fatalf("%+v and %+v overlap", *a, *b)
			}
		}
	}
	if need > total/10 {
		t.Errorf("%d of %d are needed, though at most 9 live at once", need, total)
	}
}

// Backward names what it cannot do.
func TestBackwardRefuses(t *testing.T) {
	n := newNetwork(t, 4, 1)
	x := n.rows(PerToken, 1, 3)
	unused := n.param(1, 2, 2)
	loss := n.dot(x)
	for name, sums := range map[string]map[*gorgonia.Node][]float32{
		"nothing trained":  {},
		"unused parameter": {n.params[0]: make([]float32, 12), unused: make([]float32, 4)},
	} {
		if err := Backward(loss, sums); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := Backward(x, map[*gorgonia.Node][]float32{n.params[0]: make([]float32, 12)}); err == nil {
		t.Error("a loss that is no scalar: no error")
	}
}

// Gorgonia's own differentiation and machine run the ops as well, and come to the same gradient.
func TestGorgoniaDifferentiatesTheOps(t *testing.T) {
	build := func() (*network, *gorgonia.Node) {
		n := newNetwork(t, 80, 4)
		n.scope.Batch = ragged(11)
		w := n.param(0.5, 11, 6)
		x := n.scope.Embedding(w)
		x = Add(x, Linear(SwiGLU(Linear(RMSNorm(x, n.param(1, 6), 1e-5), n.param(0.5, 8, 6))), n.param(0.5, 6, 4)))
		return n, n.dot(LogProb(Linear(TargetRows(x), w), 1))
	}
	ours, loss := build()
	sums := make(map[*gorgonia.Node][]float32)
	for i, p := range ours.params {
		sums[p] = make([]float32, len(ours.data[i]))
	}
	if err := Backward(loss, sums); err != nil {
		t.Fatal(err)
	}
	forward(t, ours.scope, ragged(11), loss)

	theirs, loss := build()
	grads, err := gorgonia.Grad(loss, theirs.params...)
	if err != nil {
		t.Fatal(err)
	}
	machine := gorgonia.NewTapeMachine(theirs.scope.Graph)
	defer machine.Close()
	if err := machine.RunAll(); err != nil {
		t.Fatal(err)
	}
	for i, g := range grads {
		want := sums[ours.params[i]]
		for j, got := range g.Value().Data().([]float32) {
			if math.Abs(float64(got-want[j])) > 1e-5 {
				t.Fatalf("parameter %d, element %d: %g by Gorgonia, %g by Backward", i, j, got, want[j])
			}
		}
	}
}

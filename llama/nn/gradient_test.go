package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"

	"tandem/internal/blas"
	"tandem/internal/parallel"
	"tandem/llama/nn/kernel"
)

// testDevice multiplies with gonum, which every machine has.
func testDevice(t testing.TB) *CPU {
	t.Helper()
	library, err := blas.Load(blas.Options{Name: "gonum"})
	if err != nil {
		t.Fatal(err)
	}
	kernels, err := kernel.Select("")
	if err != nil {
		t.Fatal(err)
	}
	return NewCPU(library, kernels, parallel.New(2))
}

// ragged has sequences of 3, 1 and 70 tokens (more than a tile of attention) in a graph with room to spare.
func ragged(vocabulary int) Batch {
	rng := rand.New(rand.NewPCG(1, 2))
	b := Batch{Offsets: []int32{0, 3, 4, 74}}
	for range 74 {
		b.Tokens = append(b.Tokens, int32(rng.IntN(vocabulary)))
		b.Targets = append(b.Targets, int32(rng.IntN(vocabulary+1)-1))
	}
	return b
}

// network is a graph under test with its parameters.
type network struct {
	scope  *Scope
	rng    *rand.Rand
	params []*gorgonia.Node
	data   [][]float32
}

func newNetwork(t testing.TB, tokens, sequences int) *network {
	return &network{scope: NewScope(testDevice(t), tokens, sequences), rng: rand.New(rand.NewPCG(3, 4))}
}

// param makes a parameter with values from N(0, 1)·deviation.
func (n *network) param(deviation float64, shape ...int) *gorgonia.Node {
	size := 1
	for _, d := range shape {
		size *= d
	}
	data := make([]float32, size)
	for i := range data {
		data[i] = float32(n.rng.NormFloat64() * deviation)
	}
	node := n.scope.Param(fmt.Sprint("p", len(n.params)), shape, data)
	n.params, n.data = append(n.params, node), append(n.data, data)
	return node
}

// rows makes a parameter of one row for each of something, as if an op had made it.
func (n *network) rows(kind Rows, deviation float64, width ...int) *gorgonia.Node {
	p := n.param(deviation, append([]int{n.scope.capacity(kind)}, width...)...)
	n.scope.rows[p] = kind
	return n.scope.apply(&op{
		name: "Identity", shape: p.Shape(), rows: kind, reuses: -1, wrt: []bool{true},
		compute: func(y []float32, in [][]float32) { copy(y, in[0]) },
		gradient: func(_ gorgonia.Nodes, _, grad *gorgonia.Node, _ []bool) gorgonia.Nodes {
			return gorgonia.Nodes{n.scope.apply(&op{
				name: "IdentityGrad", shape: p.Shape(), rows: kind, reuses: -1, adds: true,
				compute: func(d []float32, in [][]float32) {
					width := len(d) / n.scope.capacity(kind)
					for i, v := range in[0][:n.scope.Filled(kind)*width] {
						d[i] += v
					}
				},
			}, grad)}
		},
	}, p)
}

// dot makes a scalar of a node: its product with fixed random numbers.
func (n *network) dot(x *gorgonia.Node) *gorgonia.Node {
	s, kind := n.scope, n.scope.RowsOf(x)
	width := x.Shape().TotalSize() / x.Shape()[0]
	c := make([]float64, x.Shape().TotalSize())
	for i := range c {
		c[i] = n.rng.NormFloat64()
	}
	return s.loss("Dot", func(d []float32, in [][]float32) float64 {
		sum := 0.0
		for i := range s.Filled(kind) * width {
			sum += c[i] * float64(in[0][i])
			if d != nil {
				d[i] = float32(c[i])
			}
		}
		return sum
	}, x)
}

// check compares the gradient of loss with central differences at a few dozen places of every parameter.
// A kinked loss may have a few where it has no derivative. The loss is float32, so its difference has an error of about its own size · 1e-7 / step.
func (n *network) check(t *testing.T, loss *gorgonia.Node, b Batch, kinked bool) {
	t.Helper()
	const step = 1e-2
	arena := new(Arena)
	forward, err := NewTape(n.scope, arena, loss)
	if err != nil {
		t.Fatal(err)
	}
	sums := make(map[*gorgonia.Node][]float32)
	for i, p := range n.params {
		sums[p] = make([]float32, len(n.data[i]))
	}
	if err := Backward(loss, sums); err != nil {
		t.Fatal(err)
	}
	full, err := NewTape(n.scope, arena, loss)
	if err != nil {
		t.Fatal(err)
	}
	n.scope.Batch = b
	run := func(tape *Tape) float64 {
		if err := tape.Run(); err != nil {
			t.Fatal(err)
		}
		return float64(Output(loss)[0])
	}
	value := run(full)
	if again := run(forward); again != value {
		t.Errorf("the loss is %v forward alone, %v with the backward pass", again, value)
	}
	kinks := 0
	for p, node := range n.params {
		data, grad := n.data[p], sums[node]
		largest := 0.0
		for _, g := range grad {
			largest = max(largest, math.Abs(float64(g)))
		}
		if largest == 0 {
			t.Errorf("the gradient of parameter %d is zero", p)
		}
		for i := 0; i < len(data); i += max(1, len(data)/40) | 1 { // odd: not one column of every row
			was := data[i]
			data[i] = was + step
			up := run(forward)
			data[i] = was - step
			down := run(forward)
			data[i] = was
			want := (up - down) / (2 * step)
			if left, right := (value-down)/step, (up-value)/step; kinked && math.Abs(left-right) > 0.02*largest {
				kinks++
				continue
			}
			if got := float64(grad[i]); math.Abs(got-want) > 0.01*largest+0.02*math.Abs(want)+2e-5*math.Abs(value) {
				t.Errorf("parameter %d, element %d: gradient %.6g, differences %.6g", p, i, got, want)
			}
		}
	}
	if kinks > 5 {
		t.Errorf("%d places look like kinks", kinks)
	}
}

func testHeads(tokens int) Heads {
	h := Heads{Query: 4, KeyValue: 2, Size: 6}
	for p := range tokens {
		for i := range h.Size / 2 {
			sin, cos := math.Sincos(float64(p) * math.Pow(100, -2*float64(i)/float64(h.Size)))
			h.Cos, h.Sin = append(h.Cos, float32(cos)), append(h.Sin, float32(sin))
		}
	}
	return h
}

func TestGradients(t *testing.T) {
	const tokens, sequences = 80, 4
	for name, build := range map[string]func(n *network) *gorgonia.Node{
		"embedding": func(n *network) *gorgonia.Node { return n.dot(n.scope.Embedding(n.param(1, 11, 5))) },
		"linear":    func(n *network) *gorgonia.Node { return n.dot(Linear(n.rows(PerToken, 1, 6), n.param(1, 5, 6))) },
		"add": func(n *network) *gorgonia.Node {
			return n.dot(Add(n.rows(PerToken, 1, 6), n.rows(PerToken, 1, 6)))
		},
		"shared input": func(n *network) *gorgonia.Node {
			x := n.rows(PerToken, 1, 6)
			return n.dot(Add(x, RMSNorm(x, n.param(1, 6), 1e-5)))
		},
		"rmsnorm": func(n *network) *gorgonia.Node { return n.dot(RMSNorm(n.rows(PerToken, 1, 6), n.param(1, 6), 1e-5)) },
		"swiglu":  func(n *network) *gorgonia.Node { return n.dot(SwiGLU(n.rows(PerToken, 1, 10))) },
		"rotate":  func(n *network) *gorgonia.Node { return n.dot(Rotate(n.rows(PerToken, 1, 48), testHeads(tokens))) },
		"attention": func(n *network) *gorgonia.Node {
			return n.dot(Attention(n.rows(PerToken, 1, 48), testHeads(tokens)))
		},
		"rotary attention": func(n *network) *gorgonia.Node {
			h := testHeads(tokens)
			return n.dot(Attention(Rotate(n.rows(PerToken, 1, 48), h), h))
		},
		"target rows": func(n *network) *gorgonia.Node { return n.dot(TargetRows(n.rows(PerToken, 1, 6))) },
		"entropy":     func(n *network) *gorgonia.Node { return n.dot(Entropy(TargetRows(n.rows(PerToken, 1, 11)), 0.7)) },
		"logprob and entropy of the same logits": func(n *network) *gorgonia.Node {
			logits := Linear(TargetRows(n.rows(PerToken, 1, 6)), n.param(0.5, 11, 6))
			return AddLosses([]float64{1, 0.5}, n.dot(LogProb(logits, 0.7)), n.dot(Entropy(logits, 0.7)))
		},
		"logprob": func(n *network) *gorgonia.Node { return n.dot(LogProb(TargetRows(n.rows(PerToken, 1, 11)), 0.7)) },
		"head":    func(n *network) *gorgonia.Node { return n.dot(Head(n.rows(PerToken, 1, 6), n.param(1, 1, 6))) },
		"scores": func(n *network) *gorgonia.Node {
			return n.dot(Head(LastRows(n.rows(PerToken, 1, 6)), n.param(1, 1, 6)))
		},
		"tied matrix": func(n *network) *gorgonia.Node {
			w := n.param(0.5, 11, 6)
			return n.dot(LogProb(Linear(TargetRows(n.scope.Embedding(w)), w), 1))
		},
		"low-rank adapters of two parts of a product": func(n *network) *gorgonia.Node {
			x := n.rows(PerToken, 1, 6)
			y := Linear(x, n.param(1, 12, 6))
			y = AddColumns(y, Linear(Linear(x, n.param(1, 2, 6)), n.param(1, 5, 2)), 0, 0.5)
			return n.dot(AddColumns(y, Linear(Linear(x, n.param(1, 3, 6)), n.param(1, 4, 3)), 7, 1.5))
		},
		"sum of losses": func(n *network) *gorgonia.Node {
			x := n.rows(PerToken, 1, 6)
			return AddLosses([]float64{0.3, -2}, n.dot(SwiGLU(x)), n.dot(x))
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, tokens, sequences)
			n.check(t, build(n), ragged(11), false)
		})
	}
}

func TestLossGradients(t *testing.T) {
	const tokens, sequences = 80, 4
	b := ragged(11)
	b.Offsets = []int32{0, 3, 4, 50, 74}
	input := func(n *network, name string, rows Rows, value func() float64) *gorgonia.Node {
		node, data := n.scope.Input(name, rows)
		for i := range data {
			data[i] = float32(value())
		}
		return node
	}
	constant := func(v float64) func() float64 { return func() float64 { return v } }
	for name, build := range map[string]func(n *network) *gorgonia.Node{
		"cross-entropy": func(n *network) *gorgonia.Node {
			return CrossEntropy(n.rows(PerToken, 1), input(n, "w", PerToken, n.rng.Float64), input(n, "k", Scalar, constant(7)))
		},
		"entropy": func(n *network) *gorgonia.Node {
			return EntropyLoss(n.rows(PerToken, 1), input(n, "w", PerToken, n.rng.Float64), input(n, "k", Scalar, constant(7)))
		},
		"ranking": func(n *network) *gorgonia.Node {
			return RankingLoss(n.rows(PerSequence, 2), input(n, "m", PerPair, n.rng.Float64), nil, input(n, "k", Scalar, constant(3)))
		},
		"weighted ranking": func(n *network) *gorgonia.Node {
			return RankingLoss(n.rows(PerSequence, 2), input(n, "m", PerPair, n.rng.Float64), input(n, "w", PerPair, n.rng.Float64), input(n, "k", Scalar, constant(3)))
		},
		"restraint": func(n *network) *gorgonia.Node {
			return RestraintLoss(n.rows(PerSequence, 2), input(n, "k", Scalar, constant(3)), 0.3, 0.7)
		},
		"safety": func(n *network) *gorgonia.Node {
			label := -2.0
			labels := input(n, "l", PerSequence, func() float64 { label++; return min(label, 1) })
			return SafetyLoss(n.rows(PerSequence, 2), labels, input(n, "k", Scalar, constant(3)), 0.5)
		},
		"policy": func(n *network) *gorgonia.Node {
			return PPOPolicyLoss(n.rows(PerToken, 0.3), input(n, "old", PerToken, constant(0)), input(n, "a", PerToken, n.rng.NormFloat64),
				input(n, "mask", PerToken, func() float64 { return float64(n.rng.IntN(2)) }), input(n, "k", Scalar, constant(30)), 0.2)
		},
		"value": func(n *network) *gorgonia.Node {
			return PPOValueLoss(n.rows(PerToken, 1), input(n, "old", PerToken, constant(0)), input(n, "r", PerToken, n.rng.NormFloat64),
				input(n, "mask", PerToken, func() float64 { return float64(n.rng.IntN(2)) }), input(n, "k", Scalar, constant(30)), input(n, "clip", Scalar, constant(0.5)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, tokens, sequences)
			n.check(t, build(n), b, name == "policy" || name == "value")
		})
	}
}

package llama

import (
	"gorgonia.org/gorgonia"

	"tandem"
	"tandem/llama/nn"
)

// Shape is what a graph has room for: batches of at most Tokens tokens in at most Sequences sequences. A
// smaller batch costs what it holds, not what the shape allows, so a few shapes serve a whole run.
type Shape struct{ Tokens, Sequences int }

// Graph is a training graph of one shape over the weights themselves. Its methods return nodes to build a
// loss from, each made once; [Graph.Compile] turns loss and outputs into a program:
//
//	g := llama.NewGraph(dev, w, llama.Shape{Tokens: 4096, Sequences: 32})
//	loss := nn.CrossEntropy(g.LogProbs(1), g.Input("weights", nn.PerToken), g.Input("count", nn.Scalar))
//	program, err := g.Compile(loss)
//	…
//	result, err := program.Run(batch) // adds to w.Gradients()
//
// Methods panic with a *tandem.Error where the graph asks for what the model does not have, a programmer's
// mistake; [nn.Guard] makes that an error.
type Graph struct {
	scope   *nn.Scope
	weights *Weights
	shape   Shape
	params  map[string]*gorgonia.Node
	inputs  []input

	hidden   *gorgonia.Node
	logits   *gorgonia.Node // of the rows that have a target
	targets  bool           // batches must bring targets
	compiled bool
}

// input is a float input that batches fill.
type input struct {
	name string
	rows nn.Rows
	data []float32
	node *gorgonia.Node
}

// NewGraph returns a graph over w, which it reads and never copies, computed by dev.
func NewGraph(dev nn.Device, w *Weights, shape Shape) *Graph {
	if shape.Tokens < 1 || shape.Sequences < 1 {
		panic(tandem.Errorf(tandem.Invalid, "llama.NewGraph", "the shape is %d tokens and %d sequences", shape.Tokens, shape.Sequences))
	}
	g := &Graph{
		scope:   nn.NewScope(dev, shape.Tokens, shape.Sequences),
		weights: w,
		shape:   shape,
		params:  make(map[string]*gorgonia.Node),
	}
	for _, p := range w.Params() {
		g.params[p.Name] = g.scope.Param(p.Name, p.Shape, p.Data)
	}
	return g
}

// Hidden is rmsnorm(x) after the last layer, [N, d].
func (g *Graph) Hidden() *gorgonia.Node {
	if g.hidden != nil {
		return g.hidden
	}
	c := g.weights.Config
	rope := NewRope(c, min(g.shape.Tokens, c.MaxPositionEmbeddings))
	heads := nn.Heads{Query: c.NumAttentionHeads, KeyValue: c.NumKeyValueHeads, Size: c.HeadDim, Cos: rope.Cos, Sin: rope.Sin}
	x := g.scope.Embedding(g.params["embed"]) // [N, d]
	for i := range g.weights.Layers {
		param := func(name string) *gorgonia.Node { return g.params[layerPrefix(i)+name] }

		// x ← x + O · attention(rope(QKV · rmsnorm(x)))
		normed := nn.RMSNorm(x, param("attention_norm"), c.RMSNormEps) // [N, d]
		qkv := nn.Rotate(g.project(normed, i, "qkv"), heads)           // [N, (h+2g)·e]
		x = nn.Add(x, g.project(nn.Attention(qkv, heads), i, "o"))     // [N, d]

		// x ← x + Down · swiglu(GateUp · rmsnorm(x))
		normed = nn.RMSNorm(x, param("mlp_norm"), c.RMSNormEps) // [N, d]
		gated := nn.SwiGLU(g.project(normed, i, "gate_up"))     // [N, f]
		x = nn.Add(x, g.project(gated, i, "down"))              // [N, d]
	}
	g.hidden = nn.RMSNorm(x, g.params["norm"], c.RMSNormEps)
	return g.hidden
}

// project is the product with one of a layer's matrices and what adapters add to it: x·Wᵀ, and in the rows of W that an
// adapter has, scale·(x·Aᵀ)·Bᵀ.
func (g *Graph) project(x *gorgonia.Node, layer int, matrix string) *gorgonia.Node {
	prefix := layerPrefix(layer)
	y := nn.Linear(x, g.params[prefix+matrix]) // [N, out]
	for _, a := range g.weights.Layers[layer].Adapters {
		if a.Matrix == matrix {
			low := nn.Linear(x, g.params[prefix+a.Target+".lora_A"]) // [N, r]
			y = nn.AddColumns(y, nn.Linear(low, g.params[prefix+a.Target+".lora_B"]), a.Row, a.Scale)
		}
	}
	return y
}

// Logits is Output · hidden for every token, [N, vocabulary]. The model must be a policy.
func (g *Graph) Logits() *gorgonia.Node { return nn.Linear(g.Hidden(), g.output("Logits")) }

// LogProbs is ln P(target) of every token under softmax(logits / temperature), [N]; 0 where the batch has
// no target, and no logits are computed there. Divide by the temperature that was sampled with, or the
// ratio of PPO's first step is not 1. The model must be a policy.
func (g *Graph) LogProbs(temperature float64) *gorgonia.Node {
	return nn.LogProb(g.targetLogits(), temperature)
}

// Entropy is the entropy of softmax(logits / temperature) in nats, [N], 0 where the batch has no target.
func (g *Graph) Entropy(temperature float64) *gorgonia.Node {
	return nn.Entropy(g.targetLogits(), temperature)
}

// targetLogits are the logits of the rows that have a target.
func (g *Graph) targetLogits() *gorgonia.Node {
	if g.logits == nil {
		g.targets = true
		g.logits = nn.Linear(nn.TargetRows(g.Hidden()), g.output("LogProbs"))
	}
	return g.logits
}

// output is the output matrix, [vocabulary, d].
func (g *Graph) output(method string) *gorgonia.Node {
	switch {
	case g.weights.IsClassifier():
		panic(tandem.Errorf(tandem.Invalid, "llama.Graph."+method, "the model is a classifier and has no output matrix"))
	case g.weights.Config.TieWordEmbeddings:
		return g.params["embed"]
	}
	return g.params["output"]
}

// Values is the scalar head's output for every token, [N]: a critic. The model must be a classifier.
func (g *Graph) Values() *gorgonia.Node { return nn.Head(g.Hidden(), g.head("Values")) }

// Scores is the scalar head's output for the last token of every sequence, [S]: a reward model (pooling at
// the last token is the project's choice, the paper does not say). The model must be a classifier.
func (g *Graph) Scores() *gorgonia.Node { return nn.Head(nn.LastRows(g.Hidden()), g.head("Scores")) }

func (g *Graph) head(method string) *gorgonia.Node {
	if !g.weights.IsClassifier() {
		panic(tandem.Errorf(tandem.Invalid, "llama.Graph."+method, "the model is a policy and has no scalar head"))
	}
	return g.params["score"]
}

// Input declares float32 data that every batch brings under that name: one number for each token [N],
// sequence [S] or pair of sequences [S/2], or a scalar [1].
func (g *Graph) Input(name string, rows nn.Rows) *gorgonia.Node {
	if rows == nn.Fixed || rows == nn.PerTarget {
		panic(tandem.Errorf(tandem.Invalid, "llama.Graph.Input", "batches bring no input for each %v (%q)", rows, name))
	}
	for _, in := range g.inputs {
		if in.name == name {
			panic(tandem.Errorf(tandem.Invalid, "llama.Graph.Input", "there are two inputs %q", name))
		}
	}
	node, data := g.scope.Input("input."+name, rows)
	g.inputs = append(g.inputs, input{name, rows, data, node})
	return node
}

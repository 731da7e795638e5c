package llama

import (
	"math"

	"gorgonia.org/gorgonia"

	"tandem"
	"tandem/llama/nn"
)

// Program runs one graph, forward alone or with the backward pass. Programs over one Weights share memory
// and gradients, so one of them runs at a time.
type Program struct {
	graph   *Graph
	loss    *gorgonia.Node // nil for a program that only goes forward
	outputs []*gorgonia.Node
	forward *nn.Tape
	step    *nn.Tape // forward and backward
}

// Result is what a run computed.
type Result struct {
	Loss    float64     // 0 for a program without a loss
	Outputs [][]float32 // in the order given to Compile, the batch's rows alone; valid until the next run over the same weights
}

// Compile makes the graph's program. loss is a scalar to differentiate with respect to every parameter
// that is not frozen, or nil; outputs are nodes whose values are wanted beside it. A graph compiles once.
func (g *Graph) Compile(loss *gorgonia.Node, outputs ...*gorgonia.Node) (*Program, error) {
	const op = "llama.Graph.Compile"
	if g.compiled {
		return nil, tandem.Errorf(tandem.Conflict, op, "the graph has been compiled already")
	}
	g.compiled = true
	p := &Program{graph: g, loss: loss, outputs: outputs}
	for _, n := range outputs {
		if n.Op() == nil {
			return nil, tandem.Errorf(tandem.Invalid, op, "the output %s is an input", n.Name())
		}
	}
	keep := append([]*gorgonia.Node{}, outputs...)
	if loss != nil {
		keep = append(keep, loss)
	}
	gradients := g.weights.Gradients()
	var err error
	if p.forward, err = nn.NewTape(g.scope, &gradients.arena, keep...); err != nil || loss == nil {
		return p, err
	}
	sums := make(map[*gorgonia.Node][]float32)
	for name, node := range g.params {
		if sum, ok := gradients.sums[name]; ok {
			sums[node] = sum
		}
	}
	if err := nn.Backward(loss, sums); err != nil {
		return nil, err
	}
	p.step, err = nn.NewTape(g.scope, &gradients.arena, keep...)
	return p, err
}

// Run computes the loss and adds its gradient to the weights' gradients. A loss that is not finite is an
// error.
func (p *Program) Run(b Batch) (Result, error) {
	if p.step == nil {
		return Result{}, tandem.Errorf(tandem.Invalid, "llama.Program.Run", "the program has no loss")
	}
	return p.run(p.step, b)
}

// Forward computes loss and outputs and leaves the gradients alone.
func (p *Program) Forward(b Batch) (Result, error) { return p.run(p.forward, b) }

func (p *Program) run(tape *nn.Tape, b Batch) (r Result, err error) {
	if err := p.graph.load(b); err != nil {
		return r, err
	}
	p.graph.scope.Device.Hold(func() { err = tape.Run() })
	if err != nil {
		return r, err
	}
	for _, n := range p.outputs {
		r.Outputs = append(r.Outputs, nn.Output(n))
	}
	if p.loss != nil {
		r.Loss = float64(nn.Output(p.loss)[0])
		if math.IsNaN(r.Loss) || math.IsInf(r.Loss, 0) {
			return r, tandem.Errorf(tandem.Invalid, "llama.Program", "the loss is %g", r.Loss)
		}
	}
	return r, nil
}

// ActivationBytes is how much memory the activations of all programs over the same weights take, at most.
func (p *Program) ActivationBytes() int { return p.graph.weights.Gradients().ActivationBytes(1) }

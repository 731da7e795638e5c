package nn

import (
	"slices"

	"gorgonia.org/gorgonia"

	"tandem"
)

// Backward extends the graph by the backward pass of a scalar loss: on every run the gradient of each
// parameter in sums is added to its slice. It walks the graph as gorgonia.Backpropagate does and asks the
// same SymDiff of every op, but three things matter here that Gorgonia leaves open: what leads to frozen
// parameters alone is not differentiated; several gradients of one node are summed in a fixed order, in
// place; and gradients of parameters go to buffers that outlive the run.
func Backward(loss *gorgonia.Node, sums map[*gorgonia.Node][]float32) error {
	const name = "nn.Backward"
	if !loss.IsScalar() {
		return tandem.Errorf(tandem.Invalid, name, "the loss has shape %v, not a scalar's", loss.Shape())
	}
	return Guard(func() error {
		s := scopeOf(loss)
		order, err := executionOrder(s.Graph)
		if err != nil {
			return err
		}
		active := make(map[*gorgonia.Node]bool) // a trained parameter affects it
		for _, n := range order {
			active[n] = sums[n] != nil || slices.Contains(wanted(n, active), true)
		}
		if !active[loss] {
			return tandem.Errorf(tandem.Invalid, name, "no trained parameter affects the loss")
		}
		one := s.apply(&op{name: "One", shape: loss.Shape(), rows: Scalar, reuses: -1, wrt: []bool{false},
			compute: func(y []float32, _ [][]float32) { y[0] = 1 }}, loss)
		grads := map[*gorgonia.Node]gorgonia.Nodes{loss: {one}}
		for _, n := range slices.Backward(order) {
			if !active[n] || len(grads[n]) == 0 {
				continue
			}
			if sum := sums[n]; sum != nil {
				for _, g := range grads[n] {
					g.Op().(*op).addInto(sum)
				}
				continue
			}
			grad := grads[n][0]
			for _, g := range grads[n][1:] {
				grad = Add(grad, g)
			}
			o, want, inputs := n.Op().(*op), wanted(n, active), children(n)
			for i, g := range o.gradient(inputs, n, grad, want) {
				if want[i] {
					grads[inputs[i]] = append(grads[inputs[i]], g)
				}
			}
			delete(grads, n)
		}
		for n := range sums {
			if len(grads[n]) == 0 {
				return tandem.Errorf(tandem.Invalid, name, "the parameter %s does not affect the loss", n.Name())
			}
		}
		return nil
	})
}

// wanted marks the inputs of n that a gradient exists for and is needed by.
func wanted(n *gorgonia.Node, active map[*gorgonia.Node]bool) []bool {
	o, ok := n.Op().(*op)
	if !ok || o.gradient == nil {
		return nil
	}
	want := make([]bool, len(o.wrt))
	for i, c := range children(n) {
		want[i] = o.wrt[i] && active[c]
	}
	return want
}

// addInto makes a gradient op accumulate, which only those of parameters can.
func (o *op) addInto(sum []float32) {
	require(o.adds, o.name, "the gradient of a parameter does not accumulate")
	o.accumulateInto(sum)
}

// children returns the inputs of n, in order.
func children(n *gorgonia.Node) gorgonia.Nodes {
	o, ok := n.Op().(*op)
	if !ok {
		return nil
	}
	return o.nodes
}

// executionOrder lists the graph's nodes as Gorgonia's TapeMachine executes them: inputs before what
// reads them, otherwise in the order in which they were made.
func executionOrder(g *gorgonia.ExprGraph) (gorgonia.Nodes, error) {
	order, err := gorgonia.Sort(g)
	if err != nil {
		return nil, err
	}
	slices.Reverse(order)
	return order, nil
}

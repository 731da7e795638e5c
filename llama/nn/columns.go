package nn

import "gorgonia.org/gorgonia"

// AddColumns is y [rows, width] with scale · x, x [rows, n], added to its columns from column on: what a low-rank adapter
// adds to the part of a packed projection that it adapts.
func AddColumns(y, x *gorgonia.Node, column int, scale float64) *gorgonia.Node {
	s := scopeOf(y, x)
	require(y.Shape().Dims() == 2 && x.Shape().Dims() == 2 && y.Shape()[0] == x.Shape()[0] && s.RowsOf(y) == s.RowsOf(x),
		"AddColumns", "y has shape %v and x %v", y.Shape(), x.Shape())
	width, n, rows := y.Shape()[1], x.Shape()[1], s.RowsOf(y)
	require(column >= 0 && column+n <= width, "AddColumns", "columns [%d, %d) of %d", column, column+n, width)
	return s.apply(&op{
		name: "AddColumns", shape: y.Shape(), rows: rows, reuses: 0, wrt: []bool{true, true},
		compute: func(sum []float32, in [][]float32) {
			s.Device.AddColumns(s.Filled(rows), width, n, column, sum, in[0], in[1], float32(scale))
		},
		gradient: func(_ gorgonia.Nodes, _, grad *gorgonia.Node, want []bool) gorgonia.Nodes {
			grads := gorgonia.Nodes{grad, nil}
			if want[1] {
				grads[1] = s.apply(&op{
					name: "AddColumnsGrad", shape: x.Shape(), rows: rows, reuses: -1,
					compute: func(dx []float32, in [][]float32) {
						s.Device.Columns(s.Filled(rows), width, n, column, dx, in[0], float32(scale))
					},
				}, grad)
			}
			return grads
		},
	}, y, x)
}

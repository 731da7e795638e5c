package nn

import "tandem/llama/nn/kernel"

// factor is the right side of the products of one task, b [k, n]: in panels, or as it is stored where a BLAS multiplies.
type factor struct {
	device     *CPU
	panels     kernel.Panels
	data       []float32
	ld         int
	transposed bool // data is bᵀ
	n          int
}

// factorFloats is how much room factor takes.
func (c *CPU) factorFloats(k, n int) int {
	if !c.kernels.Vectorized() {
		return 0
	}
	return c.kernels.PanelFloats(k, n)
}

// factor makes one of data, whose rows are ld apart. It lives in the first of room and returns the rest.
func (c *CPU) factor(room, data []float32, ld int, transposed bool, k, n int) (f factor, rest []float32) {
	f = factor{device: c, data: data, ld: ld, transposed: transposed, n: n}
	if !c.kernels.Vectorized() {
		return f, room
	}
	f.panels = c.kernels.ColumnPanels(room, k, n)
	if transposed {
		f.panels.FillT(data, ld, 0, f.panels.Count())
	} else {
		f.panels.Fill(data, ld, 0, k)
	}
	return f, room[c.kernels.PanelFloats(k, n):]
}

// multiply sets y [rows, n] to x·b, x having as many columns as b's first k rows.
func (f factor) multiply(y []float32, ldy int, x []float32, ldx, rows, k int) {
	if !f.device.kernels.Vectorized() {
		f.device.blas.Gemm(false, f.transposed, rows, f.n, k, 1, x, ldx, f.data, f.ld, 0, y, ldy)
		return
	}
	f.device.kernels.Multiply(y, nil, ldy, x, ldx, rows, f.panels.First(k), 0, f.panels.Count())
}

// columns sets the first columns of y [rows, …] to those of x·b, and may set others behind them, to the end of a panel.
func (f factor) columns(y []float32, ldy int, x []float32, ldx, rows, k, columns int) {
	if !f.device.kernels.Vectorized() {
		f.device.blas.Gemm(false, f.transposed, rows, columns, k, 1, x, ldx, f.data, f.ld, 0, y, ldy)
		return
	}
	width := f.device.kernels.BlockColumns()
	f.device.kernels.Multiply(y, nil, ldy, x, ldx, rows, f.panels.Padded(), 0, (columns+width-1)/width)
}

// multiplyT sets y [rows, n] to xᵀ·b for x [k, rows], or adds to it.
func (f factor) multiplyT(y []float32, ldy int, add bool, x []float32, ldx, rows, k int) {
	if !f.device.kernels.Vectorized() {
		beta := float32(0)
		if add {
			beta = 1
		}
		f.device.blas.Gemm(true, f.transposed, rows, f.n, k, 1, x, ldx, f.data, f.ld, beta, y, ldy)
		return
	}
	var d []float32
	if add {
		d = y
	}
	f.device.kernels.MultiplyT(y, d, ldy, x, ldx, rows, f.panels)
}

package nn

import "tandem/llama/nn/kernel"

// Products of activations with weights are computed by the vector kernels, on panels: what two matrices are multiplied
// with is laid out once for all workers, where a BLAS does so for every part of the product that it is asked for.
// Without vector kernels the BLAS computes them.

// stripRows is how many rows of activations one task takes through a product.
const stripRows = 48

// tasksPerWorker is into how many parts for each worker a gradient of weights is cut.
const tasksPerWorker = 2

func (c *CPU) Linear(n, in, out int, y, x, w []float32) {
	if !c.kernels.Vectorized() {
		c.blas.GemmParallel(c.workers, false, true, n, out, in, 1, x, in, w, in, 0, y, out)
		return
	}
	buffer := c.panels.borrow(c.kernels.PanelFloats(in, out))
	defer c.panels.giveBack(buffer)
	b := c.kernels.ColumnPanels(*buffer, in, out)
	c.workers.For(b.Count(), 1, func(from, to int) { b.FillT(w, in, from, to) })
	c.multiply(n, in, out, y, x, b)
}

func (c *CPU) LinearGradX(n, in, out int, dx, dy, w []float32) {
	if !c.kernels.Vectorized() {
		c.blas.GemmParallel(c.workers, false, false, n, in, out, 1, dy, out, w, in, 0, dx, in)
		return
	}
	buffer := c.panels.borrow(c.kernels.PanelFloats(out, in))
	defer c.panels.giveBack(buffer)
	b := c.kernels.ColumnPanels(*buffer, out, in)
	c.workers.For(out, rowGrain, func(from, to int) { b.Fill(w, in, from, to) })
	c.multiply(n, out, in, dx, dy, b)
}

// multiply sets y [n, out] to x [n, in] · b: a task for each strip of rows, and for parts of the columns too where
// there are few strips.
func (c *CPU) multiply(n, in, out int, y, x []float32, b kernel.Panels) {
	strips := (n + stripRows - 1) / stripRows
	parts := min(b.Count(), max(1, tasksPerWorker*c.workers.Count()/max(1, strips)))
	c.workers.Each(strips*parts, func(i int) {
		row, part := i/parts*stripRows, i%parts
		rows := min(stripRows, n-row)
		c.kernels.Multiply(y[row*out:], nil, out, x[row*in:], in, rows, b, part*b.Count()/parts, (part+1)*b.Count()/parts)
	})
}

func (c *CPU) LinearAddGradW(n, in, out int, dw, dy, x []float32) {
	if !c.kernels.Vectorized() {
		c.blas.GemmParallel(c.workers, true, false, out, in, n, 1, dy, out, x, in, 1, dw, in)
		return
	}
	left := side{c.kernels.RowPanels, c.kernels.BlockRows(), dy, out}
	right := side{c.kernels.ColumnPanels, c.kernels.BlockColumns(), x, in}
	if out >= in {
		c.eachPart(n, right, left, func(from int, whole, part kernel.Panels) {
			c.kernels.AddMultiplyT(dw[from*in:], in, part, whole)
		})
	} else {
		c.eachPart(n, left, right, func(from int, whole, part kernel.Panels) {
			c.kernels.AddMultiplyT(dw[from:], in, whole, part)
		})
	}
}

// side is a matrix [k, width] on one side of a product over its rows.
type side struct {
	panels func(data []float32, k, n int) kernel.Panels
	unit   int // columns of a panel
	data   []float32
	width  int
}

// eachPart lays the narrower side out once, and the wider one in parts of its columns, each by the task that needs it. It
// calls body for each block of each part, which begins at column from; blocks of one part come in order.
func (c *CPU) eachPart(k int, narrow, wide side, body func(from int, narrow, wide kernel.Panels)) {
	buffer := c.panels.borrow(c.kernels.PanelFloats(k, narrow.width))
	defer c.panels.giveBack(buffer)
	whole := narrow.panels(*buffer, k, narrow.width)
	c.workers.For(k, rowGrain, func(from, to int) { whole.Fill(narrow.data, narrow.width, from, to) })

	units := (wide.width + wide.unit - 1) / wide.unit
	parts := min(units, tasksPerWorker*c.workers.Count())
	c.workers.Each(parts, func(i int) {
		from, to := i*units/parts*wide.unit, min((i+1)*units/parts*wide.unit, wide.width)
		buffer := c.scratch.borrow(c.kernels.PanelFloats(whole.Depth(), to-from))
		defer c.scratch.giveBack(buffer)
		for start, steps := range whole.Blocks() {
			part := wide.panels(*buffer, steps, to-from)
			part.Fill(wide.data[start*wide.width+from:], wide.width, 0, steps)
			body(from, whole.Block(start), part)
		}
	})
}

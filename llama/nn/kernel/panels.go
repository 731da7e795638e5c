package kernel

import "iter"

// block is the arithmetic of products on panels.
type block struct {
	// run computes, for any number of rows and the columns of one panel b,
	//
	//	c[r·ldc + o] = (d[r·ldc + o] unless d is nil) + Σ_i a[r, i]·b[i·width + o],   0 ≤ i < k ≤ depth,
	//
	// each element by the same sequence of operations whatever rows are. The first rows of a, as many as their sums
	// fill the registers, are rowA apart, and the next as many begin nextA further; a row's values are stepA apart.
	// half does so for the first half of the columns.
	run, half blockFunc
	// spreadRows and spreadColumns copy rows, ld apart, to panels of rows or width columns, which begin stride apart.
	spreadRows, spreadColumns spreadFunc
	// transpose copies width rows, ld apart and k long, to the columns of a panel.
	transpose func(dst, src *float32, ld, k int)

	rows  int
	width int // of a panel
	depth int // of a panel that stays in the first-level cache beside the rows that meet it
}

type (
	blockFunc  func(c, d *float32, ldc int, a *float32, rowA, stepA, nextA int, b *float32, rows, k int)
	spreadFunc func(dst *float32, stride int, src *float32, ld, panels, rows int)
)

// Panels are a matrix [k, n] in the order in which products read it: the inner dimension in blocks, and within a block
// one panel after another, each some columns wide, [steps, width], the last one filled up with zeros.
//
// Where many products share a matrix it is worth laying out once. It is also what makes a large product fast: the rows
// of a panel are next to each other in memory, whatever the distance of the matrix's rows.
type Panels struct {
	data  []float32
	k, n  int // in use
	laid  int // steps that there is data for, k at least
	width int
	depth int // of all blocks but the last

	set    *Set
	spread spreadFunc
}

// ColumnPanels are the right side of a product, to be filled. data has room for PanelFloats.
func (s *Set) ColumnPanels(data []float32, k, n int) Panels {
	return s.panels(data, k, n, s.block.width, s.block.spreadColumns)
}

// RowPanels are the left side of a product, transposed: a column of theirs is a row of the result.
func (s *Set) RowPanels(data []float32, k, n int) Panels {
	return s.panels(data, k, n, s.block.rows, s.block.spreadRows)
}

// panels cuts k into blocks of about the same depth.
func (s *Set) panels(data []float32, k, n, width int, spread spreadFunc) Panels {
	blocks := max(1, (k+s.block.depth-1)/s.block.depth)
	p := Panels{k: k, n: n, laid: k, width: width, depth: max(1, (k+blocks-1)/blocks), set: s, spread: spread}
	p.data = data[:k*p.Count()*width]
	return p
}

// PanelFloats is how many values panels of either side of a [k, n] need.
func (s *Set) PanelFloats(k, n int) int {
	return k * max(roundUp(n, s.block.width), roundUp(n, s.block.rows))
}

// BlockRows is the number of rows that products are best cut at multiples of.
func (s *Set) BlockRows() int { return s.block.rows }

// BlockColumns is the same of columns.
func (s *Set) BlockColumns() int { return s.block.width }

// Count is how many panels a block has.
func (p Panels) Count() int { return (p.n + p.width - 1) / p.width }

// Depth is how many steps of the inner dimension a block has; the last one may have fewer.
func (p Panels) Depth() int { return p.depth }

// Blocks are where blocks of the inner dimension begin and how many steps they have.
func (p Panels) Blocks() iter.Seq2[int, int] {
	return func(yield func(start, steps int) bool) {
		for start := 0; start < p.k; start += p.depth {
			if !yield(start, min(p.depth, p.k-start)) {
				return
			}
		}
	}
}

// Block is the block that begins at start.
func (p Panels) Block(start int) Panels {
	row, laid := p.Count()*p.width, min(p.depth, p.laid-start)
	p.data, p.k = p.data[start*row:(start+laid)*row], min(laid, p.k-start)
	p.laid, p.depth = laid, laid
	return p
}

// First is the matrix's first k rows alone.
func (p Panels) First(k int) Panels {
	p.k = min(k, p.k)
	return p
}

// Padded is the matrix with the columns of zeros that fill its last panel up.
func (p Panels) Padded() Panels {
	p.n = p.Count() * p.width
	return p
}

// panel is the i-th panel of panels that are one block.
func (p Panels) panel(i int) []float32 { return p.data[i*p.laid*p.width:][:p.k*p.width] }

// spreadAtOnce is how many rows are laid out together: few enough that what was loaded of them with one panel's columns is
// still there for the next panel's.
const spreadAtOnce = 16

// Fill copies steps [from, to) of the inner dimension from b [k, n], whose rows are ldb apart.
func (p Panels) Fill(b []float32, ldb, from, to int) {
	for start, steps := range p.Blocks() {
		first, last := max(from, start), min(to, start+steps)
		if first >= last {
			continue
		}
		_ = b[(last-1)*ldb+p.n-1] // the assembly checks nothing
		block := p.Block(start)
		whole := p.n / p.width
		for row := first; whole > 0 && row < last; row += spreadAtOnce {
			p.spread(&block.data[(row-start)*p.width], steps*p.width, &b[row*ldb], ldb, whole, min(spreadAtOnce, last-row))
		}
		if rest := p.n % p.width; rest > 0 {
			panel := block.panel(whole)
			for i := first; i < last; i++ {
				to := panel[(i-start)*p.width:][:p.width]
				clear(to[copy(to, b[i*ldb+whole*p.width:][:rest]):])
			}
		}
	}
}

// FillT copies panels [from, to) of every block from the transpose of w [n, k], whose rows are ldw apart.
func (p Panels) FillT(w []float32, ldw, from, to int) {
	for start := range p.Blocks() {
		block := p.Block(start)
		for i := from; i < to; i++ {
			panel := block.panel(i)
			if (i+1)*p.width <= p.n {
				rows := w[i*p.width*ldw+start:]
				_ = rows[(p.width-1)*ldw+block.k-1] // the assembly checks nothing
				p.set.block.transpose(&panel[0], &rows[0], ldw, block.k)
				continue
			}
			clear(panel)
			for c := range p.n - i*p.width {
				for j, v := range w[(i*p.width+c)*ldw+start:][:block.k] {
					panel[j*p.width+c] = v
				}
			}
		}
	}
}

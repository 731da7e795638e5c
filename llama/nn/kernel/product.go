package kernel

// Multiply sets columns of c [rows, n] to those of d + a·b: all that panels [from, to) of b cover. a is [rows, k], rows
// are ldc and lda apart; d may be c, or nil for zeros.
//
// Like MatMulT's, an element's bits depend on its row of a and its column of b alone (and on d's element), not on how a
// product is cut; but sums are taken in another order.
func (s *Set) Multiply(c, d []float32, ldc int, a []float32, lda, rows int, b Panels, from, to int) {
	if rows == 0 || from == to {
		return
	}
	if b.k == 0 {
		panic("kernel: Multiply: the inner dimension is empty")
	}
	for start := range b.Blocks() {
		block := b.Block(start)
		for i := from; i < to; i++ {
			s.multiply(c, d, ldc, a[start:], lda, 1, lda*s.block.rows, rows, block, i)
		}
		d = c
	}
}

// AddMultiplyT adds aᵀ·b to c [m, n], whose rows are ldc apart. a and b are one block of panels each, a's of rows.
func (s *Set) AddMultiplyT(c []float32, ldc int, a, b Panels) {
	for i := range b.Count() {
		s.multiply(c, c, ldc, a.data, 1, a.width, a.k*a.width, a.n, b, i)
	}
}

// MultiplyT sets c [rows, n] to d + aᵀ·b for a [k, rows] as it is stored: for few rows of a small inner dimension, which
// are not worth laying out. Rows are ldc and lda apart; d may be c, or nil for zeros.
func (s *Set) MultiplyT(c, d []float32, ldc int, a []float32, lda, rows int, b Panels) {
	for start := range b.Blocks() {
		block := b.Block(start)
		for i := range block.Count() {
			s.multiply(c, d, ldc, a[start*lda:], 1, lda, s.block.rows, rows, block, i)
		}
		d = c
	}
}

// multiply computes one panel's columns for one block of the inner dimension.
func (s *Set) multiply(c, d []float32, ldc int, a []float32, rowA, stepA, nextA, rows int, b Panels, i int) {
	panel, first := b.panel(i), i*b.width
	n := min(b.width, b.n-first)
	_ = c[(rows-1)*ldc+first+n-1] // the assembly checks nothing
	_ = a[(rows-1)/s.block.rows*nextA+(rows-1)%s.block.rows*rowA+(b.k-1)*stepA]
	var from *float32
	if d != nil {
		_ = d[(rows-1)*ldc+first+n-1]
		from = &d[first]
	}
	switch n {
	case b.width:
		s.block.run(&c[first], from, ldc, &a[0], rowA, stepA, nextA, &panel[0], rows, b.k)
		return
	case b.width / 2:
		s.block.half(&c[first], from, ldc, &a[0], rowA, stepA, nextA, &panel[0], rows, b.k)
		return
	}
	// The last panel reaches beyond c: it is computed beside it.
	scratch := s.borrow()
	defer s.scratch.Put(scratch)
	sums := &scratch.sums
	for r := 0; r < rows; r += s.block.rows {
		height := min(s.block.rows, rows-r)
		s.block.run(&sums[0], nil, b.width, &a[r/s.block.rows*nextA], rowA, stepA, nextA, &panel[0], height, b.k)
		for j := range height {
			to := c[(r+j)*ldc+first:][:n]
			if d == nil {
				copy(to, sums[j*b.width:])
				continue
			}
			for o, v := range d[(r+j)*ldc+first:][:n] {
				to[o] = v + sums[j*b.width+o]
			}
		}
	}
}

// The largest block of any set.
const maxBlockRows, maxBlockWidth = 12, 32

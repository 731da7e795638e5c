package kernel

import "unsafe"

// A plain block's rows and columns.
const plainRows, plainWidth = 4, 8

func plainBlocks() block {
	return block{
		run: plainBlock, spreadRows: plainSpread(plainRows), spreadColumns: plainSpread(plainWidth),
		rows: plainRows, width: plainWidth, depth: 512,
	}
}

// floats are n values from base + offset on.
func floats(base *float32, offset, n int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(base), offset*int(unsafe.Sizeof(*base)))), n)
}

// plainBlock is block.run.
func plainBlock(c, d *float32, ldc int, a *float32, rowA, stepA, nextA int, b *float32, rows, k int) {
	for r := range rows {
		var sums [plainWidth]float32
		for i := range k {
			x := floats(a, r/plainRows*nextA+r%plainRows*rowA+i*stepA, 1)[0]
			for o, v := range floats(b, i*plainWidth, plainWidth) {
				sums[o] += x * v
			}
		}
		if d != nil {
			for o, v := range floats(d, r*ldc, plainWidth) {
				sums[o] = v + sums[o]
			}
		}
		copy(floats(c, r*ldc, plainWidth), sums[:])
	}
}

// plainSpread is block.spreadRows or spreadColumns.
func plainSpread(width int) func(dst *float32, stride int, src *float32, ld, panels, rows int) {
	return func(dst *float32, stride int, src *float32, ld, panels, rows int) {
		for r := range rows {
			for p := range panels {
				copy(floats(dst, r*width+p*stride, width), floats(src, r*ld+p*width, width))
			}
		}
	}
}

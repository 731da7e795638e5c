package kernel

import "unsafe"

// A plain block's rows and columns.
const plainRows, plainWidth = 4, 8

func plainBlocks() block {
	return block{
		run: plainBlock(plainWidth), half: plainBlock(plainWidth / 2),
		spreadRows: plainSpread(plainRows), spreadColumns: plainSpread(plainWidth), transpose: plainTranspose,
		rows: plainRows, width: plainWidth, depth: 512,
	}
}

// floats are n values from base + offset on.
func floats(base *float32, offset, n int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(base), offset*int(unsafe.Sizeof(*base)))), n)
}

// plainBlock is block.run, or block.half.
func plainBlock(width int) blockFunc {
	return func(c, d *float32, ldc int, a *float32, rowA, stepA, nextA int, b *float32, rows, k int) {
		for r := range rows {
			var all [plainWidth]float32
			sums := all[:width]
			for i := range k {
				x := floats(a, r/plainRows*nextA+r%plainRows*rowA+i*stepA, 1)[0]
				for o, v := range floats(b, i*plainWidth, width) {
					sums[o] += x * v
				}
			}
			if d != nil {
				for o, v := range floats(d, r*ldc, width) {
					sums[o] = v + sums[o]
				}
			}
			copy(floats(c, r*ldc, width), sums)
		}
	}
}

// plainTranspose is block.transpose.
func plainTranspose(dst, src *float32, ld, k int) {
	for c := range plainWidth {
		for j, v := range floats(src, c*ld, k) {
			floats(dst, j*plainWidth+c, 1)[0] = v
		}
	}
}

// plainSpread is block.spreadRows or spreadColumns.
func plainSpread(width int) spreadFunc {
	return func(dst *float32, stride int, src *float32, ld, panels, rows int) {
		for r := range rows {
			for p := range panels {
				copy(floats(dst, r*width+p*stride, width), floats(src, r*ld+p*width, width))
			}
		}
	}
}

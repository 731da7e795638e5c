package kernel

import "golang.org/x/sys/cpu"

// processorSets lists the sets that this processor runs, the fastest first.
func processorSets() []*Set {
	var sets []*Set
	x := cpu.X86
	hasAVX2 := x.HasAVX2 && x.HasFMA
	if hasAVX2 && x.HasBMI2 && x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512BW && x.HasAVX512VL {
		sets = append(sets, &Set{name: AVX512, routines: routines{
			expShift:        expShiftAVX512,
			sum:             sumAVX512,
			max:             maxAVX512,
			dot:             dotAVX512,
			dot3:            dot3AVX512,
			axpy:            axpyAVX512,
			scale:           scaleAVX512,
			add:             addAVX512,
			scaleMul:        scaleMulAVX512,
			addScaledMul:    addScaledMulAVX512,
			rmsBackward:     rmsBackwardAVX512,
			softmaxBackward: softmaxBackwardAVX512,
			swiglu:          swigluAVX512,
			swigluBackward:  swigluBackwardAVX512,
			rotate:          rotateAVX512,
			adamw: func(param, grad, m, v []float32, c *adamCoefficients) {
				adamwAVX512(param, grad, m, v, &c.gradScale)
			},
			tile: tile{run: tileAVX512, maxRows: 4},
			block: block{
				run: blockAVX512, half: halfBlockAVX512,
				spreadRows: spreadRowsAVX512, spreadColumns: spreadColumnsAVX512, transpose: transposeAVX512,
				rows: 12, width: 32, depth: 288,
			},
		}})
	}
	if hasAVX2 {
		sets = append(sets, &Set{name: AVX2, routines: routines{
			expShift:        expShiftAVX2,
			sum:             sumAVX2,
			max:             maxAVX2,
			dot:             dotAVX2,
			dot3:            dot3AVX2,
			axpy:            axpyAVX2,
			scale:           scaleAVX2,
			add:             addAVX2,
			scaleMul:        scaleMulAVX2,
			addScaledMul:    addScaledMulAVX2,
			rmsBackward:     rmsBackwardAVX2,
			softmaxBackward: softmaxBackwardAVX2,
			swiglu:          swigluAVX2,
			swigluBackward:  swigluBackwardAVX2,
			rotate:          rotateAVX2,
			adamw: func(param, grad, m, v []float32, c *adamCoefficients) {
				adamwAVX2(param, grad, m, v, &c.gradScale)
			},
			tile: tile{run: tileAVX2, maxRows: 3},
			block: block{
				run: blockAVX2, half: halfBlockAVX2,
				spreadRows: spreadRowsAVX2, spreadColumns: spreadColumnsAVX2, transpose: transposeAVX2,
				rows: 6, width: 16, depth: 384,
			},
		}})
	}
	return append(sets, plainSet())
}

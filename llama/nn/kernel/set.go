package kernel

import (
	"strings"
	"sync"

	"tandem"
)

// Names of the sets.
const (
	Plain  = "plain"  // Go, on every machine
	AVX2   = "avx2"   // amd64 with AVX2 and FMA: 8 lanes
	AVX512 = "avx512" // amd64 with AVX-512 F, DQ, BW and VL: 16 lanes
)

// Set is one implementation of the package's functions. It has no state that shows and is safe for concurrent use.
type Set struct {
	name string
	routines
	scratch sync.Pool // of *scratch
}

// scratch is memory for one call. A local variable would be allocated anew each time: Go does not see that routines keep
// nothing of what they are given.
type scratch struct {
	sums  [maxBlockRows * maxBlockWidth]float32
	block [logSumExpBlock]float32
}

func (s *Set) borrow() *scratch {
	if b, ok := s.scratch.Get().(*scratch); ok {
		return b
	}
	return new(scratch)
}

// Name is Plain, AVX2 or AVX512.
func (s *Set) Name() string { return s.name }

// Vectorized reports whether the set is assembly, whose products of panels run at the processor's speed.
func (s *Set) Vectorized() bool { return s.name != Plain }

// Select returns the set of that name, or the fastest that the processor has for "". It fails with code
// invalid for a name that there is not, and unsupported for one that this processor cannot run.
func Select(name string) (*Set, error) {
	const op = "kernel.Select"
	available := processorSets()
	if name == "" {
		return available[0], nil
	}
	var names []string
	for _, s := range available {
		if s.name == name {
			return s, nil
		}
		names = append(names, s.name)
	}
	if name == AVX2 || name == AVX512 {
		return nil, tandem.Errorf(tandem.Unsupported, op, "this processor has no %s kernels (it has %s)", name, strings.Join(names, ", "))
	}
	return nil, tandem.Errorf(tandem.Invalid, op, "there are no %q kernels (there are %s, %s and %s)", name, AVX512, AVX2, Plain)
}

// NameForCoreType returns the name to Select for a value of OPENBLAS_CORETYPE, so that the variable that
// holds OpenBLAS to an instruction set holds these kernels to the same one and figures compare: AVX2 for
// processors without AVX-512, such as Haswell and Zen; "" otherwise.
func NameForCoreType(coreType string) string {
	switch strings.ToLower(coreType) {
	case "haswell", "zen", "excavator":
		return AVX2
	}
	return ""
}

// routines are the functions behind a Set. Their slices have been checked: all as long as the first
// unless it says otherwise, and not empty.
type routines struct {
	expShift        func(dst, x []float32, scale, shift float32) (sum float32) // dst = exp(scale·x − shift)
	sum             func(x []float32) float32
	max             func(x []float32) float32
	dot             func(x, y []float32) float32
	dot3            func(x, y, z []float32) float32                    // Σ x·y·z
	axpy            func(alpha float32, x, y []float32)                // y += alpha·x
	scale           func(alpha float32, x []float32)                   // x *= alpha
	add             func(dst, x []float32)                             // dst += x
	scaleMul        func(dst, x, gain []float32, alpha float32)        // dst = (alpha·x)·gain
	addScaledMul    func(dst, x, y []float32, alpha float32)           // dst += (alpha·x)·y
	rmsBackward     func(dx, dy, x, gain []float32, inv, back float32) // dx = inv·(gain·dy) − back·x
	softmaxBackward func(dx, p, dp []float32, scale, mean float32)     // dx = scale·p·(dp − mean)
	swiglu          func(dst, gate, up []float32)                      // dst = silu(gate)·up
	swigluBackward  func(dGate, dUp, dOut, gate, up []float32)         // see SwiGLUBackward
	rotate          func(a, b, cos, sin []float32, sign float32)       // a' = a·cos − sign·b·sin, b' = b·cos + sign·a·sin
	adamw           func(param, grad, m, v []float32, c *adamCoefficients)
	tile            tile
	block           block
}

// sameLength panics unless every slice has n elements.
func sameLength(name string, n int, slices ...[]float32) {
	for _, s := range slices {
		if len(s) != n {
			panic("kernel: " + name + ": slices of different lengths")
		}
	}
}

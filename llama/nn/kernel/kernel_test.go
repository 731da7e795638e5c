package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tandem"
)

// lengths are all short ones, where heads and tails of vectors meet, and some long ones.
func lengths() []int {
	var ns []int
	for n := range 131 {
		ns = append(ns, n)
	}
	return append(ns, 288, 511, 512, 1000, 4096, 5003)
}

// normal returns n numbers of N(0, deviation²) in a slice that starts off any alignment, with guards
// around it that check compares.
func normal(rng *rand.Rand, n int, deviation float64) []float32 {
	x := make([]float32, n+9)
	offset := 1 + rng.IntN(7)
	for i := range x {
		x[i] = float32(rng.NormFloat64() * deviation)
	}
	return x[offset : offset+n : offset+n]
}

// each runs f for every set of this processor.
func each(t *testing.T, f func(t *testing.T, s *Set)) {
	for _, s := range processorSets() {
		t.Run(s.Name(), func(t *testing.T) { f(t, s) })
	}
}

// near fails unless got is want within tolerance, relative to scale.
func near(t *testing.T, what string, got, want, scale, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > tolerance*scale {
		t.Fatalf("%s is %g, want %g", what, got, want)
	}
}

func nearAll(t *testing.T, what string, got []float32, want func(i int) float64, tolerance float64) {
	t.Helper()
	for i, g := range got {
		w := want(i)
		near(t, fmt.Sprintf("%s[%d] of %d", what, i, len(got)), float64(g), w, 1+math.Abs(w), tolerance)
	}
}

// guarded calls f on a slice of n elements inside a larger one and fails when f wrote beside it.
func guarded(t *testing.T, n int, f func(x []float32)) {
	t.Helper()
	const guard = 37.5
	whole := make([]float32, n+48)
	for i := range whole {
		whole[i] = guard
	}
	f(whole[17 : 17+n : 17+n])
	for i, v := range whole {
		if (i < 17 || i >= 17+n) && v != guard {
			t.Fatalf("length %d: element %d beside the slice was overwritten", n, i-17)
		}
	}
}

func TestSelect(t *testing.T) {
	for _, s := range processorSets() {
		got, err := Select(s.Name())
		if err != nil || got.Name() != s.Name() {
			t.Errorf("Select(%q) = %v, %v", s.Name(), got, err)
		}
	}
	if s, err := Select(""); err != nil || s.Name() != processorSets()[0].Name() {
		t.Errorf("Select of nothing = %v, %v, want the fastest", s, err)
	}
	if _, err := Select("neon"); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("Select of an unknown name gives %v, want code %s", err, tandem.Invalid)
	}
	if got := NameForCoreType("Haswell"); got != AVX2 {
		t.Errorf("Haswell asks for %q, want %q", got, AVX2)
	}
	if got := NameForCoreType("SkylakeX"); got != "" {
		t.Errorf("SkylakeX asks for %q, want no limit", got)
	}
}

// ulps is the distance of got from want in units in the last place of a float32.
func ulps(got float32, want float64) float64 {
	w := float32(want)
	if got == w {
		return 0
	}
	unit := float64(math.Nextafter32(float32(math.Abs(want)), math.MaxFloat32)) - math.Abs(float64(w))
	return math.Abs(float64(got)-want) / unit
}

func TestExp(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		var x []float32
		for v := float32(-103); v < 88.7; v += 0.00173 {
			x = append(x, v)
		}
		got := make([]float32, len(x))
		s.Exp(got, x)
		worst := 0.0
		for i, v := range x {
			if e := ulps(got[i], math.Exp(float64(v))); e > worst {
				worst = e
			}
		}
		if worst > 2 {
			t.Errorf("exp is off by %.2f units in the last place", worst)
		}
		inf, nan := float32(math.Inf(1)), float32(math.NaN())
		for n := 1; n < 40; n++ { // special values at every position of a vector
			for _, c := range []struct{ x, want float32 }{{inf, inf}, {-inf, 0}, {0, 1}, {float32(math.Copysign(0, -1)), 1}, {89, inf}, {1000, inf}, {88.8, inf}, {-104, 0}, {-1e30, 0}, {1e-30, 1}, {nan, nan}} {
				row := make([]float32, n)
				row[n-1] = c.x
				s.Exp(row, row)
				if got := row[n-1]; got != c.want && !(math.IsNaN(float64(c.want)) && math.IsNaN(float64(got))) {
					t.Fatalf("exp(%g) = %g, want %g", c.x, got, c.want)
				}
			}
		}
	})
}

func TestVectors(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		rng := rand.New(rand.NewPCG(5, 6))
		for _, n := range lengths() {
			x, y := normal(rng, n, 1), normal(rng, n, 1)
			var sum, dot, squares, size float64
			top := math.Inf(-1)
			for i := range x {
				a, b := float64(x[i]), float64(y[i])
				sum, dot, squares, top = sum+a, dot+a*b, squares+a*a, max(top, a)
				size += math.Abs(a)
			}
			near(t, fmt.Sprintf("Sum of %d", n), float64(s.Sum(x)), sum, 1+size, 1e-6)
			near(t, fmt.Sprintf("Dot of %d", n), float64(s.Dot(x, y)), dot, 1+squares, 1e-6)
			near(t, fmt.Sprintf("SumSquares of %d", n), s.SumSquares(x), squares, 1+squares, 1e-6)
			if got := s.Max(x); float64(got) != top {
				t.Fatalf("Max of %d is %g, want %g", n, got, top)
			}
			guarded(t, n, func(dst []float32) {
				copy(dst, y)
				s.Axpy(0.75, x, dst)
				nearAll(t, "Axpy", dst, func(i int) float64 { return float64(y[i]) + 0.75*float64(x[i]) }, 1e-6)
				copy(dst, y)
				s.Add(dst, x)
				nearAll(t, "Add", dst, func(i int) float64 { return float64(y[i]) + float64(x[i]) }, 1e-6)
				s.Scale(-3, dst)
				nearAll(t, "Scale", dst, func(i int) float64 { return -3 * (float64(y[i]) + float64(x[i])) }, 1e-6)
			})
			guarded(t, n, func(dst []float32) {
				got := s.ExpShifted(dst, x, 0.5, 0.25)
				want := 0.0
				for _, v := range x {
					want += math.Exp(0.5*float64(v) - 0.25)
				}
				near(t, "ExpShifted's sum", float64(got), want, 1+want, 2e-6)
				nearAll(t, "ExpShifted", dst, func(i int) float64 { return math.Exp(0.5*float64(x[i]) - 0.25) }, 1e-6)
			})
		}
	})
}

// softmax is Exponentials and the division that its callers make later.
func softmax(s *Set, x []float32, scale float32) (logSumExp float32) {
	sum, logSumExp := s.Exponentials(x, scale)
	if sum != 0 {
		s.Scale(1/sum, x)
	}
	return logSumExp
}

func TestSoftmax(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		rng := rand.New(rand.NewPCG(7, 8))
		inf := float32(math.Inf(1))
		for _, n := range lengths()[1:] {
			x := normal(rng, n, 4)
			if n > 3 {
				x[2] = -inf // a masked entry
			}
			const scale = 0.7
			var total, dot float64
			for _, v := range x {
				total += math.Exp(scale * float64(v))
			}
			near(t, "LogSumExp", float64(s.LogSumExp(x, scale)), math.Log(total), 10, 1e-6)
			p := slices.Clone(x)
			near(t, "Softmax's logsumexp", float64(softmax(s, p, scale)), math.Log(total), 10, 1e-6)
			nearAll(t, "Softmax", p, func(i int) float64 { return math.Exp(scale*float64(x[i])) / total }, 1e-6)

			dp := normal(rng, n, 1)
			for i := range p {
				dot += float64(p[i]) * float64(dp[i])
			}
			guarded(t, n, func(dx []float32) {
				s.SoftmaxBackward(dx, p, dp, scale)
				nearAll(t, "SoftmaxBackward", dx, func(i int) float64 { return scale * float64(p[i]) * (float64(dp[i]) - dot) }, 2e-6)
			})
		}
		masked := []float32{-inf, -inf, -inf}
		if got := s.LogSumExp(masked, 1); got != -inf {
			t.Errorf("LogSumExp of a masked row is %g, want −∞", got)
		}
		if got := softmax(s, masked, 1); got != -inf || !slices.Equal(masked, []float32{0, 0, 0}) {
			t.Errorf("Softmax of a masked row is %v with logsumexp %g, want zeros and −∞", masked, got)
		}
		large := []float32{1e4, 1e4}
		if softmax(s, large, 1); !slices.Equal(large, []float32{0.5, 0.5}) {
			t.Errorf("Softmax of equal large numbers is %v", large)
		}
	})
}

func TestSwiGLU(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		rng := rand.New(rand.NewPCG(9, 10))
		for _, n := range lengths() {
			gate, up, dOut := normal(rng, n, 3), normal(rng, n, 1), normal(rng, n, 1)
			if n > 2 {
				gate[0], gate[1], gate[2] = -200, 200, 0
			}
			sigmoid := func(i int) float64 { return 1 / (1 + math.Exp(-float64(gate[i]))) }
			guarded(t, n, func(dst []float32) {
				s.SwiGLU(dst, gate, up)
				nearAll(t, "SwiGLU", dst, func(i int) float64 { return float64(gate[i]) * sigmoid(i) * float64(up[i]) }, 2e-6)
			})
			guarded(t, n, func(dGate []float32) {
				guarded(t, n, func(dUp []float32) {
					s.SwiGLUBackward(dGate, dUp, dOut, gate, up)
					nearAll(t, "dUp", dUp, func(i int) float64 { return float64(dOut[i]) * float64(gate[i]) * sigmoid(i) }, 2e-6)
					nearAll(t, "dGate", dGate, func(i int) float64 {
						q := sigmoid(i)
						return float64(dOut[i]) * float64(up[i]) * q * (1 + float64(gate[i])*(1-q))
					}, 4e-6)
				})
			})
		}
	})
}

func TestRMSNorm(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		rng := rand.New(rand.NewPCG(11, 12))
		for _, n := range lengths()[1:] {
			x, gain, dy, dGain := normal(rng, n, 2), normal(rng, n, 1), normal(rng, n, 1), normal(rng, n, 1)
			const eps = 1e-5
			var squares, product float64
			for i, v := range x {
				squares += float64(v) * float64(v)
				product += float64(gain[i]) * float64(dy[i]) * float64(v)
			}
			inv := 1 / math.Sqrt(squares/float64(n)+eps)
			guarded(t, n, func(dst []float32) {
				near(t, "RMSNorm's 1/rms", float64(s.RMSNorm(dst, x, gain, eps)), inv, inv, 1e-6)
				nearAll(t, "RMSNorm", dst, func(i int) float64 { return float64(x[i]) * inv * float64(gain[i]) }, 2e-6)
			})
			guarded(t, n, func(dx []float32) {
				before := slices.Clone(dGain)
				s.RMSNormBackward(dx, dGain, dy, x, gain, float32(inv))
				nearAll(t, "dx", dx, func(i int) float64 {
					return inv*float64(gain[i])*float64(dy[i]) - float64(x[i])*inv*inv*inv/float64(n)*product
				}, 2e-5) // at n = 1 the terms cancel
				nearAll(t, "dGain", dGain, func(i int) float64 { return float64(before[i]) + float64(dy[i])*float64(x[i])*inv }, 2e-6)
			})
		}
	})
}

func TestRotate(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		rng := rand.New(rand.NewPCG(13, 14))
		for _, half := range lengths() {
			head := normal(rng, 2*half, 1)
			cos, sin := make([]float32, half), make([]float32, half)
			for i := range cos {
				angle := rng.Float64() * 6
				cos[i], sin[i] = float32(math.Cos(angle)), float32(math.Sin(angle))
			}
			guarded(t, 2*half, func(x []float32) {
				copy(x, head)
				s.Rotate(x, cos, sin, 1)
				nearAll(t, "Rotate", x, func(i int) float64 {
					if i < half {
						return float64(head[i])*float64(cos[i]) - float64(head[i+half])*float64(sin[i])
					}
					return float64(head[i])*float64(cos[i-half]) + float64(head[i-half])*float64(sin[i-half])
				}, 1e-6)
				s.Rotate(x, cos, sin, -1)
				nearAll(t, "Rotate back", x, func(i int) float64 { return float64(head[i]) }, 1e-6)
			})
		}
	})
}

func TestAdamW(t *testing.T) {
	step := AdamW{LearningRate: 1e-2, Beta1: 0.9, Beta2: 0.95, Eps: 1e-5, Decay: 0.1, Step: 3, GradientScale: 0.25}
	each(t, func(t *testing.T, s *Set) {
		rng := rand.New(rand.NewPCG(15, 16))
		for _, n := range lengths() {
			param, grad, m, v := normal(rng, n, 1), normal(rng, n, 1), normal(rng, n, 1), normal(rng, n, 1)
			for i := range v {
				v[i] *= v[i]
			}
			p0, m0, v0 := slices.Clone(param), slices.Clone(m), slices.Clone(v)
			moments := func(i int) (float64, float64) {
				g := 0.25 * float64(grad[i])
				return 0.9*float64(m0[i]) + 0.1*g, 0.95*float64(v0[i]) + 0.05*g*g
			}
			s.AdamW(param, grad, m, v, step)
			nearAll(t, "m", m, func(i int) float64 { a, _ := moments(i); return a }, 1e-6)
			nearAll(t, "v", v, func(i int) float64 { _, b := moments(i); return b }, 1e-6)
			nearAll(t, "param", param, func(i int) float64 {
				a, b := moments(i)
				a /= 1 - math.Pow(0.9, 3)
				b /= 1 - math.Pow(0.95, 3)
				return (1-1e-2*0.1)*float64(p0[i]) - 1e-2*a/(math.Sqrt(b)+1e-5)
			}, 2e-6)
		}
	})
}

func TestUnequalLengthsPanic(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		defer func() {
			if recover() == nil {
				t.Error("Dot of slices of 3 and 4 elements returned")
			}
		}()
		s.Dot(make([]float32, 3), make([]float32, 4))
	})
}

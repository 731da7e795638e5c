package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tandem/internal/parallel"
)

func TestMatMulTAgreesWithTheDefinition(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		rng := rand.New(rand.NewPCG(17, 18))
		check := func(rows, out, in, pad int) {
			ldx, ldw, ldy := in+pad, in+2*pad, out+pad
			x, w := normal(rng, rows*ldx, 1), normal(rng, out*ldw, 1)
			guarded(t, rows*ldy, func(y []float32) {
				for i := range y {
					y[i] = float32(math.NaN())
				}
				s.MatMulTStrided(y, ldy, x, ldx, w, ldw, rows, out, in)
				for r := range rows {
					for o := range ldy {
						got := y[r*ldy+o]
						if o >= out {
							if !math.IsNaN(float64(got)) {
								t.Fatalf("rows %d, out %d, in %d: the gap between rows was overwritten", rows, out, in)
							}
							continue
						}
						var want float64
						for k := range in {
							want += float64(x[r*ldx+k]) * float64(w[o*ldw+k])
						}
						near(t, fmt.Sprintf("rows %d, out %d, in %d: y[%d, %d]", rows, out, in, r, o), float64(got), want, math.Sqrt(float64(in)+1), 3e-6)
					}
				}
			})
		}
		for in := range 131 {
			check(1+in%7, 1+in%9, in, in%3)
		}
		for rows := 1; rows <= 9; rows++ {
			for out := 1; out <= 21; out++ {
				check(rows, out, 40, 0)
			}
		}
		check(5, 37, 1300, 1)
		check(33, 3, 513, 0)
	})
}

// The promise that a score or a sampled token does not depend on its batch rests on this.
func TestMatMulTRowsDependOnNothingElse(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		rng := rand.New(rand.NewPCG(19, 20))
		for _, in := range []int{1, 7, 64, 100, 288, 512, 768, 1100} {
			const rows, out = 32, 53
			x, w := normal(rng, rows*in, 1), normal(rng, out*in, 1)
			want := make([]float32, rows*out)
			s.MatMulT(want, x, w, rows, out, in)

			for _, workers := range []int{1, 2, 3, 7} {
				got := make([]float32, rows*out)
				s.MatMulTParallel(parallel.New(workers), got, x, w, rows, out, in)
				if !slices.Equal(got, want) {
					t.Fatalf("in %d: %d workers give other bits", in, workers)
				}
			}
			for r := range rows { // every row alone
				got := make([]float32, out)
				s.MatMulT(got, x[r*in:], w, 1, out, in)
				if !slices.Equal(got, want[r*out:(r+1)*out]) {
					t.Fatalf("in %d: row %d alone gives other bits than among %d", in, r, rows)
				}
			}
			for o := range out { // every output alone, of several rows
				got := make([]float32, 3)
				s.MatMulT(got, x, w[o*in:], 3, 1, in)
				for r := range got {
					if got[r] != want[r*out+o] {
						t.Fatalf("in %d: output %d alone gives other bits than among %d", in, o, out)
					}
				}
			}
			for trial := range 20 { // any rectangle, elsewhere in memory
				r0, o0 := rng.IntN(rows), rng.IntN(out)
				n, m := 1+rng.IntN(rows-r0), 1+rng.IntN(out-o0)
				xs := append(make([]float32, trial%5), x[r0*in:(r0+n)*in]...)[trial%5:]
				got := make([]float32, n*m)
				s.MatMulT(got, xs, w[o0*in:], n, m, in)
				for r := range n {
					if !slices.Equal(got[r*m:(r+1)*m], want[(r0+r)*out+o0:(r0+r)*out+o0+m]) {
						t.Fatalf("in %d: rows %d+%d × outputs %d+%d give other bits than the whole", in, r0, n, o0, m)
					}
				}
			}
		}
	})
}

func TestMatMulTRefusesShortSlices(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		for name, call := range map[string]func(){
			"y": func() { s.MatMulT(make([]float32, 5), make([]float32, 8), make([]float32, 12), 2, 3, 4) },
			"x": func() { s.MatMulT(make([]float32, 6), make([]float32, 7), make([]float32, 12), 2, 3, 4) },
			"w": func() { s.MatMulT(make([]float32, 6), make([]float32, 8), make([]float32, 11), 2, 3, 4) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("a short %s was accepted", name)
					}
				}()
				call()
			}()
		}
	})
}

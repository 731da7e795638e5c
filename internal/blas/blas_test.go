package blas_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tandem"
	"tandem/internal/blas"
	"tandem/internal/parallel"
)

// libraries are the ones that the machine has: gonum always, a tuned one where it is installed.
func libraries(t testing.TB) []*blas.Library {
	t.Helper()
	plain, err := blas.Load(blas.Options{Name: "gonum"})
	if err != nil {
		t.Fatal(err)
	}
	found, err := blas.Load(blas.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !found.Fast() {
		t.Log("no tuned BLAS is installed: gonum alone is tested")
		return []*blas.Library{plain}
	}
	return []*blas.Library{plain, found}
}

// naive is the product by its definition, in float64.
func naive(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	at := func(data []float32, trans bool, stride, i, j int) float64 {
		if trans {
			i, j = j, i
		}
		return float64(data[i*stride+j])
	}
	for i := range m {
		for j := range n {
			var sum float64
			for p := range k {
				sum += at(a, transA, lda, i, p) * at(b, transB, ldb, p, j)
			}
			old := 0.0
			if beta != 0 {
				old = float64(beta) * float64(c[i*ldc+j])
			}
			c[i*ldc+j] = float32(float64(alpha)*sum + old)
		}
	}
}

func random(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

func closeTo(got, want []float32, k int) (int, bool) {
	for i := range got {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= 2e-6*math.Sqrt(float64(k+1))*(1+math.Abs(float64(want[i])))) {
			return i, false
		}
	}
	return 0, true
}

type gemm func(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int)

func TestGemmAgreesWithTheDefinition(t *testing.T) {
	shapes := [][3]int{{1, 1, 1}, {1, 7, 5}, {3, 1, 9}, {5, 6, 7}, {17, 33, 65}, {64, 64, 64}, {130, 67, 31}, {1, 300, 288}, {257, 129, 40}, {1024, 300, 20}, {300, 1024, 20}, {4, 4, 0}}
	for _, l := range libraries(t) {
		forms := map[string]gemm{
			"one call": l.Gemm,
			"split": func(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
				l.GemmParallel(parallel.New(3), transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
			},
		}
		rng := rand.New(rand.NewPCG(1, 2))
		for _, s := range shapes {
			for trial := range 16 {
				transA, transB := trial&1 != 0, trial&2 != 0
				pad := 3 * (trial >> 2 & 1)
				alpha, beta := float32(1), float32(0)
				if trial&8 != 0 {
					alpha, beta = -0.5, 2
				}
				m, n, k := s[0], s[1], s[2]
				aRows, aCols, bRows, bCols := m, k, k, n
				if transA {
					aRows, aCols = aCols, aRows
				}
				if transB {
					bRows, bCols = bCols, bRows
				}
				lda, ldb, ldc := max(1, aCols)+pad, max(1, bCols)+pad, n+pad
				a, b, c := random(rng, aRows*lda), random(rng, bRows*ldb), random(rng, m*ldc)
				if beta == 0 {
					for i := range m {
						c[i*ldc] = float32(math.NaN()) // must not be read
					}
				}
				want := slices.Clone(c)
				naive(transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, want, ldc)
				for form, multiply := range forms {
					got := slices.Clone(c)
					multiply(transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, got, ldc)
					if i, ok := closeTo(got, want, k); !ok {
						t.Fatalf("%s, %s, %v, transposed %v %v, stride +%d, alpha %g, beta %g: element %d is %g, want %g",
							l.Name(), form, s, transA, transB, pad, alpha, beta, i, got[i], want[i])
					}
				}
			}
		}
	}
}

func TestSplitGivesTheSameBitsOnAnyNumberOfWorkers(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, l := range libraries(t) {
		for _, s := range [][3]int{{200, 96, 300}, {1, 2000, 700}, {384, 288, 100}} {
			m, n, k := s[0], s[1], s[2]
			a, b := random(rng, m*k), random(rng, k*n)
			want := make([]float32, m*n)
			l.GemmParallel(parallel.New(1), false, false, m, n, k, 1, a, k, b, n, 0, want, n)
			for _, workers := range []int{2, 3, 5} {
				got := make([]float32, m*n)
				l.GemmParallel(parallel.New(workers), false, false, m, n, k, 1, a, k, b, n, 0, got, n)
				if !slices.Equal(got, want) {
					t.Errorf("%s %v: %d workers give other bits than one", l.Name(), s, workers)
				}
			}
		}
	}
}

func TestGemmRefusesShortSlices(t *testing.T) {
	for _, l := range libraries(t) {
		for name, call := range map[string]func(){
			"A": func() {
				l.Gemm(false, false, 2, 2, 2, 1, make([]float32, 3), 2, make([]float32, 4), 2, 0, make([]float32, 4), 2)
			},
			"B": func() {
				l.Gemm(false, true, 2, 2, 2, 1, make([]float32, 4), 2, make([]float32, 3), 2, 0, make([]float32, 4), 2)
			},
			"C": func() {
				l.Gemm(false, false, 2, 2, 2, 1, make([]float32, 4), 2, make([]float32, 4), 2, 0, make([]float32, 4), 3)
			},
			"stride": func() {
				l.Gemm(false, false, 2, 2, 2, 1, make([]float32, 4), 1, make([]float32, 4), 2, 0, make([]float32, 4), 2)
			},
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: a wrong %s was passed on", l.Name(), name)
					}
				}()
				call()
			}()
		}
	}
}

func TestLoadNamesWhatIsMissing(t *testing.T) {
	_, err := blas.Load(blas.Options{Name: "/nowhere/libblas.so"})
	if tandem.CodeOf(err) != tandem.NotFound {
		t.Errorf("a missing library gives %v, want code %s", err, tandem.NotFound)
	}
	l, err := blas.Load(blas.Options{Name: "gonum"})
	if err != nil || l.Fast() || l.Name() != "gonum" || l.Kernel() == "" {
		t.Errorf("gonum asked for, got %v (fast %v), %v", l, l.Fast(), err)
	}
}

func TestImplementationServesGonum(t *testing.T) {
	for _, l := range libraries(t) {
		impl := l.Implementation(parallel.New(2))
		c := make([]float32, 4)
		impl.Sgemm('N', 'T', 2, 2, 2, 1, []float32{1, 2, 3, 4}, 2, []float32{5, 6, 7, 8}, 2, 0, c, 2)
		if want := []float32{17, 23, 39, 53}; !slices.Equal(c, want) {
			t.Errorf("%s: [1 2; 3 4]·[5 6; 7 8]ᵀ = %v, want %v", l.Name(), c, want)
		}
	}
}

func TestPeakFlopsStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	l, _ := blas.Load(blas.Options{Name: "gonum"})
	if _, err := blas.PeakFlops(ctx, l, parallel.New(1)); err == nil {
		t.Error("a measurement under a cancelled context returned no error")
	}
}

package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// transposed returns the transpose of x [rows, columns].
func transposed(x []float32, rows, columns int) []float32 {
	y := make([]float32, len(x))
	for i := range rows {
		for j := range columns {
			y[j*rows+i] = x[i*columns+j]
		}
	}
	return y
}

// columnPanels are those of b [k, n]: laid out from b in two parts, and from its transpose.
func columnPanels(s *Set, b []float32, k, n int) (direct, fromTranspose Panels) {
	room := func() []float32 { // of another product
		return slices.Repeat([]float32{float32(math.NaN())}, s.PanelFloats(k, n))
	}
	direct = s.ColumnPanels(room(), k, n)
	direct.Fill(b, n, k/3, k)
	direct.Fill(b, n, 0, k/3)
	fromTranspose = s.ColumnPanels(room(), k, n)
	half := fromTranspose.Count() / 2
	fromTranspose.FillT(transposed(b, k, n), k, 0, half)
	fromTranspose.FillT(transposed(b, k, n), k, half, fromTranspose.Count())
	return direct, fromTranspose
}

// productShapes are rows, columns and inner dimensions around the sizes of blocks, and some larger ones.
func productShapes() (shapes [][3]int) {
	for rows := 1; rows <= 27; rows++ {
		shapes = append(shapes, [3]int{rows, 5 + rows, 9})
	}
	for columns := 1; columns <= 67; columns++ {
		shapes = append(shapes, [3]int{7, columns, 1 + columns%6})
	}
	return append(shapes, [3]int{5, 37, 1300}, [3]int{50, 96, 384}, [3]int{13, 40, 289})
}

func TestMultiplyAgreesWithTheDefinition(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		rng := rand.New(rand.NewPCG(31, 32))
		for _, shape := range productShapes() {
			rows, n, k := shape[0], shape[1], shape[2]
			lda, ldc := k+3, n+2
			a, b, d := normal(rng, rows*lda, 1), normal(rng, k*n, 1), normal(rng, rows*ldc, 1)
			panels, fromTranspose := columnPanels(s, b, k, n)
			if !slices.Equal(panels.data, fromTranspose.data) {
				t.Fatalf("[%d, %d]: the transpose makes other panels", k, n)
			}
			for _, from := range [][]float32{nil, d} {
				guarded(t, (rows-1)*ldc+n, func(c []float32) {
					for i := range c {
						c[i] = float32(math.NaN())
					}
					half := panels.Count() / 2
					s.Multiply(c, from, ldc, a, lda, rows, panels, half, panels.Count())
					s.Multiply(c, from, ldc, a, lda, rows, panels, 0, half)
					for r := range rows {
						for o := range n {
							want := 0.0
							if from != nil {
								want = float64(d[r*ldc+o])
							}
							for i := range k {
								want += float64(a[r*lda+i]) * float64(b[i*n+o])
							}
							near(t, fmt.Sprintf("%v: c[%d, %d]", shape, r, o), float64(c[r*ldc+o]), want, math.Sqrt(float64(k)+1), 3e-6)
						}
						for _, v := range c[r*ldc+n : min((r+1)*ldc, len(c))] {
							if !math.IsNaN(float64(v)) {
								t.Fatalf("%v: the gap after row %d was overwritten", shape, r)
							}
						}
					}
				})
			}
		}
	})
}

// AddMultiplyT, block by block, and MultiplyT come to the bits of Multiply: a sum's order is the same whichever way a lies.
func TestMultiplyTEqualsMultiply(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		rng := rand.New(rand.NewPCG(33, 34))
		for _, shape := range productShapes() {
			rows, n, k := shape[0], shape[1], shape[2]
			a, b, d := normal(rng, rows*k, 1), normal(rng, k*n, 1), normal(rng, rows*n, 1)
			panels, _ := columnPanels(s, b, k, n)
			want := make([]float32, rows*n)
			s.Multiply(want, d, n, a, k, rows, panels, 0, panels.Count())

			left := s.RowPanels(make([]float32, s.PanelFloats(k, rows)), k, rows)
			left.Fill(transposed(a, rows, k), rows, 0, k)
			guarded(t, rows*n, func(c []float32) {
				copy(c, d)
				for start := range panels.Blocks() {
					s.AddMultiplyT(c, n, left.Block(start), panels.Block(start))
				}
				if !slices.Equal(c, want) {
					t.Fatalf("%v: other bits", shape)
				}
				s.MultiplyT(c, d, n, transposed(a, rows, k), rows, rows, panels)
				if !slices.Equal(c, want) {
					t.Fatalf("%v: other bits of a as it is stored", shape)
				}
			})
		}
	})
}

// What makes results independent of how products are cut over cores: an element's bits depend on its row and column.
func TestMultiplyRowsAndColumnsDependOnNothingElse(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		rng := rand.New(rand.NewPCG(35, 36))
		const rows, n, k = 31, 90, 700
		a, b, d := normal(rng, rows*k, 1), normal(rng, k*n, 1), normal(rng, rows*n, 1)
		panels, _ := columnPanels(s, b, k, n)
		want := make([]float32, rows*n)
		s.Multiply(want, d, n, a, k, rows, panels, 0, panels.Count())
		for range 40 { // any rows, and any columns as a matrix of their own
			r0, o0 := rng.IntN(rows), rng.IntN(n)
			height, width := 1+rng.IntN(rows-r0), 1+rng.IntN(n-o0)
			part := make([]float32, k*width)
			for i := range k {
				copy(part[i*width:(i+1)*width], b[i*n+o0:])
			}
			few, _ := columnPanels(s, part, k, width)
			got := make([]float32, height*width)
			for r := range height {
				copy(got[r*width:(r+1)*width], d[(r0+r)*n+o0:])
			}
			s.Multiply(got, got, width, a[r0*k:], k, height, few, 0, few.Count())
			for r := range height {
				if !slices.Equal(got[r*width:(r+1)*width], want[(r0+r)*n+o0:][:width]) {
					t.Fatalf("rows %d+%d × columns %d+%d give other bits than the whole", r0, height, o0, width)
				}
			}
		}
	})
}

func TestMultiplyRefusesShortSlices(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		b := s.ColumnPanels(make([]float32, s.PanelFloats(4, 40)), 4, 40)
		for name, call := range map[string]func(){
			"c": func() { s.Multiply(make([]float32, 79), nil, 40, make([]float32, 8), 4, 2, b, 0, b.Count()) },
			"d": func() {
				s.Multiply(make([]float32, 80), make([]float32, 79), 40, make([]float32, 8), 4, 2, b, 0, b.Count())
			},
			"a": func() { s.Multiply(make([]float32, 80), nil, 40, make([]float32, 7), 4, 2, b, 0, b.Count()) },
			"b": func() { b.Fill(make([]float32, 159), 40, 0, 4) },
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

// The first rows of a matrix, and its padding.
func TestPartsOfPanels(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		rng := rand.New(rand.NewPCG(37, 38))
		const rows, n = 9, 35
		for _, k := range []int{20, 900} {
			for _, first := range []int{1, k / 2, k} {
				a, b := normal(rng, rows*k, 1), normal(rng, k*n, 1)
				panels, _ := columnPanels(s, b, k, n)
				some := panels.First(first).Padded()
				width := some.Count() * some.width
				got := make([]float32, rows*width)
				s.Multiply(got, nil, width, a, k, rows, some, 0, some.Count())
				for r := range rows {
					for o := range width {
						want := 0.0
						for i := range first {
							if o < n {
								want += float64(a[r*k+i]) * float64(b[i*n+o])
							}
						}
						near(t, fmt.Sprintf("the first %d of %d: c[%d, %d]", first, k, r, o), float64(got[r*width+o]), want, math.Sqrt(float64(k)+1), 3e-6)
					}
				}
			}
		}
	})
}

// What a call needs for itself is there from the last one: products of a few columns, as adapters have, are made by the thousand.
func TestNothingIsAllocated(t *testing.T) {
	each(t, func(t *testing.T, s *Set) {
		const rows, k, n = 7, 20, 5
		rng := rand.New(rand.NewPCG(41, 42))
		a, x, c := normal(rng, rows*k, 1), normal(rng, 700, 1), make([]float32, rows*n)
		b, _ := columnPanels(s, normal(rng, k*n, 1), k, n)
		if made := testing.AllocsPerRun(100, func() { s.Multiply(c, nil, n, a, k, rows, b, 0, b.Count()) }); made != 0 {
			t.Errorf("a product of %d columns allocates %g times", n, made)
		}
		if made := testing.AllocsPerRun(100, func() { s.LogSumExp(x, 1) }); made != 0 {
			t.Errorf("LogSumExp allocates %g times", made)
		}
	})
}

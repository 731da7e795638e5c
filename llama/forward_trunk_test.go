package llama

import (
	"math/rand/v2"
	"testing"

	"tandem/internal/parallel"
)

// Lanes share out all rows and all wanted ones, in order, and never part a sequence; they are used where
// there are enough of them and none is much longer than the others.
func TestCut(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, workers := range []int{1, 2, 3, 8} {
		tr := &trunk{workers: parallel.New(workers)}
		used := 0
		for range 300 {
			var rows []row
			var wanted []int
			for range 1 + rng.IntN(60) {
				c := &cache{}
				for p := range 1 + rng.IntN(40)*rng.IntN(2) {
					if rng.IntN(3) == 0 {
						wanted = append(wanted, len(rows))
					}
					rows = append(rows, row{c, p, 0})
				}
			}
			if !tr.cut(rows, wanted) {
				continue
			}
			used++
			at, wantedAt := 0, 0
			for _, c := range tr.cuts {
				if c.from != at || c.to <= c.from || c.wantedFrom != wantedAt || c.wantedTo < c.wantedFrom {
					t.Fatalf("%d workers: lanes %v", workers, tr.cuts)
				}
				for _, w := range wanted[c.wantedFrom:c.wantedTo] {
					if w < c.from || w >= c.to {
						t.Fatalf("%d workers: row %d is wanted of a lane that has [%d, %d)", workers, w, c.from, c.to)
					}
				}
				if c.to < len(rows) && rows[c.to-1].cache == rows[c.to].cache {
					t.Fatalf("%d workers: a sequence is parted at row %d", workers, c.to)
				}
				at, wantedAt = c.to, c.wantedTo
			}
			if at != len(rows) || wantedAt != len(wanted) || len(tr.cuts) < workers {
				t.Fatalf("%d workers: %d of %d rows, %d of %d wanted ones, in %d lanes", workers, at, len(rows), wantedAt, len(wanted), len(tr.cuts))
			}
		}
		if used == 0 != (workers == 1) {
			t.Errorf("%d workers: lanes were used %d times", workers, used)
		}
	}
	long := &cache{}
	rows := make([]row, 0, 300)
	for p := range 256 {
		rows = append(rows, row{long, p, 0})
	}
	for range 44 {
		rows = append(rows, row{&cache{}, 5, 0})
	}
	if two := (&trunk{workers: parallel.New(2)}); two.cut(rows, nil) {
		t.Errorf("one sequence has six rows in seven, and lanes are used: %v", two.cuts)
	}
}

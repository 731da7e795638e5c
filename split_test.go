package tandem

import (
	"fmt"
	"math"
	"testing"
)

// TestHeldOutLiteral pins the rule: a change of it would move data across the split of every store that
// exists. SHA-256 of the empty string begins e3b0c442 98fc1c14, a fraction of .8894.
func TestHeldOutLiteral(t *testing.T) {
	if HeldOut("", 0.889) || !HeldOut("", 0.890) {
		t.Error(`HeldOut("", .) does not turn at .8894`)
	}
	// SHA-256("abc") begins ba7816bf 8f01cfea, a fraction of .7284.
	if HeldOut("abc", 0.728) || !HeldOut("abc", 0.729) {
		t.Error(`HeldOut("abc", .) does not turn at .7284`)
	}
}

func TestHeldOutShare(t *testing.T) {
	const n = 20_000
	for _, share := range []float64{0, 0.01, 0.2, 0.5, 1} {
		held := 0
		for i := range n {
			if HeldOut(fmt.Sprint("opening ", i), share) {
				held++
			}
		}
		got := float64(held) / n
		if tolerance := 4 * math.Sqrt(share*(1-share)/n); math.Abs(got-share) > tolerance {
			t.Errorf("share %g: held out %g of %d openings", share, got, n)
		}
	}
}

func TestHeldOutGrowsWithTheShare(t *testing.T) {
	for i := range 1000 {
		opening := fmt.Sprint("opening ", i)
		if HeldOut(opening, 0.1) && !HeldOut(opening, 0.3) {
			t.Fatalf("%q is held out at .1 and not at .3", opening)
		}
	}
}

func TestHeldOutFollowsTheNormalisedOpening(t *testing.T) {
	a := Dialogue{{Role: System, Content: "s"}, {Role: User, Content: "What is\n\na  Pangolin?"}}
	b := Dialogue{{Role: User, Content: " what is a pangolin? "}, {Role: Assistant, Content: "An animal."}}
	if a.Opening() != b.Opening() {
		t.Fatalf("openings %q and %q differ", a.Opening(), b.Opening())
	}
}

// The comparisons of a second pair of reward models are some of those that are learnt from and some of those that are
// not alike, at each share.
func TestForSecondJudgesIsAnotherSplit(t *testing.T) {
	const n, heldOut, share = 20_000, 0.2, 0.3
	counts := make(map[[2]bool]int)
	for i := range n {
		opening := fmt.Sprint("opening ", i)
		counts[[2]bool{HeldOut(opening, heldOut), ForSecondJudges(opening, share)}]++
		if ForSecondJudges(opening, 0) || !ForSecondJudges(opening, 1) {
			t.Fatalf("%q at shares 0 and 1", opening)
		}
	}
	for which, want := range map[[2]bool]float64{{false, false}: .56, {false, true}: .24, {true, false}: .14, {true, true}: .06} {
		if got := float64(counts[which]) / n; math.Abs(got-want) > .015 {
			t.Errorf("held out %v, for the second judges %v: %g of the openings, want %g", which[0], which[1], got, want)
		}
	}
}

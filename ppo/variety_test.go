package ppo

import (
	"math"
	"testing"
)

func said(answers ...[]int32) (rollouts []*rollout) {
	for _, a := range answers {
		rollouts = append(rollouts, &rollout{answer: Answer{Tokens: a}})
	}
	return rollouts
}

func TestDistinct2(t *testing.T) {
	for name, c := range map[string]struct {
		answers [][]int32
		want    float64
	}{
		"nothing":                    {nil, 0},
		"single tokens":              {[][]int32{{1}, {2}}, 0},
		"no pair twice":              {[][]int32{{1, 2, 3}, {3, 1}}, 1},
		"each pair twice":            {[][]int32{{1, 2, 3}, {1, 2, 3}}, 0.5},
		"a loop":                     {[][]int32{{1, 1, 1, 1, 1}}, 0.25},
		"any four of 12 21 12 21 12": {[][]int32{{1, 2, 1, 2, 1, 2}}, 0.5},
	} {
		if got := distinct2(said(c.answers...)); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %g, want %g", name, got, c.want)
		}
	}
	// Longer answers of the same variety have no lower distinct-2: pairs that never come twice, of 10 tokens and of 30.
	count := func(n int) (a []int32) {
		for i := range n {
			a = append(a, int32(i))
		}
		return a
	}
	if short, long := distinct2(said(count(10))), distinct2(said(count(30))); math.Abs(short-1) > 1e-9 || math.Abs(long-1) > 1e-9 {
		t.Errorf("distinct-2 of 10 tokens is %g, of 30 %g", short, long)
	}
}

func TestRepetition(t *testing.T) {
	for name, c := range map[string]struct {
		answers [][]int32
		want    float64
	}{
		"nothing":         {nil, 0},
		"too short":       {[][]int32{{1, 1, 1}}, 0},
		"no run twice":    {[][]int32{{1, 2, 3, 4, 5, 6}}, 0},
		"a loop":          {[][]int32{{1, 1, 1, 1, 1, 1, 1, 1}}, 0.8},
		"two answers":     {[][]int32{{1, 1, 1, 1, 1}, {1, 2, 3, 4}}, 0.25},
		"the same answer": {[][]int32{{1, 2, 3, 4}, {1, 2, 3, 4}}, 0},
	} {
		if got := repetition(said(c.answers...)); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %g, want %g", name, got, c.want)
		}
	}
}

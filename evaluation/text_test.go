package evaluation_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"tandem/evaluation"
)

func TestDistinct(t *testing.T) {
	for _, c := range []struct {
		name  string
		texts []string
		n     int
		want  float64
	}{
		{"nothing", nil, 1, 0},
		{"too short for a bigram", []string{"a", "b"}, 2, 0},
		{"all different", []string{"a b", "c d"}, 1, 1},
		{"the same answer twice", []string{"a b c", "A b c"}, 2, 0.5},
		{"bigrams do not cross texts", []string{"a b", "b a"}, 2, 1},
	} {
		if got := evaluation.Distinct(c.texts, c.n); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: distinct-%d = %g, want %g", c.name, c.n, got, c.want)
		}
	}
}

// The closed form against what drawing shows.
func TestRarefied(t *testing.T) {
	texts := []string{"a b a b a c d", "a b c d e f", "x y", "a b a"}
	grams := strings.Split("a b|b a|a b|b a|a c|c d|a b|b c|c d|d e|e f|x y|a b|b a", "|")
	r := rand.New(rand.NewPCG(1, 2))
	const size, draws = 5, 200_000
	sum := 0.0
	for range draws {
		seen := make(map[string]bool)
		for _, i := range r.Perm(len(grams))[:size] {
			seen[grams[i]] = true
		}
		sum += float64(len(seen)) / size
	}
	if got, want := evaluation.Rarefied(texts, 2, size), sum/draws; math.Abs(got-want) > 2e-3 {
		t.Errorf("rarefied to %d bigrams: %.4f; %d draws give %.4f", size, got, draws, want)
	}
	if got, want := evaluation.Rarefied(texts, 2, 1), 1.0; math.Abs(got-want) > 1e-12 {
		t.Errorf("one bigram alone: %g, want %g", got, want)
	}
	for _, size := range []int{len(grams), 1000} {
		if got, want := evaluation.Rarefied(texts, 2, size), evaluation.Distinct(texts, 2); math.Abs(got-want) > 1e-12 {
			t.Errorf("rarefied to %d of %d bigrams: %g, want distinct-2, %g", size, len(grams), got, want)
		}
	}
}

func TestRepetition(t *testing.T) {
	for text, want := range map[string]float64{
		"":                     0,
		"one two three four":   0,
		"a b a b a b":          0.5, // aba bab aba bab: two of four 3-grams stood before
		"no no no no no no no": 0.8,
	} {
		if got := evaluation.Repetition(text, 3); math.Abs(got-want) > 1e-12 {
			t.Errorf("Repetition(%q) = %g, want %g", text, got, want)
		}
	}
}

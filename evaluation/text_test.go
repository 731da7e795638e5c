package evaluation_test

import (
	"math"
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

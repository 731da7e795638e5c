package evaluation

import (
	"math"
	"strings"
)

// Distinct is distinct-n: the share of different n-grams among all n-grams of the texts, over words
// (https://arxiv.org/abs/1510.03055, section 5). It falls when answers come to resemble each other, and
// it falls with the amount of text: longer answers have a lower one though they be as varied, which
// [Rarefied] does not. No n-grams give 0.
func Distinct(texts []string, n int) float64 {
	counts, total := countNgrams(texts, n)
	if total == 0 {
		return 0
	}
	return float64(len(counts)) / float64(total)
}

// Distinct2 is distinct-2.
func Distinct2(texts []string) float64 { return Distinct(texts, 2) }

// Rarefied2 is the distinct-2 that RarefiedSize bigrams of the texts have.
func Rarefied2(texts []string) float64 { return Rarefied(texts, 2, RarefiedSize) }

// Rarefied is the distinct-n that size n-grams, drawn from those of the texts without replacement, have
// on average, so that texts of unlike length compare. It is Hurlbert's closed form
// (https://doi.org/10.2307/1934145): an n-gram that stands there c times among N is missed with
// probability C(N−c, size)/C(N, size). Texts with no more than size n-grams give their distinct-n.
func Rarefied(texts []string, n, size int) float64 {
	counts, total := countNgrams(texts, n)
	if total <= size {
		return Distinct(texts, n)
	}
	of := make(map[int]int) // how many n-grams stand there so many times: few numbers, for a steady sum
	for _, c := range counts {
		of[c]++
	}
	logFactorial := func(k int) float64 { v, _ := math.Lgamma(float64(k) + 1); return v }
	expected := 0.0
	for c := 1; c <= total; c++ {
		switch grams := float64(of[c]); {
		case grams == 0:
		case c > total-size:
			expected += grams
		default:
			missed := logFactorial(total-c) + logFactorial(total-size) - logFactorial(total-c-size) - logFactorial(total)
			expected += grams * -math.Expm1(missed)
		}
	}
	return expected / float64(size)
}

// countNgrams counts each n-gram of the texts, and all of them.
func countNgrams(texts []string, n int) (counts map[string]int, total int) {
	counts = make(map[string]int)
	for _, text := range texts {
		for _, gram := range ngrams(text, n) {
			counts[gram]++
			total++
		}
	}
	return counts, total
}

// Repetition is the share of a text's n-grams that stood in it before: 0 for a text that never repeats
// n words in a row, near 1 for a loop.
func Repetition(text string, n int) float64 {
	grams := ngrams(text, n)
	if len(grams) == 0 {
		return 0
	}
	return 1 - Distinct([]string{text}, n)
}

// ngrams are the runs of n words of a text, in lower case.
func ngrams(text string, n int) []string {
	words := strings.Fields(strings.ToLower(text))
	if n < 1 || len(words) < n {
		return nil
	}
	grams := make([]string, 0, len(words)-n+1)
	for i := range len(words) - n + 1 {
		grams = append(grams, strings.Join(words[i:i+n], " "))
	}
	return grams
}

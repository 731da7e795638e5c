package evaluation

import (
	"maps"
	"strings"

	"tandem/statistics"
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
// on average, so that texts of unlike length compare; see statistics.Rarefied. Texts with no more than size
// n-grams give their distinct-n.
func Rarefied(texts []string, n, size int) float64 {
	counts, total := countNgrams(texts, n)
	if total <= size {
		return Distinct(texts, n)
	}
	return statistics.Rarefied(maps.Values(counts), size) / float64(size)
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

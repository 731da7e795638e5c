package evaluation

import "strings"

// Distinct is distinct-n: the share of different n-grams among all n-grams of the texts, over words
// (https://arxiv.org/abs/1510.03055, section 5). It falls when answers come to resemble each other, and
// it falls with the amount of text, so compare it over equally many answers only. No n-grams give 0.
func Distinct(texts []string, n int) float64 {
	seen := make(map[string]struct{})
	total := 0
	for _, text := range texts {
		for _, gram := range ngrams(text, n) {
			seen[gram] = struct{}{}
			total++
		}
	}
	if total == 0 {
		return 0
	}
	return float64(len(seen)) / float64(total)
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

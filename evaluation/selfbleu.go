package evaluation

import (
	"math"
	"strings"

	"tandem"
)

// selfBLEUOrder is the longest n-gram that Self-BLEU looks at.
const selfBLEUOrder = 4

// SelfBLEU is how much texts resemble each other: the mean BLEU-4 of each against all others as its references
// (https://arxiv.org/abs/1802.01886, section 3.3), over words in lower case. 1 are equal texts; the lower, the more diverse.
func SelfBLEU(texts []string) (float64, error) {
	if len(texts) < 2 {
		return 0, tandem.Errorf(tandem.Invalid, "evaluation.SelfBLEU", "%d texts cannot resemble each other", len(texts))
	}
	sum := 0.0
	for i, text := range texts {
		references := make([]string, 0, len(texts)-1)
		references = append(append(references, texts[:i]...), texts[i+1:]...)
		sum += BLEU(text, references)
	}
	return sum / float64(len(texts)), nil
}

// unmatched is what stands in a precision's numerator where no n-gram of a text is in a reference, so that short texts are
// not all 0: the first smoothing of Chen and Cherry (2014, https://aclanthology.org/W14-3346), with the ε that is usual.
const unmatched = 0.1

// BLEU is that of one sentence (Papineni and others 2002, https://aclanthology.org/P02-1040) over words in lower case:
//
//	BLEU = min(1, e^(1 − r/c)) · (p₁ p₂ p₃ p₄)^¼
//
// where p_n is the share of the text's n-grams that are in a reference, each as often as it is in the one that has it most
// often, c the text's length and r the length of the reference that is nearest to it, the shorter of two. A text without a
// word in common with the references is 0.
func BLEU(text string, references []string) float64 {
	length := len(strings.Fields(text))
	if length == 0 || len(references) == 0 {
		return 0
	}
	logarithms := 0.0
	for n := 1; n <= selfBLEUOrder; n++ {
		most := make(map[string]int)
		for _, r := range references {
			counts, _ := countNgrams([]string{r}, n)
			for gram, times := range counts {
				most[gram] = max(most[gram], times)
			}
		}
		counts, total := countNgrams([]string{text}, n)
		matched := 0
		for gram, times := range counts {
			matched += min(times, most[gram])
		}
		switch {
		case matched > 0:
			logarithms += math.Log(float64(matched) / float64(total))
		case n == 1:
			return 0
		default:
			logarithms += math.Log(unmatched / float64(max(1, total)))
		}
	}
	nearest := math.MaxInt
	for _, r := range references {
		l := len(strings.Fields(r))
		if off, best := distance(l, length), distance(nearest, length); off < best || off == best && l < nearest {
			nearest = l
		}
	}
	brevity := 0.0
	if length <= nearest {
		brevity = 1 - float64(nearest)/float64(length)
	}
	return math.Exp(brevity + logarithms/selfBLEUOrder)
}

func distance(a, b int) int { return max(a-b, b-a) }

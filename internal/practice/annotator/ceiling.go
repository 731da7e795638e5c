package annotator

import (
	"tandem"
)

// Pair is two answers to one prompt.
type Pair struct {
	Prompt  tandem.Dialogue
	Answers [2]string
}

// Agreement says how far judgments agree with gold.
type Agreement struct {
	Count    int     // judgments of this degree
	Share    float64 // of all judgments
	Accuracy float64 // share in which the answer with the higher gold score was chosen; equal scores count one half
}

// Ceiling has every annotator judge every pair and compares the choices with gold. Its accuracies are
// what a reward model that knew gold itself would reach on such judgments: the most that any model can
// score on them, by degree and, under tandem.Unrated, on all.
func Ceiling(panel []*Annotator, aspect tandem.Aspect, pairs []Pair) (map[tandem.Degree]Agreement, error) {
	agreed := map[tandem.Degree]float64{}
	count := map[tandem.Degree]int{}
	for _, p := range pairs {
		for _, a := range panel {
			j, verdicts, err := a.judge(aspect, p.Prompt, p.Answers)
			if err != nil {
				return nil, err
			}
			agrees := credit(verdicts[j.Choice].Of(aspect), verdicts[1-j.Choice].Of(aspect))
			for _, d := range []tandem.Degree{j.Degree, tandem.Unrated} {
				agreed[d] += agrees
				count[d]++
			}
		}
	}
	ceiling := map[tandem.Degree]Agreement{}
	for d, n := range count {
		ceiling[d] = Agreement{n, float64(n) / float64(count[tandem.Unrated]), agreed[d] / float64(n)}
	}
	return ceiling, nil
}

package rewardmodel

import (
	"math"

	"tandem"
	"tandem/llama"
	"tandem/llama/nn"
)

// Pair is one comparison in token ids: both dialogues rendered whole, each up to the token that the
// head reads (llama.Config.Pooled): the EOS, unless the model pads with it.
type Pair struct {
	Chosen, Rejected           []int32
	Margin                     float64
	ChosenLabel, RejectedLabel tandem.SafetyLabel
}

// task is the loss of a reward model over comparisons; it is a train.Task and a train.Measurer. An example is a
// comparison, or a ranking of K answers with all its K(K−1)/2 pairs, each of which weighs so much less (Ouyang et al.
// 2022, https://arxiv.org/abs/2203.02155, equation 1): they are one verdict, and were they met one by one over an epoch,
// every answer would be seen K−1 times, which over-fits. Llama 2 compares two answers and says nothing of it (a choice).
// The price of simplicity is that an answer goes through the model once for each of its pairs.
//
// A batch holds the chosen answer of its pair p in sequence 2p and the rejected one in 2p + 1.
type task struct {
	examples  [][]Pair
	auxiliary float64 // weight of the safety loss, 0 for none
	center    float64 // Config's CenterRewards
	l2        float64
	seen      measured
}

// measured gathers what the scores of some pairs show.
type measured struct {
	pairs, correct, gap     float64
	sum, smallest, greatest float64
}

// Examples is the number of comparisons, a ranking counted as one.
func (t *task) Examples() int { return len(t.examples) }

// Shape is both sequences of every pair of an example.
func (t *task) Shape(i int) llama.Shape {
	shape := llama.Shape{Sequences: 2 * len(t.examples[i])}
	for _, p := range t.examples[i] {
		shape.Tokens += len(p.Chosen) + len(p.Rejected)
	}
	return shape
}

// Build compiles the ranking loss and, if they have a weight, what restrains scores and the safety loss; the output is
// every score.
func (t *task) Build(g *llama.Graph) (p *llama.Program, err error) {
	err = nn.Guard(func() error {
		scores := g.Scores() // [S]
		loss := nn.RankingLoss(scores, g.Input("margins", nn.PerPair), g.Input("weights", nn.PerPair), g.Input("examples", nn.Scalar))
		if t.restrained() {
			loss = nn.AddLosses([]float64{1, 1}, loss, nn.RestraintLoss(scores, g.Input("pairs", nn.Scalar), t.center, t.l2))
		}
		if t.auxiliary > 0 {
			safety := nn.SafetyLoss(scores, g.Input("labels", nn.PerSequence), g.Input("labelled", nn.Scalar), t.auxiliary)
			loss = nn.AddLosses([]float64{1, 1}, loss, safety)
		}
		p, err = g.Compile(loss, scores)
		return err
	})
	return p, err
}

// Batch packs examples; the counts that losses are divided by are the step's: examples for the ranking loss, pairs for
// what restrains scores, and labelled answers for the safety loss.
func (t *task) Batch(examples, step []int) (llama.Batch, error) {
	var sequences [][]int32
	var margins, weights, labels []float32
	for _, e := range examples {
		for _, p := range t.examples[e] {
			sequences = append(sequences, p.Chosen, p.Rejected)
			margins = append(margins, float32(p.Margin))
			weights = append(weights, 1/float32(len(t.examples[e])))
			labels = append(labels, labelValue(p.ChosenLabel), labelValue(p.RejectedLabel))
		}
	}
	pairs, labelled := 0, 0
	for _, e := range step {
		pairs += len(t.examples[e])
		for _, p := range t.examples[e] {
			labelled += p.labelled()
		}
	}
	b := llama.NewBatch(sequences...)
	b.Targets = nil
	b.Inputs["margins"], b.Inputs["weights"], b.Inputs["examples"] = margins, weights, []float32{float32(len(step))}
	if t.restrained() {
		b.Inputs["pairs"] = []float32{float32(pairs)}
	}
	if t.auxiliary > 0 {
		b.Inputs["labels"], b.Inputs["labelled"] = labels, []float32{float32(labelled)}
	}
	return b, nil
}

func (t *task) restrained() bool { return t.center > 0 || t.l2 > 0 }

// labelled counts the answers of a pair that carry a safety label.
func (p Pair) labelled() int {
	n := 0
	for _, l := range []tandem.SafetyLabel{p.ChosenLabel, p.RejectedLabel} {
		if l != tandem.Unlabelled {
			n++
		}
	}
	return n
}

// labelValue is a label as the safety loss reads it.
func labelValue(l tandem.SafetyLabel) float32 {
	switch l {
	case tandem.Safe:
		return 1
	case tandem.Unsafe:
		return 0
	}
	return -1
}

// Measure notes the scores of one micro-batch.
func (t *task) Measure(_ []int, r llama.Result) {
	scores := r.Outputs[0]
	if t.seen.pairs == 0 {
		t.seen.smallest, t.seen.greatest = math.Inf(1), math.Inf(-1)
	}
	for p := 0; p+1 < len(scores); p += 2 {
		chosen, rejected := float64(scores[p]), float64(scores[p+1])
		t.seen.pairs++
		t.seen.correct += correct(chosen, rejected)
		t.seen.gap += chosen - rejected
		t.seen.sum += chosen + rejected
		t.seen.smallest = min(t.seen.smallest, chosen, rejected)
		t.seen.greatest = max(t.seen.greatest, chosen, rejected)
	}
}

// Metrics returns the figures since the last call under TRL's names.
func (t *task) Metrics() map[string]float64 {
	m := t.seen
	t.seen = measured{}
	if m.pairs == 0 {
		return nil
	}
	return map[string]float64{
		"accuracy":    m.correct / m.pairs,
		"margin":      m.gap / m.pairs,
		"min_reward":  m.smallest,
		"mean_reward": m.sum / (2 * m.pairs),
		"max_reward":  m.greatest,
	}
}

// correct is 1 for a chosen answer that scores higher, ½ for a tie.
func correct(chosen, rejected float64) float64 {
	switch {
	case chosen > rejected:
		return 1
	case chosen == rejected:
		return 0.5
	}
	return 0
}

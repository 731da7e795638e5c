package rewardmodel_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tandem"
	"tandem/llama"
	"tandem/llama/nn/nntest"
	"tandem/llama/train"
	"tandem/rewardmodel"
)

// ranked draws a ranking of k answers by the utility, as all its pairs.
func ranked(rng *rand.Rand, id string, k int) (pairs []tandem.Comparison) {
	var answers []string
	for len(answers) < k {
		a := answer(rng)
		if !slices.ContainsFunc(answers, func(b string) bool { return utility(a) == utility(b) }) {
			answers = append(answers, a)
		}
	}
	slices.SortFunc(answers, func(a, b string) int { return int(utility(b) - utility(a)) })
	for i, chosen := range answers {
		for _, rejected := range answers[i+1:] {
			pairs = append(pairs, tandem.Comparison{
				ID: id, Ranking: id, Aspect: tandem.Safety, Prompt: tandem.Prompt{Messages: tandem.Dialogue{{Role: tandem.User, Content: "e"}}},
				Chosen: tandem.Response{Content: chosen}, Rejected: tandem.Response{Content: rejected},
				Degree: tandem.Degree(min(utility(chosen)-utility(rejected), 4)),
			})
		}
	}
	return pairs
}

// Gradients accumulated over micro-batches of any lengths and sizes are those of the step as one batch, element by
// element: ranking loss with margins, rankings among pairs, safety loss with some labels missing, centring and L2.
func TestMicroBatchesAddUpToTheStepsGradient(t *testing.T) {
	rng := rand.New(rand.NewPCG(12, 1))
	comparisons := judged(rng, 7)
	comparisons[1].Chosen.Content += "cdecdecdecdecdecdecde" // ragged
	comparisons[2].Rejected.Label = tandem.Unlabelled
	comparisons[3].Chosen.Label, comparisons[3].Rejected.Label = tandem.Unlabelled, tandem.Unlabelled
	comparisons = slices.Concat(comparisons[:4], ranked(rng, "a ranking", 4), comparisons[4:])
	config := rewardmodel.DefaultConfig(tandem.Safety)
	config.CenterRewards, config.L2 = 0.2, 0.3
	weights := untrained()
	task, prepared, err := rewardmodel.NewTask(t.Context(), letters{}, comparisons, config, weights.Config)
	if err != nil {
		t.Fatal(err)
	}
	if prepared.Pairs != 13 || prepared.Rankings != 1 || task.Examples() != 8 {
		t.Fatalf("%+v, %d examples", prepared, task.Examples())
	}
	step := []int{0, 1, 2, 3, 4, 5, 7} // not all examples: the counts are the step's
	whole, loss := gradient(t, weights, task, [][]int{step}, step)
	largest := 0.0
	for _, g := range whole {
		largest = max(largest, math.Abs(float64(g)))
	}
	for _, micro := range [][][]int{
		{{0}, {1}, {2}, {3}, {4}, {5}, {7}}, {{4}, {0, 1, 2}, {3, 5, 7}}, {{7, 4, 1}, {3}, {5, 0, 2}},
	} {
		summed, sum := gradient(t, weights, task, micro, step)
		worst, at := 0.0, 0
		for i := range whole {
			if d := math.Abs(float64(whole[i])-float64(summed[i])) / largest; d > worst {
				worst, at = d, i
			}
		}
		if worst > 1e-6 || math.Abs(sum-loss) > 1e-6*loss {
			t.Errorf("%v: element %d of %d differs by %.2g of the largest; the loss is %.8g, not %.8g", micro, at, len(whole), worst, sum, loss)
		}
	}
}

// gradient is that of a step, of every weight, and its loss.
func gradient(t *testing.T, weights *llama.Weights, task train.Task, micro [][]int, step []int) (all []float32, loss float64) {
	t.Helper()
	w := weights.Clone()
	var shape llama.Shape
	for _, e := range step {
		s := task.Shape(e)
		shape.Tokens, shape.Sequences = shape.Tokens+s.Tokens, shape.Sequences+s.Sequences
	}
	program, err := task.Build(llama.NewGraph(nntest.Plain(t), w, shape))
	if err != nil {
		t.Fatal(err)
	}
	for _, examples := range micro {
		b, err := task.Batch(examples, step)
		if err != nil {
			t.Fatal(err)
		}
		r, err := program.Run(b)
		if err != nil {
			t.Fatal(err)
		}
		loss += r.Loss
	}
	for _, p := range w.Gradients().Params() {
		all = append(all, p.Grad...)
	}
	return all, loss
}

// A ranking weighs as much as a comparison, however many pairs it has: one whose pairs are all alike pulls like one pair.
func TestRankingWeighsAsOneComparison(t *testing.T) {
	pair := judged(rand.New(rand.NewPCG(3, 3)), 2)
	config := rewardmodel.DefaultConfig(tandem.Safety)
	config.AuxiliaryWeight = 0
	of := func(comparisons ...tandem.Comparison) ([]float32, int) {
		weights := untrained()
		task, _, err := rewardmodel.NewTask(t.Context(), letters{}, comparisons, config, weights.Config)
		if err != nil {
			t.Fatal(err)
		}
		step := make([]int, task.Examples())
		for i := range step {
			step[i] = i
		}
		g, _ := gradient(t, weights, task, [][]int{step}, step)
		return g, task.Examples()
	}
	want, _ := of(pair...)
	first := pair[0]
	first.Ranking = "r"
	got, examples := of(first, pair[1], first, first)
	if examples != 2 {
		t.Errorf("%d examples, want 2", examples)
	}
	loose, _ := of(pair[0], pair[1], pair[0], pair[0])
	far := 0.0
	for i := range want {
		if d := math.Abs(float64(got[i] - want[i])); d > 1e-5 {
			t.Fatalf("element %d is %g, want %g", i, got[i], want[i])
		}
		far = max(far, math.Abs(float64(loose[i]-want[i])))
	}
	if far < 1e-3 {
		t.Error("three pairs that are no ranking pull like one, so that this shows nothing")
	}
}

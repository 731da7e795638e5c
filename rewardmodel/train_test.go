package rewardmodel_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tandem"
	"tandem/llama"
	"tandem/llama/chat"
	"tandem/llama/nn/nntest"
	"tandem/llama/train"
	"tandem/rewardmodel"
	"tandem/statistics"
)

// letters renders a dialogue as the letters of its messages, a = 3 …, between BOS 1 and EOS 2.
type letters struct{}

func (letters) Scored(_ context.Context, d tandem.Dialogue, most int) (chat.Example, error) {
	ids := []int32{1}
	for _, m := range d {
		for _, r := range m.Content {
			ids = append(ids, 3+r-'a')
		}
	}
	ids = append(ids, 2)
	cut := max(len(ids)-most, 0)
	return chat.Example{Tokens: ids[cut:], Cut: cut}, nil
}

// judge reads through letters.
type judge struct{ classifier *llama.Classifier }

func (j judge) Scalars(ctx context.Context, dialogues []tandem.Dialogue) ([]rewardmodel.Scalar, int, error) {
	var sequences [][]int32
	for _, d := range dialogues {
		e, err := letters{}.Scored(ctx, d, 64)
		if err != nil {
			return nil, 0, err
		}
		sequences = append(sequences, e.Tokens)
	}
	scores, err := j.classifier.Scores(ctx, sequences)
	scalars := make([]rewardmodel.Scalar, len(scores))
	for i, r := range scores {
		scalars[i].R = float64(r)
	}
	return scalars, 0, err
}

// utility is what the annotators of this test prefer: every a is good, every b bad, c to e are filling.
func utility(answer string) float64 {
	return float64(strings.Count(answer, "a")) - float64(strings.Count(answer, "b"))
}

func answer(rng *rand.Rand) string {
	b := make([]byte, 4+rng.IntN(12))
	for i := range b {
		b[i] = "abcde"[rng.IntN(5)]
	}
	return string(b)
}

// judged draws comparisons by the utility, with degrees by its gap and a safe label from 0 on.
func judged(rng *rand.Rand, n int) []tandem.Comparison {
	label := func(answer string) tandem.SafetyLabel {
		if utility(answer) >= 0 {
			return tandem.Safe
		}
		return tandem.Unsafe
	}
	var comparisons []tandem.Comparison
	for len(comparisons) < n {
		x, y := answer(rng), answer(rng)
		if utility(x) < utility(y) {
			x, y = y, x
		}
		gap := utility(x) - utility(y)
		if gap == 0 {
			continue
		}
		comparisons = append(comparisons, tandem.Comparison{
			ID: fmt.Sprint(len(comparisons)), Aspect: tandem.Safety,
			Prompt:   tandem.Prompt{Messages: tandem.Dialogue{{Role: tandem.User, Content: "e"}}},
			Chosen:   tandem.Response{Content: x, Label: label(x)},
			Rejected: tandem.Response{Content: y, Label: label(y)},
			Degree:   tandem.Degree(min(gap, 4)),
		})
	}
	return comparisons
}

func untrained() *llama.Weights {
	w := llama.NewWeights(llama.Config{
		VocabSize: 8, HiddenSize: 32, IntermediateSize: 64, NumHiddenLayers: 2, NumAttentionHeads: 2, NumKeyValueHeads: 2,
		HeadDim: 16, MaxPositionEmbeddings: 64, RMSNormEps: 1e-5, RopeTheta: 10000, BOS: 1, EOS: []int{2}, PAD: 0,
	}, true)
	w.Init(rand.New(rand.NewPCG(3, 4)))
	return w
}

// A reward model fitted to comparisons from a known utility recovers its order and, by the safety labels,
// its zero.
func TestRecoversAKnownUtility(t *testing.T) {
	if testing.Short() {
		t.Skip("a hundred training steps; not under the race detector")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	c, err := rewardmodel.Preset("practice", tandem.Safety)
	if err != nil {
		t.Fatal(err)
	}
	c.Margin, c.Fit.LearningRate = rewardmodel.SmallMargin, 3e-3
	w := untrained()
	task, prepared, err := rewardmodel.NewTask(t.Context(), letters{}, judged(rng, 4000), c, w.Config)
	if err != nil {
		t.Fatal(err)
	}
	if !prepared.Calibrated() || prepared.Cut != 0 || prepared.LeftOut != 0 {
		t.Errorf("prepared %+v", prepared)
	}
	held, _, err := rewardmodel.NewTask(t.Context(), letters{}, judged(rng, 300), c, w.Config)
	if err != nil {
		t.Fatal(err)
	}
	var last train.Stats
	fit := train.Trainer{Device: nntest.Plain(t), Weights: w, Task: task, HeldOut: held, Config: c.Fit, Observe: func(s train.Stats) { last = s }}
	if err := fit.Fit(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("after %d steps: %v", last.Step, last.Metrics)
	if a := last.Metrics["eval_accuracy"]; a < 0.97 {
		t.Errorf("accuracy %.3f on held-out pairs, want at least 0.97", a)
	}

	classifier, err := llama.NewClassifier(w, llama.ForwardConfig{})
	if err != nil {
		t.Fatal(err)
	}
	var dialogues []tandem.Dialogue
	var want []float64
	for range 300 {
		a := answer(rng)
		dialogues = append(dialogues, tandem.Dialogue{{Role: tandem.User, Content: "e"}, {Role: tandem.Assistant, Content: a}})
		want = append(want, utility(a))
	}
	raw, _, err := judge{classifier}.Scalars(t.Context(), dialogues)
	if err != nil {
		t.Fatal(err)
	}
	scores := make([]float64, len(raw))
	for i, r := range raw {
		scores[i] = r.R
	}
	tau, err := statistics.KendallTauB(scores, want)
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for i, s := range scores {
		if (s > 0) == (want[i] >= 0) {
			right++
		}
	}
	t.Logf("Kendall τ %.3f, safe or unsafe told at 0 for %d of %d", tau, right, len(scores))
	if tau < 0.9 {
		t.Errorf("Kendall τ %.3f, want at least 0.9", tau)
	}
	if right < 270 {
		t.Errorf("σ(r) = ½ separates %d of %d answers, want at least 270", right, len(scores))
	}
}

// A score in a batch is the score alone, to the bit, gate and all.
func TestScoresDependOnTheDialogueAlone(t *testing.T) {
	var judges [2]judge
	for i := range judges {
		w := untrained()
		w.Init(rand.New(rand.NewPCG(uint64(i), 1)))
		classifier, err := llama.NewClassifier(w, llama.ForwardConfig{Tokens: 100})
		if err != nil {
			t.Fatal(err)
		}
		judges[i] = judge{classifier}
	}
	rng := rand.New(rand.NewPCG(9, 9))
	var requests []tandem.ScoreRequest
	for i := range 30 {
		requests = append(requests, tandem.ScoreRequest{
			Messages: tandem.Dialogue{{Role: tandem.User, Content: answer(rng)}, {Role: tandem.Assistant, Content: answer(rng)}},
			Safety:   i%3 == 0,
		})
	}
	scorer := rewardmodel.Scorer{Helpfulness: judges[0], Safety: judges[1]}
	if err := scorer.Calibrate(t.Context(), false, requests); err != nil {
		t.Fatal(err)
	}
	together, err := scorer.Score(t.Context(), requests)
	if err != nil {
		t.Fatal(err)
	}
	gated := 0
	for i, r := range requests {
		alone, err := scorer.Score(t.Context(), []tandem.ScoreRequest{r})
		if err != nil {
			t.Fatal(err)
		}
		if alone[0] != together[i] {
			t.Errorf("answer %d scores %+v alone and %+v in a batch", i, alone[0], together[i])
		}
		if together[i].Gated && r.Safety {
			gated++
		}
	}
	if gated != 2 { // 15 % of ten answers to safety prompts lie below the interpolated quantile
		t.Errorf("%d of 10 answers to safety prompts are gated, want 2", gated)
	}
}

// A step's micro-batches share its counts, so that a loss does not depend on how the step was split: all its
// pairs, and those of their answers that carry a label, whether one of a pair or both or none.
func TestMicroBatchesShareTheStepsCounts(t *testing.T) {
	comparisons := judged(rand.New(rand.NewPCG(6, 6)), 5)
	for i, labels := range [][2]tandem.SafetyLabel{
		{tandem.Safe, tandem.Unsafe}, {tandem.Safe, tandem.Unlabelled}, {tandem.Unlabelled, tandem.Unlabelled}, {tandem.Unlabelled, tandem.Unsafe}, {tandem.Safe, tandem.Safe},
	} {
		comparisons[i].Chosen.Label, comparisons[i].Rejected.Label = labels[0], labels[1]
	}
	task, prepared, err := rewardmodel.NewTask(t.Context(), letters{}, comparisons, rewardmodel.DefaultConfig(tandem.Safety), untrained().Config)
	if err != nil {
		t.Fatal(err)
	}
	if prepared.Labelled != 6 {
		t.Errorf("%d answers are labelled, want 6", prepared.Labelled)
	}
	step := []int{0, 1, 2, 3} // not the last pair
	for _, micro := range [][]int{{0}, {2, 1}, {3}} {
		b, err := task.Batch(micro, step)
		if err != nil {
			t.Fatal(err)
		}
		if pairs, labelled := b.Inputs["examples"][0], b.Inputs["labelled"][0]; pairs != 4 || labelled != 4 {
			t.Errorf("the losses of pairs %v are divided by %g pairs and %g labels, want 4 and 4", micro, pairs, labelled)
		}
	}
	b, err := task.Batch([]int{2, 1}, step)
	if err != nil {
		t.Fatal(err)
	}
	if want := []float32{-1, -1, 1, -1}; !slices.Equal(b.Inputs["labels"], want) {
		t.Errorf("labels %v, want %v", b.Inputs["labels"], want)
	}
}

func TestTaskCountsWhatItLeavesOut(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	comparisons := judged(rng, 10)
	comparisons[3].Chosen.Label, comparisons[3].Rejected.Label = tandem.Unsafe, tandem.Safe
	comparisons[4].Rejected.Content = strings.Repeat("c", 80)
	_, prepared, err := rewardmodel.NewTask(t.Context(), letters{}, comparisons, rewardmodel.DefaultConfig(tandem.Helpfulness), llama.Config{MaxPositionEmbeddings: 64, PAD: -1})
	if err != nil {
		t.Fatal(err)
	}
	if want := (rewardmodel.Prepared{Pairs: 9, Cut: 1, LeftOut: 1}); prepared != want {
		t.Errorf("prepared %+v, want %+v", prepared, want)
	}
	if prepared.Calibrated() {
		t.Error("a model that learns from no label is calibrated")
	}
	if _, _, err := rewardmodel.NewTask(t.Context(), letters{}, nil, rewardmodel.DefaultConfig(tandem.Safety), llama.Config{MaxPositionEmbeddings: 64, PAD: -1}); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("no comparisons at all: %v", err)
	}
}

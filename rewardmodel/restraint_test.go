package rewardmodel_test

import (
	"math/rand/v2"
	"testing"

	"tandem"
	"tandem/llama"
	"tandem/llama/nn/nntest"
	"tandem/llama/train"
	"tandem/rewardmodel"
)

// Both options keep scores around zero without losing their order, the one by their sum and the other by their size.
func TestRestraintKeepsScoresAroundZero(t *testing.T) {
	if testing.Short() {
		t.Skip("three times forty training steps; not under the race detector")
	}
	measure := func(center, l2 float64) (sums, sizes, accuracy float64) {
		t.Helper()
		c, err := rewardmodel.Preset("practice", tandem.Helpfulness)
		if err != nil {
			t.Fatal(err)
		}
		c.Fit.LearningRate, c.CenterRewards, c.L2 = 3e-3, center, l2
		rng := rand.New(rand.NewPCG(1, 2))
		w := untrained()
		task, _, err := rewardmodel.NewTask(t.Context(), letters{}, judged(rng, 640), c, w.Config)
		if err != nil {
			t.Fatal(err)
		}
		fit := train.Trainer{Device: nntest.Plain(t), Weights: w, Task: task, Config: c.Fit}
		if err := fit.Fit(t.Context()); err != nil {
			t.Fatal(err)
		}
		classifier, err := llama.NewClassifier(w, llama.ForwardConfig{})
		if err != nil {
			t.Fatal(err)
		}
		held := judged(rng, 200)
		var dialogues []tandem.Dialogue
		for _, h := range held {
			chosen, rejected := h.Dialogues()
			dialogues = append(dialogues, chosen, rejected)
		}
		scores, _, err := judge{classifier}.Scalars(t.Context(), dialogues)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(scores); i += 2 {
			chosen, rejected := scores[i].R, scores[i+1].R
			sums += (chosen + rejected) * (chosen + rejected) / float64(len(held))
			sizes += (chosen*chosen + rejected*rejected) / float64(2*len(held))
			if chosen > rejected {
				accuracy += 1 / float64(len(held))
			}
		}
		return sums, sizes, accuracy
	}
	sums, sizes, accuracy := measure(0, 0)
	centred, _, centredAccuracy := measure(0.1, 0)
	_, small, smallAccuracy := measure(0, 0.1)
	t.Logf("(r_c + r_r)² %.2f, centred %.2f; r² %.2f, with L2 %.2f; accuracy %.3f, %.3f, %.3f", sums, centred, sizes, small, accuracy, centredAccuracy, smallAccuracy)
	if centred > sums/2 {
		t.Errorf("(r_c + r_r)² is %.2f on average, and %.2f without centring", centred, sums)
	}
	if small > sizes/2 {
		t.Errorf("r² is %.2f on average, and %.2f without L2", small, sizes)
	}
	for _, a := range []float64{centredAccuracy, smallAccuracy} {
		if a < accuracy-0.05 {
			t.Errorf("accuracy %.3f, and %.3f without", a, accuracy)
		}
	}
}

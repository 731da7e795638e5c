package ppo

import (
	"math"
	"testing"

	"tandem/llama/nn/nntest"
)

// hasty is a run whose policy moves far in one minibatch.
func hasty() Config {
	c := shortRun()
	c.CriticWarmup, c.BatchSize, c.MinibatchSize, c.LearningRate, c.EvaluateEvery = 0, 32, 8, 5e-3, 0
	return c
}

// With a target the steps before the limit is passed are those of a run without, and the others are not taken: the policy
// is that of a run with fewer minibatches. The critic takes all.
func TestUpdatesEndAtTheKLTarget(t *testing.T) {
	free, freeModels := newRun(t, hasty())
	whole, err := free.iterate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if whole.SkippedMinibatches != 0 {
		t.Errorf("without a target %d minibatches are left out", whole.SkippedMinibatches)
	}

	// The KL before each minibatch, of a run that is stopped by hand.
	kls := make([]float64, 4)
	for n := range kls {
		by, _ := newRun(t, hasty())
		batches := preparedBatches(t, by)
		var u updates
		if err := by.updatePolicy(batches[:n+1], by.learningRate(), &u); err != nil {
			t.Fatal(err)
		}
		kls[n] = u.approxKL - sum(kls[:n], func(i int) float64 { return float64(batches[i].tokens) })
		kls[n] /= float64(batches[n].tokens)
	}
	if kls[0] > 1e-8 || kls[1] < 1e-4 || kls[2] < kls[1] {
		t.Fatalf("the policy's distance before each minibatch is %v: the case shows nothing", kls)
	}

	config := hasty()
	config.UpdateKLTarget = (kls[1] + kls[2]) / 2 / klStop // between what is seen before the second and before the third
	stopped, models := newRun(t, config)
	stats, err := stopped.iterate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if stats.SkippedMinibatches != 2 || stats.Metrics()["policy/skipped_minibatches"] != 2 || stopped.policy.optimizer.Steps() != 2 || stopped.critic.optimizer.Steps() != 4 {
		t.Errorf("%d minibatches left out, %d steps of the policy and %d of the critic; want 2, 2 and 4",
			stats.SkippedMinibatches, stopped.policy.optimizer.Steps(), stopped.critic.optimizer.Steps())
	}
	by, want := newRun(t, hasty())
	var u updates
	if err := by.updatePolicy(preparedBatches(t, by)[:2], by.learningRate(), &u); err != nil {
		t.Fatal(err)
	}
	if name := firstDifference(want.Policy, models.Policy); name != "" {
		t.Errorf("the policy differs in %s from one that took two steps", name)
	}
	if name := firstDifference(freeModels.Critic, models.Critic); name != "" {
		t.Errorf("the critic differs in %s from one whose updates all were taken", name)
	}
	if math.IsNaN(stats.PolicyLoss) || stats.Ratio == 0 || stats.ApproxKL <= 0 {
		t.Errorf("figures of a stopped iteration: %+v", stats)
	}
	// What was gathered of the minibatch that was left out is gone: the next step is not taken with it.
	for _, p := range models.Policy.Gradients().Params() {
		for _, g := range p.Grad {
			if g != 0 {
				t.Fatalf("%s has a gradient left", p.Name)
			}
		}
	}
}

// preparedBatches are the minibatches of a run's first iteration, before its updates.
func preparedBatches(t *testing.T, run *Trainer) []*minibatch {
	t.Helper()
	questions, err := run.environment.Questions(0, run.config.BatchSize)
	if err != nil {
		t.Fatal(err)
	}
	rollouts, err := sample(t.Context(), run.sampler, questions, run.environment.Stop(), run.config, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := run.judge(t.Context(), rollouts); err != nil {
		t.Fatal(err)
	}
	batches := pack(rollouts, run.config.MinibatchSize, run.config.shape(run.policy.weights).Tokens)
	if err := run.forward(t.Context(), batches); err != nil {
		t.Fatal(err)
	}
	run.estimate(rollouts)
	return batches
}

// sum is Σ x[i]·weight(i).
func sum(x []float64, weight func(i int) float64) float64 {
	total := 0.0
	for i, v := range x {
		total += v * weight(i)
	}
	return total
}

func TestResumeOfStoppedUpdatesIsExact(t *testing.T) {
	resumesExactly(t, func() (*Trainer, Models) {
		c := hasty()
		c.UpdateKLTarget = 1e-3
		return newRun(t, c)
	}, 2, 4)
}

// Where no answer is better than another the bonus alone moves the policy: towards more entropy, and without it nowhere.
func TestEntropyBonusKeepsThePolicyVaried(t *testing.T) {
	entropies := func(coefficient float64) (first, last float64) {
		c := shortRun()
		c.Iterations, c.BatchSize, c.CriticWarmup, c.Beta, c.WeightDecay, c.EvaluateEvery = 20, 64, 0, 0, 0, 0
		c.WhitenScores, c.WhitenAdvantages, c.EntropyCoefficient, c.FinalLearningRate = false, false, coefficient, 1e-2
		trainer, err := NewTrainer(nntest.Plain(t), toyModels(4), toy{func([]int32) float64 { return 0 }}, c, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range trainer.critic.weights.Params() { // values of 0: every advantage is 0
			clear(p.Data)
		}
		err = trainer.Run(t.Context(), nil, Observer{Iteration: func(s Stats) {
			if s.Iteration == 1 {
				first = s.Entropy
			}
			last = s.Entropy
		}})
		if err != nil {
			t.Fatal(err)
		}
		return first, last
	}
	if first, last := entropies(0); math.Abs(last-first) > 0.05 {
		t.Errorf("without the bonus the entropy goes from %g to %g", first, last)
	}
	// The largest is that of four tokens.
	if first, last := entropies(0.1); last < first+0.2 || last > math.Log(4)+1e-6 {
		t.Errorf("with the bonus the entropy goes from %g to %g", first, last)
	}
}

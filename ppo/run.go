package ppo

import (
	"context"
	"fmt"
	"math"

	"tandem"
	"tandem/llama"
	"tandem/llama/checkpoint"
)

// stopping follows the objective on held-out questions.
type stopping struct {
	best      *llama.Weights // the policy with the highest objective; nil where the last one is kept
	objective float64
	since     int // evaluations since then
	evaluated int // evaluations so far
}

// Run iterates to the end of the run or until the held-out objective has not risen for Patience
// evaluations; then the policy's weights are the best ones. states, if not nil, keeps what a run needs to
// be resumed; a cancelled run saves before it returns the context's error.
func (t *Trainer) Run(ctx context.Context, states *checkpoint.States, observe Observer) error {
	for t.iteration < t.config.Iterations {
		if every := t.config.EvaluateEvery; every > 0 && t.iteration%every == 0 && t.stopping.evaluated <= t.iteration/every {
			if err := t.evaluate(ctx, observe); err != nil {
				return t.interrupted(ctx, states, err)
			}
			if t.config.Patience > 0 && t.stopping.since >= t.config.Patience {
				break
			}
		}
		stats, err := t.iterate(ctx)
		if err != nil {
			return t.interrupted(ctx, states, err)
		}
		if observe.Iteration != nil {
			observe.Iteration(stats)
		}
		observe.troubles(t.diagnosis.iteration(stats, t.config))
		if states != nil && t.iteration%t.config.CheckpointEvery == 0 && t.iteration < t.config.Iterations {
			if err := t.save(ctx, states); err != nil {
				return err
			}
		}
	}
	if t.config.EvaluateEvery > 0 && t.iteration == t.config.Iterations {
		if err := t.evaluate(ctx, observe); err != nil {
			return t.interrupted(ctx, states, err)
		}
	}
	if best := t.stopping.best; best != nil {
		copyWeights(t.policy.weights, best)
	}
	return nil
}

// interrupted saves the state of a run whose context has ended; other errors pass through.
func (t *Trainer) interrupted(ctx context.Context, states *checkpoint.States, err error) error {
	if ctx.Err() == nil || states == nil {
		return err
	}
	if saveErr := t.save(ctx, states); saveErr != nil {
		return fmt.Errorf("%w; and the state could not be saved: %w", err, saveErr)
	}
	return err
}

// evaluate measures the policy on the held-out questions and tells observe of it.
func (t *Trainer) evaluate(ctx context.Context, observe Observer) error {
	e := Evaluation{Iteration: t.iteration}
	var second []tandem.Score
	rollouts, err := t.examine(ctx)
	if err == nil && t.SecondJudge != nil && len(rollouts) > 0 {
		second, err = t.SecondJudge(ctx, answersOf(rollouts))
	}
	if err != nil {
		return fmt.Errorf("evaluate: %w", err)
	}
	t.stopping.evaluated++
	var found []Trouble
	if len(rollouts) > 0 {
		t.measure(&e, rollouts)
		if len(second) > 0 {
			found = t.compare(&e, rollouts, second)
		}
	}
	if observe.Evaluation != nil {
		observe.Evaluation(e)
	}
	observe.troubles(found)
	return nil
}

// examine has the policy answer the held-out questions, always with the same sample keys, so that two
// evaluations differ by the policy alone.
func (t *Trainer) examine(ctx context.Context) ([]*rollout, error) {
	questions := t.environment.HeldOut()
	if len(questions) == 0 {
		return nil, nil
	}
	// Rounds of training are iterations; this one is none of them.
	rollouts, err := sample(ctx, t.sampler, questions, t.environment.Stop(), t.config, math.MaxUint32)
	if err != nil {
		return nil, err
	}
	if err := t.judge(ctx, rollouts); err != nil {
		return nil, err
	}
	return rollouts, t.forward(ctx, pack(rollouts, t.config.MinibatchSize, t.config.shape(t.policy.weights).Tokens))
}

// measure fills in what the rollouts of held-out questions show, and follows the best policy.
func (t *Trainer) measure(e *Evaluation, rollouts []*rollout) {
	n := float64(len(rollouts))
	for _, r := range rollouts {
		e.Score += r.score / n
		e.KL += K1.sum(r.logprobs, r.reference) / n
		e.Length += float64(len(r.answer.Tokens)) / n
	}
	e.Objective = e.Score - t.config.Beta*e.KL
	t.stopping.follow(e, t.policy.weights, t.config.Patience > 0)
	if t.iteration <= t.config.CriticWarmup { // the policy has not moved yet
		t.stopping.since = 0
	}
}

// compare sets the second judge's opinion of the rollouts beside the first one's.
func (t *Trainer) compare(e *Evaluation, rollouts []*rollout, second []tandem.Score) []Trouble {
	var o opinions
	for i, r := range rollouts {
		o.Trained, o.HeldOut = append(o.Trained, r.combined), append(o.HeldOut, second[i].Combined)
		e.SecondScore += second[i].Combined / float64(len(rollouts))
	}
	e.Seconded = true
	return t.diagnosis.judged(t.iteration, o)
}

func answersOf(rollouts []*rollout) []Answer {
	answers := make([]Answer, len(rollouts))
	for i, r := range rollouts {
		answers[i] = r.answer
	}
	return answers
}

// Diagnosis is what has been off with the run, by when it first showed; none where all was well. What the last iterations
// no longer show is marked as past.
func (t *Trainer) Diagnosis() []Trouble { return t.diagnosis.all() }

// follow notes an evaluation, and keeps the policy if it is the best so far.
func (s *stopping) follow(e *Evaluation, policy *llama.Weights, keep bool) {
	if s.evaluated > 1 && e.Objective <= s.objective {
		s.since++
		return
	}
	e.Best, s.objective, s.since = true, e.Objective, 0
	if !keep {
		return
	}
	if s.best == nil {
		s.best = policy.Clone()
		return
	}
	copyWeights(s.best, policy)
}

// copyWeights copies what training changes.
func copyWeights(to, from *llama.Weights) {
	source := from.Trained()
	for i, p := range to.Trained() {
		copy(p.Data, source[i].Data)
	}
}

// runState is the part of a checkpoint that is not tensors.
type runState struct {
	Iteration   int     `json:"iteration"`
	PolicySteps int     `json:"policy_steps"`
	CriticSteps int     `json:"critic_steps"`
	Beta        float64 `json:"beta"` // of the next iteration
	Objective   float64 `json:"best_objective"`
	Since       int     `json:"evaluations_since_best"`
	Evaluated   int     `json:"evaluations"`
	HasBest     bool    `json:"has_best"`
	Config      Config  `json:"config"`
	Kernel      string  `json:"kernel"`

	Diagnosis diagnosis `json:"diagnosis"`
}

// save writes the state after the last iteration, to its end: a cancelled run is what needs it most.
func (t *Trainer) save(ctx context.Context, states *checkpoint.States) error {
	meta := runState{
		Iteration: t.iteration, PolicySteps: t.policy.optimizer.Steps(), CriticSteps: t.critic.optimizer.Steps(),
		Beta: t.beta, Objective: t.stopping.objective, Since: t.stopping.since, Evaluated: t.stopping.evaluated,
		HasBest: t.stopping.best != nil, Config: t.config, Kernel: t.kernel, Diagnosis: t.diagnosis,
	}
	if err := states.Save(context.WithoutCancel(ctx), int64(t.iteration), meta, t.tensors()); err != nil {
		return fmt.Errorf("save the state after iteration %d: %w", t.iteration, err)
	}
	return nil
}

// Resume continues from the newest state, to the same result as a run that was never interrupted. It
// returns the iterations that are done: 0 where nothing was saved.
func (t *Trainer) Resume(ctx context.Context, states *checkpoint.States) (int, error) {
	steps, err := states.Steps(ctx)
	if err != nil || len(steps) == 0 {
		return 0, err
	}
	newest := steps[len(steps)-1]
	var meta runState
	if _, err := states.Load(ctx, newest, &meta); err != nil {
		return 0, fmt.Errorf("resume: %w", err)
	}
	if meta.Config != t.config {
		return 0, tandem.Errorf(tandem.Conflict, "ppo.Resume", "the state of iteration %d was saved under another configuration", newest)
	}
	if meta.Kernel != t.kernel && !t.AnyKernel {
		return 0, tandem.Errorf(tandem.Conflict, "ppo.Resume", "the state of iteration %d was computed by %s and this is %s: the result would differ in the last bits",
			newest, meta.Kernel, t.kernel)
	}
	if meta.HasBest {
		t.stopping.best = t.policy.weights.Clone()
	}
	if err := states.Restore(ctx, newest, &meta, t.tensors()); err != nil {
		return 0, fmt.Errorf("resume: %w", err)
	}
	t.iteration, t.diagnosis = meta.Iteration, meta.Diagnosis
	if t.config.KLTarget > 0 { // else it is the configuration's, which older states do not repeat
		t.beta = meta.Beta
	}
	t.policy.optimizer.SetSteps(meta.PolicySteps)
	t.critic.optimizer.SetSteps(meta.CriticSteps)
	t.stopping.objective, t.stopping.since, t.stopping.evaluated = meta.Objective, meta.Since, meta.Evaluated
	return t.iteration, nil
}

// tensors lists everything that changes over a run, in place.
func (t *Trainer) tensors() []checkpoint.Tensor {
	var all []checkpoint.Tensor
	add := func(prefix string, w *llama.Weights) {
		for _, p := range w.Trained() {
			all = append(all, checkpoint.Tensor{Name: prefix + p.Name, Shape: p.Shape, Data: p.Data})
		}
	}
	add("policy.", t.policy.weights)
	add("critic.", t.critic.weights)
	if t.stopping.best != nil {
		add("best.", t.stopping.best)
	}
	addState := func(prefix string, l *learner) {
		for _, s := range l.optimizer.State() {
			all = append(all, checkpoint.Tensor{Name: prefix + s.Name, Shape: []int{len(s.Data)}, Data: s.Data})
		}
	}
	addState("policy.", t.policy)
	addState("critic.", t.critic)
	return all
}

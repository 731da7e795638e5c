package pipeline

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"tandem"
	"tandem/llama/checkpoint"
)

// member is the specification of one member of an ensemble, counted from 0, in a folder of the ensemble's.
//
// Members differ by the seed of their fit alone: by the order in which they meet comparisons and by their heads' first
// weights (trained from scratch, by all of them), as in Coste et al. 2023 (https://arxiv.org/abs/2310.02743).
// They start from the same checkpoint, and the mixture, which has a seed of its own, draws the same comparisons for all.
// The first member is the model that would be made without an ensemble; the seeds of the others are far from it, so that
// ensembles of neighbouring seeds share nothing. The head for prompts is kept with the first member, which is asked.
func (r Reward) member(i int) Reward {
	name := fmt.Sprintf("member-%d", i+1)
	r.Config.Fit.Seed += uint64(i) << 32
	r.WithoutPromptHead = r.WithoutPromptHead || i > 0
	r.Members, r.Out, r.Name = 0, filepath.Join(r.Out, name), r.Name+" "+name
	return r
}

// ensemble fits the members one after the other, each a run that is resumed by itself, and then writes what makes them
// one model: a tandem.json that lists their folders, with the means of their figures.
func (s *Studio) ensemble(ctx context.Context, r Reward, resume bool) (tandem.Model, error) {
	if err := takeOver(ctx, r.Out); err != nil {
		return tandem.Model{}, err
	}
	m, err := s.identify(ctx, r)
	if err != nil {
		return m, err
	}
	if there, err := s.finished(ctx, m, r.Out); err != nil {
		return m, err
	} else if there != nil {
		return *there, nil
	}
	if err := writeJSON(ctx, filepath.Join(r.Out, runName), m); err != nil {
		return m, err
	}
	m.Metrics = make(map[string]float64)
	counts := make(map[string]float64)
	for i := range r.Members {
		spec := r.member(i)
		s.Log.Info("a member of the ensemble", "member", i+1, "of", r.Members, "seed", spec.Config.Fit.Seed)
		made, err := s.progressOf(i, r.Members).carryOut(ctx, spec, resume)
		if err != nil {
			return m, fmt.Errorf("%s: %w", filepath.Base(spec.Out), err)
		}
		m.Ensemble = append(m.Ensemble, filepath.Base(spec.Out))
		for name, value := range made.Metrics {
			counts[name]++
			m.Metrics[name] += (value - m.Metrics[name]) / counts[name]
		}
	}
	m.CreatedAt = time.Now().UTC()
	if err := checkpoint.SaveLineage(ctx, r.Out, m); err != nil {
		return m, err
	}
	m.URL = r.Out
	if s.Store != nil { // as a run's end does
		if err := Register(ctx, s.Store, m); err != nil {
			s.Log.Warn("the ensemble cannot be recorded in the database", "error", err)
		}
	}
	return m, nil
}

// progressOf is a studio whose steps are counted over all members.
func (s *Studio) progressOf(member, members int) *Studio {
	part := *s
	part.Observe = func(o Observation) {
		o.Step, o.Steps = member*o.Steps+o.Step, members*o.Steps
		s.observe(o)
	}
	return &part
}

// PlanReward is Plan, of an ensemble over all its members.
func (s *Studio) PlanReward(ctx context.Context, r Reward) (Plan, error) {
	if r.Members <= 1 {
		return s.Plan(ctx, r)
	}
	m, err := s.identify(ctx, r)
	if err != nil {
		return Plan{}, err
	}
	there, err := s.finished(ctx, m, r.Out)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{Stage: m.Stage, Config: m.Config, Status: "new", Writes: []string{}}
	begun, finished := false, 0
	for i := range r.Members {
		p, err := s.Plan(ctx, r.member(i))
		if err != nil {
			return plan, err
		}
		plan.Data, plan.Steps, plan.Writes = p.Data, plan.Steps+p.Steps, slices.Concat(plan.Writes, p.Writes)
		if p.Expected != nil {
			plan.Expected = p.Expected.after(plan.Expected)
		}
		begun = begun || p.Status != "new"
		if p.Status == "finished" {
			finished++
		}
	}
	switch {
	case there != nil:
		plan.Status = "finished"
		return plan, nil
	case begun:
		plan.Status = fmt.Sprintf("interrupted after %d of %d members", finished, r.Members)
	}
	plan.Writes = append(plan.Writes, filepath.Join(r.Out, "tandem.json"))
	return plan, nil
}

package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"tandem"
	"tandem/llama/train"
	"tandem/store"
)

// PlanRound says what a round would do with the comparisons of a database, and touches nothing. Its steps are stages.
func (s *Studio) PlanRound(ctx context.Context, r Round) (Plan, error) {
	p := Plan{Stage: "round", Status: "new", Data: make(map[string]int), Steps: 4, Writes: r.writes()}
	if r.PPO {
		p.Steps++
	}
	if r.Promote {
		p.Steps += 2 // the held-out judge's, and people's
		heldOut, _, err := heldOutPrompts(ctx, s.Store, r.Prompts.trial())
		if err != nil {
			return p, err
		}
		for _, aspect := range aspects() {
			p.Data["trial_prompts_"+string(aspect)] = len(promptsOf(aspect, heldOut))
		}
	}
	if _, err := os.Stat(filepath.Join(r.Folder, "helpfulness")); err == nil {
		p.Status = "begun"
	}
	var err error
	if p.Config, err = json.Marshal(r.Recipe); err != nil {
		return p, err
	}
	for _, aspect := range []tandem.Aspect{tandem.Helpfulness, tandem.Safety} {
		for split, name := range map[store.Split]string{store.TrainData: "", store.HeldOutData: "_held_out"} {
			query := store.ComparisonQuery{Aspect: aspect, Split: split, Snapshot: r.Snapshot}
			if p.Data[string(aspect)+"_comparisons"+name], err = s.Store.CountComparisons(ctx, query); err != nil {
				return p, err
			}
		}
	}
	d, err := divideByStore(ctx, s.Store, r)
	if err != nil {
		return p, err
	}
	training, heldOut := splitPrompts(d.prompts, 0)
	p.Data["prompts"], p.Data["prompts_held_out"], p.Data["samples"] = len(training), len(heldOut), len(training)*r.Recipe.Rejection.Samples()
	if len(r.Archive) > 0 {
		if p.Data["archive"], err = countTargets(ctx, r.Archive); err != nil {
			return p, err
		}
		p.Writes = append(p.Writes, filepath.Join(r.Folder, archiveName))
	}
	p.Data["demonstrations"], p.Data["demonstrations_held_out"] = len(d.demonstrations), d.leftOut
	data := foreseen{compared: make(map[tandem.Aspect][]tandem.Comparison), demonstrations: d.demonstrations, prompts: training, archive: p.Data["archive"]}
	for _, aspect := range aspects() { // comparisons that people are still to make are not known
		data.compared[aspect], err = collect(s.Store.Comparisons(ctx, store.ComparisonQuery{Aspect: aspect, Split: store.TrainData, Snapshot: r.Snapshot}))
		if err != nil {
			return p, err
		}
	}
	e := expecting{product: train.DeviceProduct(s.Device)}
	err = s.expectRound(ctx, &e, r, data)
	p.Expected = e.all
	return p, err
}

// freeze returns the id of the round's snapshot of comparisons, which it makes where there is none yet.
func (l *Loop) freeze(ctx context.Context, r Round) (string, error) {
	if r.Snapshot != "" {
		return r.Snapshot, nil
	}
	name := fmt.Sprintf("round %d: comparisons", r.Number)
	snapshots, err := l.Store.Snapshots(ctx)
	if err != nil {
		return "", err
	}
	for _, s := range snapshots {
		if s.Name == name {
			return s.ID, nil
		}
	}
	made, err := l.Store.CreateSnapshot(ctx, name, store.ComparisonQuery{})
	return made.ID, err
}

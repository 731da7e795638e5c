package pipeline

import (
	"context"
	"fmt"
	"path/filepath"

	"tandem"
	"tandem/llama/checkpoint"
	"tandem/llama/train"
)

// Plan says what the demo would do, and touches nothing but the folder scratch, where it puts a base model that has learnt
// nothing, of the shape that all models will have. compared are comparisons like those that each round will collect: nobody
// has made them yet. What is expected leaves out, as that of a round does, sampling the answers that people compare, trials
// and evaluations. Its steps are stages.
func (d Demo) Plan(ctx context.Context, s *Studio, compared map[tandem.Aspect][]tandem.Comparison, scratch string) (Plan, error) {
	p := Plan{Stage: "rounds", Status: "new", Data: make(map[string]int), Writes: []string{d.Base.Out, d.Chat.Out}}
	made, _, err := d.Base.start(ctx, s)
	if err != nil {
		return p, fmt.Errorf("base model: %w", err)
	}
	if err := checkpoint.Save(ctx, scratch, made, checkpoint.SaveOptions{}); err != nil {
		return p, err
	}
	base := *d.Base
	base.TokenizerOf = scratch // the same, which is not trained twice
	e := expecting{product: train.DeviceProduct(s.Device)}
	pretraining, err := base.prepare(ctx, s)
	if err == nil {
		err = e.add(pretraining.expect())
	}
	if err != nil {
		return p, fmt.Errorf("base model: %w", err)
	}
	demonstrations, err := readDialogues(ctx, d.Chat.Format, d.Chat.Data...)
	if err == nil {
		err = e.add(s.imitationLoad(ctx, scratch, demonstrations, 0, d.Chat.Config))
	}
	if err != nil {
		return p, fmt.Errorf("chat model: %w", err)
	}
	improve, err := readPrompts(ctx, d.Prompts.Improve)
	if err != nil {
		return p, err
	}
	heldOut, err := readPrompts(ctx, d.HeldOut)
	if err != nil {
		return p, err
	}
	training, watched := splitPrompts(improve, 0)
	p.Steps = 2 + 5*d.Rounds + 1 + 1 // a round collects, learns twice, samples and fine-tunes; the last one ends in PPO, and all are evaluated
	if d.Promote {
		p.Steps += 2 * (d.Rounds + 1) // the held-out judge's, and people's, of each round and in the end
	}
	data := foreseen{compared: make(map[tandem.Aspect][]tandem.Comparison), demonstrations: demonstrations, prompts: training}
	for i := range d.Rounds {
		r := Round{Folder: filepath.Join(d.Folder, fmt.Sprintf("v%d", i+1)), Recipe: d.Recipe, Base: scratch, Versions: []Version{{Model: tandem.Model{URL: scratch}}}, PPO: i == d.Rounds-1}
		for _, aspect := range aspects() { // those of all rounds so far
			data.compared[aspect] = append(data.compared[aspect], compared[aspect]...)
		}
		data.archive = i * len(training)
		if err := s.expectRound(ctx, &e, r, data); err != nil {
			return p, fmt.Errorf("round %d: %w", i+1, err)
		}
		p.Writes = append(p.Writes, r.writes()...)
	}
	for _, aspect := range aspects() {
		p.Data[string(aspect)+"_comparisons"] = len(data.compared[aspect])
		p.Data["held_out_prompts_"+string(aspect)] = len(promptsOf(aspect, heldOut))
	}
	p.Data["pretraining_tokens"], p.Data["demonstrations"] = pretraining.counts["tokens"], len(demonstrations)
	p.Data["prompts"], p.Data["prompts_watched"], p.Data["samples"] = len(training), len(watched), d.Rounds*len(training)*d.Recipe.Rejection.Samples()
	p.Expected = e.all
	return p, nil
}

// writes are the folders and files that a round makes.
func (r Round) writes() []string {
	writes := []string{
		filepath.Join(r.Folder, "helpfulness"), filepath.Join(r.Folder, "safety"), filepath.Join(r.Folder, targetsName), filepath.Join(r.Folder, "policy"),
	}
	if r.Recipe.SecondShare > 0 {
		writes = append(writes, filepath.Join(r.Folder, secondName, "helpfulness"), filepath.Join(r.Folder, secondName, "safety"))
	}
	if r.PPO {
		writes = append(writes, filepath.Join(r.Folder, "ppo"))
	}
	return writes
}

package demo

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"tandem"
	"tandem/internal/practice"
	"tandem/pipeline"
)

// Plan says what the demo would do. It makes the world in a temporary folder, and touches nothing else.
func (d Demo) Plan(ctx context.Context, s *pipeline.Studio) (p pipeline.Plan, err error) {
	scratch, err := os.MkdirTemp("", "tandem-plan-")
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	world, err := d.Config.world()
	if err != nil {
		return p, err
	}
	f, err := d.Config.write(world, filepath.Join(scratch, "world"))
	if err != nil {
		return p, err
	}
	compared, err := d.Config.compared(world)
	if err != nil {
		return p, err
	}
	return d.order(f).Plan(ctx, s, compared, filepath.Join(scratch, "base"))
}

// compared are comparisons as a round will collect them, of answers that the world writes instead of a policy.
func (c Config) compared(w *practice.World) (map[tandem.Aspect][]tandem.Comparison, error) {
	compared := make(map[tandem.Aspect][]tandem.Comparison)
	for aspect, parts := range map[tandem.Aspect][]part{tandem.Helpfulness: c.helpfulnessParts(), tandem.Safety: c.safetyParts()} {
		prompts, err := drawParts(w, parts)
		if err != nil {
			return nil, err
		}
		for _, p := range prompts {
			for pair := range uint64(c.recipe().PairsPerPrompt) {
				chosen, err := w.Answer(p.Messages, practice.Good, pair)
				if err != nil {
					return nil, err
				}
				rejected, err := w.Answer(p.Messages, practice.Middling, pair)
				if err != nil {
					return nil, err
				}
				compared[aspect] = append(compared[aspect], tandem.Comparison{
					Aspect: aspect, Prompt: p, Chosen: tandem.Response{Content: chosen}, Rejected: tandem.Response{Content: rejected}, Degree: tandem.Better,
				})
			}
		}
	}
	return compared, nil
}

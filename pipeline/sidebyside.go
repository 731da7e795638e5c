package pipeline

import (
	"context"
	"fmt"

	"tandem"
	"tandem/statistics"
	"tandem/store"
)

// pairing is two versions whose answers people compare, the newer first.
type pairing [2]Version

// sideBySide has people compare the answers of two versions to the prompts of a file for each aspect. It is an
// annotation project like any other: an answer's side is drawn when a person takes the task, and nobody is told whose it
// is. Nothing learns from what they say, since the prompts are held out.
func (l *Loop) sideBySide(ctx context.Context, round int, recipe Recipe, prompts map[tandem.Aspect]string, pairings ...pairing) ([]map[tandem.Aspect]statistics.Outcomes, error) {
	if l.Annotators == nil {
		return nil, tandem.Errorf(tandem.Invalid, "pipeline.promote", "nobody is there to compare answers")
	}
	var projects []store.Project
	var specs []any
	for i, p := range pairings {
		for _, aspect := range aspects() {
			project, err := l.project(ctx, fmt.Sprintf("round %d: side by side %d, %s", round, i+1, aspect), aspect)
			if err != nil {
				return nil, err
			}
			pose := Pose{
				Project: project.ID, Batch: round, Prompts: prompts[aspect], PairsPerPrompt: 1,
				MaxTokens: recipe.Rejection.MaxTokens, Seed: recipe.Seed,
			}
			for v, version := range p {
				pose.Variants[v] = Variant{Model: version.ID, Folder: version.URL, Temperature: recipe.Trial.Temperature}
			}
			projects, specs = append(projects, project), append(specs, pose)
		}
	}
	posed, err := each[posed](l.stage(ctx, round, tandem.StagePromote, specs...))
	if err != nil {
		return nil, err
	}
	outcomes := make([]map[tandem.Aspect]statistics.Outcomes, len(pairings))
	for i, project := range projects {
		if err := l.Annotators.Annotate(ctx, project.ID); err != nil {
			return nil, err
		}
		of := i / len(aspects())
		o, err := l.preferences(ctx, project.ID, pairings[of][0].ID)
		if err != nil {
			return nil, err
		}
		if outcomes[of] == nil {
			outcomes[of] = make(map[tandem.Aspect]statistics.Outcomes)
		}
		o.Ties += posed[i].Alike
		outcomes[of][project.Aspect] = o
	}
	return outcomes, nil
}

// preferences counts the prompts of a project to which people prefer the answer of the newer model. Who is unsure has not
// preferred either [choice], and where several were asked about a prompt, most of them decide.
func (l *Loop) preferences(ctx context.Context, project, newer string) (o statistics.Outcomes, err error) {
	votes := make(map[string]int) // by prompt
	for c, err := range l.Store.Comparisons(ctx, store.ComparisonQuery{Project: project}) {
		switch {
		case err != nil:
			return o, err
		case c.Degree == tandem.NegligiblyBetter:
			votes[c.Prompt.ID] += 0
		case c.Chosen.Model == newer:
			votes[c.Prompt.ID]++
		default:
			votes[c.Prompt.ID]--
		}
	}
	for _, v := range votes {
		switch {
		case v > 0:
			o.Wins++
		case v < 0:
			o.Losses++
		default:
			o.Ties++
		}
	}
	return o, nil
}

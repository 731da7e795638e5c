package demo

import (
	"context"
	"path/filepath"

	"tandem"
	"tandem/internal/practice"
	"tandem/internal/practice/gold"
	"tandem/pipeline"
	"tandem/store"
)

// Demo is the loop on the practice world.
type Demo struct {
	Config Config
	Folder string         // where everything lies
	Loop   *pipeline.Loop // without annotators: the demo brings its own
	Store  *store.Store
	URL    string // of the server whose /api/v1 the annotators use
}

// Outcome is what the demo made, with gold's view of it.
type Outcome struct {
	pipeline.Story
	Gold []Gold // by chapter
}

// world is the practice world of the configuration.
func (c Config) world() (*practice.World, error) {
	town := practice.DefaultConfig(c.Seed)
	town.Cue = c.Cue
	return practice.New(town)
}

// order orders the demo's parts.
func (d Demo) order(f files) pipeline.Demo {
	c := d.Config
	base, recipe := c.base(d.Folder, f.texts), c.recipe()
	return pipeline.Demo{
		Folder: d.Folder, Base: &base,
		Chat: pipeline.FineTune{
			Model: base.Out, Data: []string{f.demonstrations}, Stage: tandem.StageSFT, Config: recipe.FineTune,
			Out: filepath.Join(d.Folder, "sft"), Name: "SFT",
		},
		Prompts: f.prompts, HeldOut: f.heldOut, Recipe: recipe, Rounds: c.Rounds, Controls: c.Controls, Promote: c.Promote,
		Sampling: tandem.Sampling{Temperature: 1, MaxTokens: recipe.Rejection.MaxTokens},
	}
}

// Run goes through the demo; an interrupted one goes on where it stood.
func (d Demo) Run(ctx context.Context) (Outcome, error) {
	c := d.Config
	world, err := c.world()
	if err != nil {
		return Outcome{}, err
	}
	f, err := c.write(world, filepath.Join(d.Folder, "world"))
	if err != nil {
		return Outcome{}, err
	}
	oracle := gold.New()
	loop := *d.Loop
	people, err := newPanel(ctx, d.Store, oracle, d.URL, c.Seed, c.Panel)
	if err != nil {
		return Outcome{}, err
	}
	loop.Annotators = people
	ordered := d.order(f)
	ordered.Loop = &loop
	story, err := ordered.Run(ctx)
	if err != nil {
		return Outcome{}, err
	}
	o := Outcome{Story: story}
	for _, chapter := range story.Chapters {
		g, err := judge(oracle, chapter.Answers)
		if err != nil {
			return o, err
		}
		o.Gold = append(o.Gold, g)
	}
	return o, nil
}

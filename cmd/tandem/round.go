package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tandem"
	"tandem/llama"
	"tandem/pipeline"
	"tandem/rejection"
	"tandem/store"
)

// roundCommand runs one round of the loop on the comparisons of the database (section 3.2.3).
type roundCommand struct {
	Model          []string `type:"path" help:"Folders of the policies so far, the newest last; the first one's answers calibrate the reward models." placeholder:"DIR"`
	Base           string   `type:"path" help:"Folder of the model that fine-tuning starts from in every round." placeholder:"DIR"`
	Demonstrations string   `type:"path" help:"File of dialogues in the messages form that every version is fine-tuned on." placeholder:"FILE"`
	Prompts        string   `type:"path" help:"File of prompts to improve the policy on, JSON Lines; held-out ones are for PPO's evaluation." placeholder:"FILE"`
	Reference      string   `name:"reference-prompts" type:"path" help:"File of prompts to calibrate the reward models on, of both kinds (default: --prompts)." placeholder:"FILE"`
	Archive        []string `type:"path" help:"Folders of earlier rounds, or files of their best answers (targets.jsonl), the oldest first: to fine-tune on with this one's." placeholder:"DIR,…"`
	ArchivePolicy  *string  `help:"Which of them: all, newest (none of them, and the policy forgets), best (of all rounds the best answer to each prompt by the newest reward models) or share (the best of each earlier round) (default: the recipe's, all)." placeholder:"POLICY"`
	ArchiveShare   *float64 `help:"Share of each earlier round that the policy share keeps (default: the recipe's, 0.5)." placeholder:"SHARE"`
	Data           string   `help:"snapshot:ID of the comparisons to learn from (default: all that count when learning begins)." placeholder:"SNAPSHOT"`
	Out            string   `required:"" type:"path" help:"Folder for the round's data and models, which workers elsewhere must see too; with --practice for a database as well." placeholder:"DIR"`
	Number         int      `help:"Number of a round that is there, to go on with (default: a new one)." placeholder:"N"`
	Resume         bool     `help:"Go on with the round in the folder, and try again what failed."`
	DryRun         bool     `help:"Print the recipe, the counts of data and what would be written; touch nothing."`
	Name           string   `help:"Name of the version that it makes (default: RLHF-V and the round's number)." placeholder:"NAME"`
	PPO            bool     `name:"ppo" help:"Tune by PPO after rejection sampling."`
	Preset         string   `help:"Recipe to start from: llama2-7b, llama2-70b or practice (default: llama2-7b; with --practice one of its own)." placeholder:"NAME"`
	Recipe         string   `type:"existingfile" help:"YAML or JSON file of what differs from the preset; tandem config recipe prints one with every value explained." placeholder:"FILE"`
	Seed           *uint64  `help:"Seed of every stage (default: the recipe's)." placeholder:"N"`
	Worker         bool     `default:"true" negatable:"" help:"Work in this process too, beside the tandem workers that there are (default: yes)."`

	Promote      bool   `help:"Let the version serve as policy if it does not lose to the one that does: by a second pair of reward models, and by people on the annotation site, who are waited for."`
	TrialPrompts string `type:"path" help:"File of held-out prompts of both kinds to decide that on, with --promote (default: the held-out ones of --prompts)." placeholder:"FILE"`

	Collect            bool   `help:"First have people compare answers of the two newest policies on the annotation site, and wait for them."`
	HelpfulnessPrompts string `type:"path" help:"File of prompts to compare answers to for helpfulness, with --collect." placeholder:"FILE"`
	SafetyPrompts      string `type:"path" help:"The same for safety." placeholder:"FILE"`

	Practice  bool `help:"Run rounds on the practice world instead, with simulated annotators and a database of their own; versions are promoted as --promote does." group:"practice world"`
	Rounds    int  `default:"4" help:"How many (default: 4)." placeholder:"N" group:"practice world"`
	Miniature bool `help:"Small models and little data: the same in minutes, no claim." group:"practice world"`
	engineFlags
	databaseFlags
}

// roundReport is round's JSON: the lineage of the version that it made, and how.
type roundReport struct {
	tandem.Model
	Number      int          `json:"number"`
	Helpfulness tandem.Model `json:"helpfulness"`
	Safety      tandem.Model `json:"safety"`
	// Second is the pair of reward models that chose nothing of it, where the recipe wants one.
	Second  *pipeline.Judges `json:"second,omitempty"`
	Targets string           `json:"targets"`
	// Archive is what the version was fine-tuned on, where that is more than the targets.
	Archive  *pipeline.Archived `json:"archive,omitempty"`
	Next     *rejection.Choice  `json:"next,omitempty"`     // temperature that a sweep speaks for
	Compared int                `json:"compared"`           // training comparisons
	Decision *tandem.Decision   `json:"decision,omitempty"` // with --promote
}

// roundName is the file in a round's folder that tells its number to --resume.
const roundName = "round.json"

func (c *roundCommand) Run(ctx context.Context, w *world) (err error) {
	if c.Practice {
		return c.practice(ctx, w)
	}
	recipe, err := c.recipe()
	if err != nil {
		return err
	}
	if c.Collect && (c.HelpfulnessPrompts == "" || c.SafetyPrompts == "") {
		return tandem.Errorf(tandem.Invalid, "", "--collect needs --helpfulness-prompts and --safety-prompts")
	}
	if c.Data != "" && (c.Collect || !strings.HasPrefix(c.Data, snapshotPrefix)) {
		return tandem.Errorf(tandem.Invalid, "", "--data is %sID, and does not go with --collect", snapshotPrefix)
	}
	db, err := c.databaseFlags.open(ctx, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	if c.DryRun {
		return c.plan(ctx, w, db.Store, recipe)
	}
	r, err := c.round(ctx, db.Store, recipe)
	if err != nil {
		return err
	}
	made, err := c.describe(ctx, db.Store, r)
	if err != nil {
		return err
	}
	round, err := c.row(ctx, db.Store, made)
	if err != nil {
		return err
	}
	r.Number = round.Number
	if r.Name == "" {
		r.Name = fmt.Sprintf("RLHF-V%d", round.Number)
	}
	e, err := c.engineFlags.open(w)
	if err != nil {
		return err
	}
	shown := &stageProgress{world: w}
	defer shown.close()
	queue, err := pipeline.NewQueue(db.Store, w.log)
	if err != nil {
		return err
	}
	loop := &pipeline.Loop{Store: db.Store, Queue: queue, Log: w.log, Progress: shown.units}
	if c.Collect || c.Promote {
		loop.Annotators = pipeline.People{Store: db.Store, Waiting: shown.judgments}
	}
	var services []func(context.Context) error
	if c.Worker {
		services = append(services, newWorker(w, e, db.Store, shown).Run)
	}
	var outcome pipeline.Outcome
	err = beside(ctx, func(ctx context.Context) (err error) {
		outcome, err = loop.Run(ctx, r)
		return err
	}, services...)
	if err != nil {
		return err
	}
	reply := roundReport{outcome.Version.Model, round.Number, outcome.Judges.Helpfulness, outcome.Judges.Safety, outcome.Second, outcome.Targets, outcome.Archived, outcome.Next, outcome.Compared, outcome.Decision}
	return w.report(reply, "%s: %s (%s) of round %d, from %d comparisons%s\n", reply.URL, reply.Name, reply.ID, round.Number, reply.Compared, decided("\n", reply.Decision))
}

// recipe resolves the preset and what changes it.
func (c *roundCommand) recipe() (pipeline.Recipe, error) {
	recipe, err := pipeline.RecipePreset(cmp.Or(c.Preset, "llama2-7b"))
	if err != nil {
		return recipe, err
	}
	return c.change(recipe)
}

// change changes a recipe by the file, the seed and the archive's flags.
func (c *roundCommand) change(recipe pipeline.Recipe) (pipeline.Recipe, error) {
	if c.Recipe != "" {
		text, err := os.ReadFile(c.Recipe)
		if err != nil {
			return recipe, err
		}
		if err := recipe.Read(text); err != nil {
			return recipe, fmt.Errorf("%s: %w", c.Recipe, err)
		}
	}
	if c.Seed != nil {
		recipe.Reseed(*c.Seed)
	}
	set((*string)(&recipe.Archive.Policy), c.ArchivePolicy)
	set(&recipe.Archive.Share, c.ArchiveShare)
	for _, l := range []*llama.LoRA{&recipe.Helpfulness.Fit.LoRA, &recipe.Safety.Fit.LoRA, &recipe.FineTune.LoRA, &recipe.PPO.LoRA} {
		*l = l.WithDefaults() // so that lineages say them
	}
	return recipe, recipe.Validate()
}

// asBegun says what to do with a folder in which something was begun otherwise.
const asBegun = "go on with the flags that it was begun with (and where it was begun by an older tandem, whose defaults were others, with that one, or with them set), or choose another folder"

// begunRound is the content of roundName: the round's row, and what it was begun with.
type begunRound struct {
	tandem.Round
	Made json.RawMessage `json:"made"`
}

// describe says what a round is made of: its flags, the ids of its models and the hashes of its files, by
// which a round that is resumed with others is told.
func (c *roundCommand) describe(ctx context.Context, s *store.Store, r pipeline.Round) (json.RawMessage, error) {
	base, err := pipeline.Adopt(ctx, s, c.Base)
	if err != nil {
		return nil, err
	}
	made := map[string]any{"name": c.Name, "recipe": r.Recipe, "ppo": c.PPO, "collect": c.Collect, "promote": c.Promote, "base": base.ID, "data": c.Data}
	var models []string
	for _, v := range r.Versions {
		models = append(models, v.ID)
	}
	made["model"] = models
	for name, files := range map[string][]string{
		"demonstrations": {c.Demonstrations}, "prompts": {c.Prompts}, "reference-prompts": {r.Prompts.Reference}, "archive": c.Archive,
		"helpfulness-prompts": {c.HelpfulnessPrompts}, "safety-prompts": {c.SafetyPrompts}, "trial-prompts": {c.TrialPrompts},
	} {
		hashes := []string{}
		for _, path := range files {
			if path == "" {
				continue
			}
			hash, err := pipeline.HashFiles(pipeline.TargetsFile(path))
			if err != nil {
				return nil, err
			}
			hashes = append(hashes, hash)
		}
		made[name] = hashes
	}
	return json.Marshal(made)
}

// row finds the round's row, or makes it.
func (c *roundCommand) row(ctx context.Context, s *store.Store, made json.RawMessage) (tandem.Round, error) {
	path := filepath.Join(c.Out, roundName)
	var begun begunRound
	text, err := os.ReadFile(path)
	if err == nil {
		if err := json.Unmarshal(text, &begun); err != nil {
			return begun.Round, tandem.Errorf(tandem.Corrupt, "", "%s: %w", path, err)
		}
		if !c.Resume && c.Number != begun.Number {
			return begun.Round, tandem.Errorf(tandem.Conflict, "", "%s holds round %d: go on with it by --resume, or choose another folder", c.Out, begun.Number)
		}
		if c.Number != 0 && c.Number != begun.Number {
			return begun.Round, tandem.Errorf(tandem.Conflict, "", "%s holds round %d, not %d", c.Out, begun.Number, c.Number)
		}
		if names := pipeline.Changed(begun.Made, made); len(names) > 0 {
			return begun.Round, tandem.Errorf(tandem.Conflict, "", "%s holds round %d, begun otherwise (different: %s): %s",
				c.Out, begun.Number, strings.Join(names, ", "), asBegun)
		}
		c.Number = begun.Number
	}
	var round tandem.Round
	if c.Number != 0 {
		if round, err = s.Round(ctx, c.Number); err != nil {
			return round, err
		}
		if err := s.RetryUnits(ctx, c.Number); err != nil {
			return round, err
		}
	} else {
		if round, err = s.CreateRound(ctx, c.Name); err != nil {
			return round, err
		}
	}
	return round, pipeline.WriteLines(path, slices.Values([]begunRound{{round, made}}))
}

// spec specifies the work, all but the number of its row and the versions before it.
func (c *roundCommand) spec(recipe pipeline.Recipe) pipeline.Round {
	r := pipeline.Round{
		Name: c.Name, Folder: c.Out, Recipe: recipe, Base: c.Base, Demonstrations: c.Demonstrations, Archive: c.Archive,
		Prompts: pipeline.Prompts{Improve: c.Prompts, Reference: c.Reference, Trial: c.TrialPrompts},
		PPO:     c.PPO, Promote: c.Promote, ObeyStore: true,
		Snapshot: strings.TrimPrefix(c.Data, snapshotPrefix),
	}
	if c.Collect {
		r.Prompts.Helpfulness, r.Prompts.Safety = c.HelpfulnessPrompts, c.SafetyPrompts
	}
	if r.Prompts.Reference == "" {
		r.Prompts.Reference = c.Prompts
	}
	return r
}

// round is spec with the versions, which the database then knows.
func (c *roundCommand) round(ctx context.Context, s *store.Store, recipe pipeline.Recipe) (pipeline.Round, error) {
	r := c.spec(recipe)
	for _, folder := range c.Model {
		m, err := pipeline.Adopt(ctx, s, folder)
		if err != nil {
			return r, err
		}
		r.Versions = append(r.Versions, pipeline.Version{Name: m.Name, Model: m})
	}
	return r, nil
}

// plan prints what the round would do.
func (c *roundCommand) plan(ctx context.Context, w *world, s *store.Store, recipe pipeline.Recipe) error {
	e, err := c.engineFlags.open(w)
	if err != nil {
		return err
	}
	r := c.spec(recipe)
	for _, folder := range c.Model {
		r.Versions = append(r.Versions, pipeline.Version{Model: tandem.Model{URL: folder}})
	}
	studio := e.studio(w.log)
	studio.Store = s
	p, err := studio.PlanRound(ctx, r)
	if err != nil {
		return err
	}
	return w.reportPlan(p)
}

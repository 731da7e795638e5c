package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"

	"tandem"
	"tandem/evaluation"
	"tandem/rejection"
	"tandem/store"
)

// Version is a policy of the loop: SFT, RLHF-V1, RLHF-V2 …
type Version struct {
	Name string
	tandem.Model
}

// Judges is a calibrated pair of reward models.
type Judges struct {
	Helpfulness tandem.Model `json:"helpfulness"`
	Safety      tandem.Model `json:"safety"`
}

// Round is one turn of the loop (section 3.2.3): collect comparisons of the newest policy's answers, fit
// both reward models, and of other comparisons a second pair of them, sample and keep the best answers, fine-tune
// the base model on them, in a later round tune the result by PPO, and let the version that comes of it serve if
// neither the second pair nor people see it lose to the one that does.
type Round struct {
	Number int    // of its row
	Name   string // of the version that it makes: "RLHF-V1"
	Folder string // where its data and models lie
	Recipe Recipe

	Base           string    // folder that fine-tuning starts from, in every round
	Demonstrations string    // file of dialogues that every version is fine-tuned on
	Archive        []string  // files of the targets of all earlier rounds, the oldest first; Recipe.Archive says which are kept
	Versions       []Version // so far, the newest last; answers to compare are sampled from the last two
	Prompts        Prompts
	PPO            bool // tune by PPO after rejection sampling
	Promote        bool // let the version serve if it does not lose to the one that does
	// ObeyStore leaves what the database holds out out of Demonstrations and of the prompts to improve on:
	// for files that nobody has divided before.
	ObeyStore bool
	Control   Control
	// Snapshot is the id of the comparisons to learn from. Defaults to those that count when learning begins,
	// frozen under the round's number, so that a resumed round learns from the same.
	Snapshot string
	// Learnt, if not nil, are the reward models to use instead of fitting new ones, and Drawn, if not nil,
	// the answers to keep from instead of sampling.
	Learnt *Judges
	Drawn  []rejection.Set
}

// Control is a round that must not improve anything, to show that the others do so for the right reason.
// It collects nothing and uses the comparisons that are there.
type Control string

const (
	NoControl Control = ""
	Shuffled  Control = "shuffled" // the judgments' sides and labels are drawn by lot
	Random    Control = "random"   // a random answer of K is kept instead of the best
)

// Prompts are the files of a round's prompts, tandem.Prompt a line.
type Prompts struct {
	Helpfulness string // to compare answers to, for the helpfulness model
	Safety      string // the same for the safety model
	Improve     string // to improve the policy on; held-out ones are for PPO's early stopping
	Reference   string // whose answers calibrate reward models
	// Trial are held-out ones on which it is decided whether a version is promoted. Defaults to Improve's.
	Trial string
}

// Outcome is what a round made.
type Outcome struct {
	Judges   Judges
	Second   *Judges           // learnt from other pairs; nil where Recipe.SecondShare is 0
	Version  Version           // the newest: PPO's where there was PPO
	Sampled  Version           // rejection sampling's
	Drawn    []rejection.Set   // the answers that the best were kept of
	Targets  string            // file of the best answers, for the archive
	Archived *Archived         // what the version was fine-tuned on; nil where that is the best answers of this round alone
	Curve    rejection.Curve   // reward against number of samples
	Next     *rejection.Choice // temperature to sample at next; nil where one was sampled at
	Compared int               // comparisons that the reward models learnt from
	Decision *tandem.Decision  // whether the version serves now; nil where nobody asked
}

// Run goes through the round. Everything that it does is a unit of a stage: a round that was interrupted
// goes on where it stood when it is run again.
func (l *Loop) Run(ctx context.Context, r Round) (Outcome, error) {
	var o Outcome
	err := l.under(ctx, r.Number, func(ctx context.Context) error { return l.run(ctx, r, &o) })
	return o, err
}

func (l *Loop) run(ctx context.Context, r Round, o *Outcome) error {
	if err := l.collect(ctx, r); err != nil {
		return fmt.Errorf("%s: collect: %w", r.Name, err)
	}
	var err error
	if r.ObeyStore {
		if err = l.divide(ctx, &r); err != nil {
			return fmt.Errorf("%s: split: %w", r.Name, err)
		}
	}
	if err := l.learn(ctx, r, o); err != nil {
		return fmt.Errorf("%s: reward models: %w", r.Name, err)
	}
	if err := l.reject(ctx, r, o); err != nil {
		return fmt.Errorf("%s: rejection sampling: %w", r.Name, err)
	}
	o.Version = o.Sampled
	if r.PPO {
		if o.Version, err = l.ppo(ctx, r, *o); err != nil {
			return fmt.Errorf("%s: ppo: %w", r.Name, err)
		}
	}
	if r.Promote {
		if o.Decision, err = l.promote(ctx, r, *o); err != nil {
			return fmt.Errorf("%s: promote: %w", r.Name, err)
		}
	}
	return nil
}

// collect has people compare pairs of answers from two variants of the policy at different temperatures.
func (l *Loop) collect(ctx context.Context, r Round) error {
	if l.Annotators == nil || r.Prompts.Helpfulness == "" || r.Control != NoControl { // the comparisons are there
		return nil
	}
	newest := r.Versions[len(r.Versions)-1]
	older := r.Versions[max(len(r.Versions)-2, 0)]
	var specs []any
	var projects []store.Project
	for _, part := range []struct {
		aspect  tandem.Aspect
		prompts string
	}{{tandem.Helpfulness, r.Prompts.Helpfulness}, {tandem.Safety, r.Prompts.Safety}} {
		project, err := l.project(ctx, fmt.Sprintf("round %d: %s", r.Number, part.aspect), part.aspect)
		if err != nil {
			return err
		}
		projects = append(projects, project)
		specs = append(specs, Pose{
			Project: project.ID, Batch: r.Number, Prompts: part.prompts,
			Variants: [2]Variant{
				{Model: newest.ID, Folder: newest.URL, Temperature: r.Recipe.CollectTemperatures[0]},
				{Model: older.ID, Folder: older.URL, Temperature: r.Recipe.CollectTemperatures[1]},
			},
			MaxTokens: r.Recipe.Rejection.MaxTokens, Seed: r.Recipe.Seed, PairsPerPrompt: r.Recipe.PairsPerPrompt,
		})
	}
	if _, err := l.stage(ctx, r.Number, tandem.StageCollect, specs...); err != nil {
		return err
	}
	for _, p := range projects {
		if err := l.Annotators.Annotate(ctx, p.ID); err != nil {
			return err
		}
	}
	return nil
}

// project finds or opens an annotation project.
func (l *Loop) project(ctx context.Context, name string, aspect tandem.Aspect) (store.Project, error) {
	projects, err := l.Store.Projects(ctx)
	if err != nil {
		return store.Project{}, err
	}
	if i := slices.IndexFunc(projects, func(p store.Project) bool { return p.Name == name }); i >= 0 {
		return projects[i], nil
	}
	return l.Store.CreateProject(ctx, store.Project{Name: name, Aspect: aspect, Guideline: guidelines[aspect]}, "pipeline")
}

var guidelines = map[tandem.Aspect]string{
	tandem.Helpfulness: "Which answer does better what the prompt asks for?",
	tandem.Safety:      "Which answer is safer? Mark each answer as safe or unsafe.",
}

// learn fits both reward models, each started from the chat model's checkpoint and on the paper's mix of
// all comparisons so far, and calibrates them on the first chat model's answers; and a second pair of them on
// the comparisons that are kept for it.
func (l *Loop) learn(ctx context.Context, r Round, o *Outcome) error {
	if r.Learnt != nil {
		o.Judges = *r.Learnt
		return nil
	}
	files, err := l.comparisons(ctx, r)
	if err != nil {
		return err
	}
	var helpfulness, safety []any
	for _, pair := range files.pairs {
		fit := Reward{
			Model: r.Versions[len(r.Versions)-1].URL, Data: pair.comparisons, HeldOut: files.heldOutHelpfulness, Round: r.Number,
			Config: r.Recipe.Helpfulness, Members: r.Recipe.Members, Out: filepath.Join(pair.folder, "helpfulness"), Name: pair.name + " helpfulness",
		}
		helpfulness = append(helpfulness, fit)
		calibration := Calibration{
			Helpfulness: fit.Out, Policy: r.Versions[0].URL, Prompts: r.Prompts.Reference,
			Sampling: tandem.Sampling{Temperature: 1, MaxTokens: r.Recipe.Rejection.MaxTokens}, Seed: r.Recipe.Seed,
		}
		fit.HeldOut, fit.Config, fit.Out, fit.Name = files.heldOutSafety, r.Recipe.Safety, filepath.Join(pair.folder, "safety"), pair.name+" safety"
		safety = append(safety, RewardSafety{Reward: fit, Calibration: calibration})
	}
	h, err := each[tandem.Model](l.stage(ctx, r.Number, tandem.StageRewardHelpfulness, helpfulness...))
	if err != nil {
		return err
	}
	s, err := each[tandem.Model](l.stage(ctx, r.Number, tandem.StageRewardSafety, safety...))
	if err != nil {
		return err
	}
	o.Judges, o.Compared = Judges{h[0], s[0]}, files.n
	if len(files.pairs) > 1 {
		o.Second = &Judges{h[1], s[1]}
	}
	return nil
}

// draw samples K answers to each prompt from the newest policy and has the judges score them, and the best answers of
// earlier rounds, where the archive's policy compares them.
func (l *Loop) draw(ctx context.Context, r Round, j Judges) (sets []rejection.Set, earlier [][]rejection.Scored, err error) {
	newest := r.Versions[len(r.Versions)-1]
	prompts, err := readPrompts(ctx, r.Prompts.Improve)
	if err != nil {
		return nil, nil, err
	}
	prompts = slices.DeleteFunc(prompts, func(p tandem.Prompt) bool { return p.HeldOut })
	training := filepath.Join(r.Folder, "prompts.jsonl")
	if err := WriteLines(training, slices.Values(prompts)); err != nil {
		return nil, nil, err
	}
	if earlier, err = readArchive(ctx, r); err != nil {
		return nil, nil, err
	}
	var specs []any
	for _, shard := range Shards(len(prompts), r.Recipe.ShardPrompts) {
		specs = append(specs, Sample{
			Policy: newest.URL, Helpfulness: j.Helpfulness.URL, Safety: j.Safety.URL,
			Prompts: training, From: shard[0], To: shard[1], Config: r.Recipe.Rejection,
			PolicyID: newest.ID, HelpfulnessID: j.Helpfulness.ID, SafetyID: j.Safety.ID,
		})
	}
	shards := len(specs)
	if r.Recipe.Archive.Rescores() {
		specs = append(specs, rescored(r, j, earlier)...)
	}
	units, err := l.stage(ctx, r.Number, tandem.StageReject, specs...)
	if err != nil {
		return nil, nil, err
	}
	for _, u := range units[:shards] {
		var shard []rejection.Set
		if err := json.Unmarshal(u.Result, &shard); err != nil {
			return nil, nil, fmt.Errorf("shard %d: %w", u.Shard, err)
		}
		sets = append(sets, shard...)
	}
	return sets, earlier, readScores(units[shards:], specs[shards:], earlier)
}

// reject keeps the best of K answers to each prompt, and fine-tunes the base model on the demonstrations and
// the best answers of this and, as the archive's policy says, of earlier rounds.
func (l *Loop) reject(ctx context.Context, r Round, o *Outcome) (err error) {
	var earlier [][]rejection.Scored
	if o.Drawn = r.Drawn; o.Drawn == nil {
		o.Drawn, earlier, err = l.draw(ctx, r, o.Judges)
	} else {
		earlier, err = readArchive(ctx, r)
	}
	if err != nil {
		return err
	}
	sets := o.Drawn
	o.Curve, o.Next = rejection.RewardCurve(sets), rejection.Next(sets)
	var targets []rejection.Target
	var newest []rejection.Scored
	for _, s := range sets {
		pick, ok := s.Best()
		if r.Control == Random {
			pick, ok = s.Random(r.Recipe.Seed)
		}
		if ok {
			t := s.Target(pick)
			targets, newest = append(targets, t), append(newest, rejection.Scored{Target: t, Score: pick.Score})
		}
	}
	if len(targets) == 0 {
		return noTargets(len(sets))
	}
	samples := 0
	for _, s := range sets {
		samples += len(s.Candidates)
	}
	l.Log.Info("the best answers are kept", "round", r.Name, "prompts", len(sets), "samples", samples, "duplicates", rejection.Duplicates(sets), "kept", len(targets))
	if o.Next != nil {
		l.Log.Info("the temperature to sample at next", "round", r.Name, "temperature", o.Next.Temperature, "lead", o.Next.Lead, "over", o.Next.Over, "at_the_end_of_the_sweep", o.Next.Edge)
	}
	o.Targets = filepath.Join(r.Folder, targetsName)
	if err := WriteLines(o.Targets, slices.Values(targets)); err != nil {
		return err
	}
	imitated := o.Targets
	if len(earlier) > 0 {
		if o.Archived, err = l.archive(ctx, r, append(earlier, newest)); err != nil {
			return err
		}
		imitated = o.Archived.File
	}
	data := []string{r.Demonstrations}
	for range r.Recipe.TargetWeight {
		data = append(data, imitated)
	}
	model, err := one[tandem.Model](l.stage(ctx, r.Number, tandem.StageSFT, FineTune{
		Model: r.Base, Data: data, Stage: tandem.StageReject, Round: r.Number, Config: r.Recipe.FineTune,
		Out: filepath.Join(r.Folder, "policy"), Name: r.Name,
	}))
	o.Sampled = Version{r.Name, model}
	return err
}

// ppo tunes rejection sampling's policy against the combined score.
func (l *Loop) ppo(ctx context.Context, r Round, o Outcome) (Version, error) {
	name := r.Name + " (PPO)"
	spec := PPO{
		Model: o.Sampled.URL, Helpfulness: o.Judges.Helpfulness.URL, Safety: o.Judges.Safety.URL, Prompts: r.Prompts.Improve,
		Round: r.Number, Config: r.Recipe.PPO, Out: filepath.Join(r.Folder, "ppo"), Name: name,
	}
	if r.Recipe.PPO.PtxCoefficient > 0 {
		spec.PtxData = []string{r.Demonstrations}
	}
	if watched, err := r.watched(ctx, o.Second); err != nil {
		return Version{}, err
	} else if watched {
		spec.HeldOutHelpfulness, spec.HeldOutSafety = o.Second.Helpfulness.URL, o.Second.Safety.URL
	}
	model, err := one[tandem.Model](l.stage(ctx, r.Number, tandem.StagePPO, spec))
	return Version{name, model}, err
}

// Evaluate has every version answer held-out prompts, all under the same randomness and scored by the same
// pair of reward models, since scores of different models do not compare. The first version is the
// reference that drift is measured from. Each gives so many more answers to each prompt, see evaluation.Repeat.
func (l *Loop) Evaluate(ctx context.Context, round int, versions []Version, j Judges, prompts string, sampling tandem.Sampling, seed uint64, repeat int) ([][]evaluation.Answer, error) {
	var specs []any
	for _, v := range versions {
		specs = append(specs, Answer{
			Policy: v.URL, Reference: versions[0].URL, Helpfulness: j.Helpfulness.URL, Safety: j.Safety.URL,
			Prompts: prompts, Sampling: sampling, Seed: seed, Repeat: repeat,
			PolicyID: v.ID, HelpfulnessID: j.Helpfulness.ID, SafetyID: j.Safety.ID,
		})
	}
	units, err := l.stage(ctx, round, tandem.StageEvaluate, specs...)
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	answers := make([][]evaluation.Answer, len(units))
	for i, u := range units {
		if err := json.Unmarshal(u.Result, &answers[i]); err != nil {
			return nil, fmt.Errorf("evaluate %s: %w", versions[i].Name, err)
		}
	}
	return answers, nil
}

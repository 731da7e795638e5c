package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"tandem"
	"tandem/llama/train"
	"tandem/rejection"
)

// The files of rejection sampling, in the folder of the model that it makes.
const (
	samplesName  = "samples.jsonl" // every prompt with its K answers and their scores
	targetsName  = "targets.jsonl" // the best answers as dialogues to fine-tune on
	rejectName   = "reject.json"   // what the sampling was, written when it is done
	samplingName = "sampling"      // shards of an unfinished sampling
)

// Reject specifies rejection sampling outside a round: K answers to each prompt, the best of them as
// targets, and, where Base is given, that model fine-tuned on demonstrations and targets (section 3.2.3).
type Reject struct {
	Policy      string `json:"policy"`
	Helpfulness string `json:"helpfulness"`
	Safety      string `json:"safety"`
	Prompts     string `json:"prompts"` // file, see dataset.ReadPrompts
	// HeldOutShare of openings is left out beside the prompts that are marked, by the one rule (see
	// tandem.HeldOut), and of the demonstrations too.
	HeldOutShare float64          `json:"held_out_share,omitempty"`
	Config       rejection.Config `json:"config"`
	// ShardPrompts is after how many prompts the samples are kept, so that an interrupted run goes on there.
	ShardPrompts int    `json:"shard_prompts"`
	Out          string `json:"out"`

	// Archive names the best answers of earlier rounds, as files or as the folders in which they are, and ArchivePolicy
	// says which of them the model is fine-tuned on beside the new ones.
	Archive        []string          `json:"-"`
	ArchivePolicy  rejection.Archive `json:"-"`
	Base           string            `json:"-"` // empty for no fine-tuning
	Demonstrations []string          `json:"-"` // files of dialogues in the messages form
	TargetWeight   int               `json:"-"` // how often the targets stand beside the demonstrations
	FineTune       train.Config      `json:"-"`
	Name           string            `json:"-"`
}

// Rejected is what rejection sampling came to.
type Rejected struct {
	ID      string `json:"id"` // hash of the specification and its inputs
	Prompts int    `json:"prompts"`
	Samples int    `json:"samples"`
	// Duplicates are the samples that say what an earlier one to the same prompt has said.
	Duplicates int             `json:"duplicates"`
	Targets    int             `json:"targets"` // prompts of which an answer was kept
	HeldOut    int             `json:"held_out"`
	Curve      rejection.Curve `json:"curve"` // of the samples of all temperatures
	// Sweep is the same by temperature, and Next the temperature that it speaks for; nil where there was but one.
	Sweep    []rejection.AtTemperature `json:"sweep"`
	Next     *rejection.Choice         `json:"next,omitempty"`
	File     string                    `json:"targets_file"`
	AllFile  string                    `json:"samples_file"`
	Spec     Reject                    `json:"config"`
	Snapshot string                    `json:"snapshot"` // SHA-256 of the prompts' file
	Kernel   string                    `json:"kernel"`
	Archive  *Archived                 `json:"archive,omitempty"`
	// Made is the specification with the ids of the models, which the samples depend on.
	Made json.RawMessage `json:"made"`
}

// tuned is the fine-tuning on the targets, of this sampling alone or of all rounds.
func (r Reject) tuned() FineTune {
	data, targets := slices.Clone(r.Demonstrations), targetsName
	if len(r.Archive) > 0 {
		targets = archiveName
	}
	for range max(r.TargetWeight, 1) {
		data = append(data, filepath.Join(r.Out, targets))
	}
	return FineTune{Model: r.Base, Data: data, HeldOutShare: r.HeldOutShare, Stage: tandem.StageReject, Config: r.FineTune, Out: r.Out, Name: r.Name}
}

// identify names the sampling by what it is made from.
func (r Reject) identify(ctx context.Context, s *Studio) (done Rejected, err error) {
	done = Rejected{Spec: r, Kernel: s.Kernel, File: filepath.Join(r.Out, targetsName), AllFile: filepath.Join(r.Out, samplesName)}
	if err := r.Config.Validate(); err != nil {
		return done, err
	}
	if len(r.Archive) > 0 {
		if err := r.ArchivePolicy.Validate(); err != nil {
			return done, err
		}
	}
	if r.ShardPrompts < 1 {
		return done, tandem.Errorf(tandem.Invalid, "pipeline.Reject", "a shard of %d prompts", r.ShardPrompts)
	}
	if done.Snapshot, err = HashFiles(r.Prompts); err != nil {
		return done, err
	}
	made := struct {
		Reject
		PolicyID string `json:"policy_id"`
		Judges   judges `json:"judges"`
	}{Reject: r}
	if made.PolicyID, err = parentID(ctx, r.Policy); err != nil {
		return done, err
	}
	if made.Judges, err = readJudges(ctx, r.Helpfulness, r.Safety); err != nil {
		return done, err
	}
	if done.Made, err = json.Marshal(made); err != nil {
		return done, fmt.Errorf("the specification as JSON: %w", err)
	}
	done.ID, err = identity(tandem.Model{Stage: tandem.StageReject, Config: done.Made, Snapshot: done.Snapshot, Kernel: s.Kernel})
	return done, err
}

// differences names what two samplings differ in, for people.
func (r Rejected) differences(o Rejected) string {
	return differences(tandem.Model{Config: r.Made, Snapshot: r.Snapshot, Kernel: r.Kernel}, tandem.Model{Config: o.Made, Snapshot: o.Snapshot, Kernel: o.Kernel})
}

// PlanReject says what rejection sampling would do, and touches nothing.
func (s *Studio) PlanReject(ctx context.Context, r Reject) (Plan, error) {
	done, err := r.identify(ctx, s)
	if err != nil {
		return Plan{}, err
	}
	scorer, err := s.Scorer(ctx, r.Helpfulness, r.Safety)
	if err != nil {
		return Plan{}, err
	}
	prompts, err := readPrompts(ctx, r.Prompts)
	if err != nil {
		return Plan{}, err
	}
	training, heldOut := splitPrompts(prompts, r.HeldOutShare)
	shards := Shards(len(training), r.ShardPrompts)
	plan := Plan{
		Stage: tandem.StageReject, Status: "new", Steps: len(shards), Writes: []string{done.AllFile, done.File},
		Data: map[string]int{"prompts": len(training), "held_out": len(heldOut), "samples": len(training) * r.Config.Samples()},
	}
	config := struct {
		Reject
		Archive  *rejection.Archive `json:"archive,omitempty"`
		FineTune *FineTune          `json:"fine_tune,omitempty"`
	}{Reject: r}
	earlier, err := countTargets(ctx, r.Archive)
	if err != nil {
		return plan, err
	}
	if len(r.Archive) > 0 {
		config.Archive = &r.ArchivePolicy
		plan.Data["archive"] = earlier
		plan.Writes = append(plan.Writes, filepath.Join(r.Out, archiveName))
	}
	if r.Base != "" {
		tuned := r.tuned()
		config.FineTune = &tuned
	}
	if plan.Config, err = json.Marshal(config); err != nil {
		return plan, err
	}
	there := 0
	for i := range shards {
		if _, err := os.Stat(r.shard(i)); err == nil {
			there++
		}
	}
	if there > 0 {
		plan.Status = fmt.Sprintf("interrupted after step %d", there)
	}
	l, err := s.samplingLoad(ctx, r.Policy, judgeWeights(scorer), training, r.Config)
	if err != nil {
		return plan, err
	}
	product := train.DeviceProduct(s.Device)
	plan.Expected = l.expect(product, 1-float64(there)/float64(max(len(shards), 1)))
	if r.Base != "" {
		demonstrations, err := readDialogues(ctx, "", r.Demonstrations...)
		if err != nil {
			return plan, err
		}
		demonstrations, _ = splitItems(demonstrations, tandem.Dialogue.Opening, func(tandem.Dialogue) bool { return false }, r.HeldOutShare)
		plan.Data["demonstrations"] = len(demonstrations)
		plan.Writes = append(plan.Writes, filepath.Join(r.Out, "model.safetensors"), metricsPath(r.Out))
		targets := max(r.TargetWeight, 1) * (earlier + len(training)) // at most
		plan.Steps += r.FineTune.TotalSteps(len(demonstrations) + targets)
		l, err := s.imitationLoad(ctx, r.Base, demonstrations, targets, r.FineTune)
		if err != nil {
			return plan, err
		}
		plan.Expected = l.expect(product, 1).after(plan.Expected)
	}
	return plan, nil
}

func (r Reject) shard(i int) string {
	return filepath.Join(r.Out, samplingName, fmt.Sprintf("shard-%05d.jsonl", i))
}

// Reject samples, keeps the best, also of earlier rounds, and, where Base is given, fine-tunes it. The model is nil
// without.
func (s *Studio) Reject(ctx context.Context, r Reject, resume bool) (Rejected, *tandem.Model, error) {
	done, err := r.identify(ctx, s)
	if err != nil {
		return done, nil, err
	}
	there, err := s.rejected(done, r.Out)
	if err != nil {
		return done, nil, err
	}
	keeper, err := s.keeper(ctx, r)
	if err != nil {
		return done, nil, err
	}
	if there != nil {
		done = *there
		err = keeper.keepAgain(ctx, filepath.Join(r.Out, samplesName), r.ShardPrompts)
	} else if err = s.sampleAll(ctx, r, &done, keeper, resume); err == nil {
		err = keeper.end(ctx, done.AllFile)
	}
	if err != nil {
		return done, nil, err
	}
	if done.Targets == 0 && r.Base != "" {
		return done, nil, noTargets(done.Prompts)
	}
	if len(r.Archive) > 0 {
		if done.Archive, err = s.archive(ctx, r, keeper); err != nil {
			return done, nil, err
		}
		if err := writeJSON(ctx, filepath.Join(r.Out, rejectName), done); err != nil {
			return done, nil, err
		}
	}
	if r.Base == "" {
		return done, nil, nil
	}
	made, err := s.FineTune(ctx, r.tuned(), resume)
	return done, &made, err
}

// rejected returns the sampling that a folder holds if it is finished and the same; another's is refused.
func (s *Studio) rejected(done Rejected, out string) (*Rejected, error) {
	const op = "pipeline.Reject"
	text, err := os.ReadFile(filepath.Join(out, rejectName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if holdsModel(out) {
			return nil, tandem.Errorf(tandem.Conflict, op, "%s holds a model that was not made by this: choose another folder", out)
		}
		if _, err := os.Stat(out); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if _, err := os.Stat(filepath.Join(out, samplingName, runName)); err == nil {
			return nil, nil // sampleAll looks whose it is
		}
		return nil, s.reserve(tandem.Model{}, out)
	case err != nil:
		return nil, tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	var there Rejected
	if err := json.Unmarshal(text, &there); err != nil {
		return nil, tandem.Errorf(tandem.Corrupt, op, "%s: %w", filepath.Join(out, rejectName), err)
	}
	if there.ID != done.ID {
		return nil, tandem.Errorf(tandem.Conflict, op, "%s holds the samples of another run (%s)%s: choose another folder", out, there.ID, there.differences(done))
	}
	return &there, nil
}

// sampleAll samples shard by shard; a shard is kept whole or not at all.
func (s *Studio) sampleAll(ctx context.Context, r Reject, done *Rejected, keeper *keeper, resume bool) error {
	const op = "pipeline.Reject"
	begun := filepath.Join(r.Out, samplingName, runName)
	if there, err := readLines[Rejected](ctx, begun); err == nil && len(there) == 1 {
		switch {
		case there[0].ID != done.ID:
			return tandem.Errorf(tandem.Conflict, op, "%s holds the samples of another run (%s)%s: resume that one as it was begun, or choose another folder",
				r.Out, there[0].ID, there[0].differences(*done))
		case !resume:
			return tandem.Errorf(tandem.Conflict, op, "%s holds a run that was interrupted: resume it, or remove the folder", r.Out)
		}
	}
	prompts, err := readPrompts(ctx, r.Prompts)
	if err != nil {
		return err
	}
	prompts, heldOut := splitPrompts(prompts, r.HeldOutShare)
	if err := s.tellSplit("prompts", len(prompts), len(heldOut)); err != nil {
		return err
	}
	if len(prompts) == 0 {
		return tandem.Errorf(tandem.Invalid, op, "%s has no prompts", r.Prompts)
	}
	policy, err := s.open(ctx, r.Policy)
	if err != nil {
		return err
	}
	scorer, err := s.Scorer(ctx, r.Helpfulness, r.Safety)
	if err != nil {
		return err
	}
	if err := writeJSON(ctx, begun, done); err != nil {
		return err
	}
	var sets []rejection.Set
	shards := Shards(len(prompts), r.ShardPrompts)
	for i, shard := range shards {
		kept, err := readLines[rejection.Set](ctx, r.shard(i))
		if err != nil || len(kept) != shard[1]-shard[0] {
			if kept, err = rejection.Sample(ctx, policy, scorer, prompts[shard[0]:shard[1]], r.Config); err != nil {
				return err
			}
			if err := WriteLines(r.shard(i), slices.Values(kept)); err != nil {
				return err
			}
		}
		keeper.add(ctx, kept)
		sets = append(sets, kept...)
		s.observe(Observation{Stage: tandem.StageReject, Step: i + 1, Steps: len(shards)})
	}
	done.HeldOut = len(heldOut)
	return r.finish(ctx, sets, done, s)
}

// finish writes samples, targets and what they are, in this order.
func (r Reject) finish(ctx context.Context, sets []rejection.Set, done *Rejected, s *Studio) error {
	var targets []rejection.Target
	for _, set := range sets {
		done.Samples += len(set.Candidates)
		if best, ok := set.Best(); ok {
			targets = append(targets, set.Target(best))
		}
	}
	done.Prompts, done.Targets, done.Duplicates = len(sets), len(targets), rejection.Duplicates(sets)
	done.Curve, done.Sweep, done.Next = rejection.RewardCurve(sets), rejection.Sweep(sets), rejection.Next(sets)
	if err := WriteLines(done.AllFile, slices.Values(sets)); err != nil {
		return err
	}
	if err := WriteLines(done.File, slices.Values(targets)); err != nil {
		return err
	}
	if err := writeJSON(ctx, filepath.Join(r.Out, rejectName), done); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(r.Out, samplingName)); err != nil {
		s.Log.Warn("the shards of a finished sampling could not be removed", "folder", r.Out, "error", err)
	}
	return nil
}

// noTargets says that there is nothing to fine-tune on.
func noTargets(prompts int) error {
	return tandem.Errorf(tandem.Invalid, "pipeline.Reject", "no answer to any of the %d prompts ended by itself: allow more tokens, or fine-tune the policy until it learns to stop", prompts)
}

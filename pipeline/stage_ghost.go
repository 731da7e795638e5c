package pipeline

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"tandem"
	"tandem/dataset"
	"tandem/sft/ghost"
	"tandem/statistics"
)

// The files of Ghost Attention's dialogues.
const (
	ghostName        = "ghost.jsonl"   // to train on
	ghostControlName = "control.jsonl" // the same dialogues without Ghost Attention
	ghostSampledName = "sampled.jsonl" // what both were made from
	ghostReportName  = "ghost.json"    // what the sampling was
	unitsName        = "units"         // what units of an unfinished command came to
)

// Ghost specifies the dialogues of Ghost Attention (section 3.3): the policy's answers to the user's messages of
// dialogues, under an instruction before every message.
type Ghost struct {
	Policy string                 `json:"policy"`
	Data   []string               `json:"data"` // files of dialogues, whose answers are not used
	Format dataset.DialogueFormat `json:"format,omitempty"`
	// HeldOutShare of openings is left out, by the one rule (see tandem.HeldOut).
	HeldOutShare float64 `json:"held_out_share,omitempty"`
	// Constraints is a file of what instructions ask for; empty for ghost.DefaultConstraints.
	Constraints string       `json:"constraints,omitempty"`
	Config      ghost.Config `json:"config"`
	// Shard is how many dialogues are one unit.
	Shard int    `json:"shard"`
	Out   string `json:"-"`
}

// GhostUnit specifies one shard: dialogues From to To.
type GhostUnit struct {
	Ghost
	PolicyID string `json:"policy_id"`
	Snapshot string `json:"snapshot"` // hash of all files that are read
	From     int    `json:"from"`
	To       int    `json:"to"`
}

// Ghosted is what came of it.
type Ghosted struct {
	Config    Ghost                `json:"config"`
	PolicyID  string               `json:"policy_id,omitempty"`
	Snapshot  string               `json:"snapshot"`
	Dialogues int                  `json:"dialogues"`
	HeldOut   int                  `json:"held_out"`
	Usable    int                  `json:"usable"` // whose last answer ended by itself: what is trained on
	Checked   int                  `json:"checked"`
	Kept      *statistics.Interval `json:"kept,omitempty"` // share of last answers that keep their instruction, of those that can be checked
	Train     string               `json:"train"`
	Control   string               `json:"control"`
	Sampled   string               `json:"sampled"`
}

// inputs are the dialogues to train on, the constraints, and the hash of the files.
func (g Ghost) inputs(ctx context.Context) (dialogues []tandem.Dialogue, heldOut int, constraints []ghost.Constraint, snapshot string, err error) {
	files := g.Data
	if constraints = ghost.DefaultConstraints(); g.Constraints != "" {
		files = append(files[:len(files):len(files)], g.Constraints)
		if constraints, err = readConstraints(g.Constraints); err != nil {
			return nil, 0, nil, "", err
		}
	}
	if snapshot, err = HashFiles(files...); err != nil {
		return nil, 0, nil, "", err
	}
	all, err := readDialogues(ctx, g.Format, g.Data...)
	if err != nil {
		return nil, 0, nil, "", err
	}
	training, held := splitItems(all, tandem.Dialogue.Opening, func(tandem.Dialogue) bool { return false }, g.HeldOutShare)
	return training, len(held), constraints, snapshot, nil
}

func readConstraints(path string) (all []ghost.Constraint, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if all, err = ghost.ReadConstraints(f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

// Ghost makes the dialogues, shard by shard; do does the shards.
func (s *Studio) Ghost(ctx context.Context, g Ghost, do Units) (Ghosted, error) {
	const op = "pipeline.Ghost"
	done := Ghosted{Config: g, Train: filepath.Join(g.Out, ghostName), Control: filepath.Join(g.Out, ghostControlName), Sampled: filepath.Join(g.Out, ghostSampledName)}
	if err := g.Config.Validate(); err != nil {
		return done, err
	}
	dialogues, heldOut, _, snapshot, err := g.inputs(ctx)
	if err != nil {
		return done, err
	}
	if err := s.tellSplit("dialogues", len(dialogues), heldOut); err != nil {
		return done, err
	}
	if len(dialogues) == 0 {
		return done, tandem.Errorf(tandem.Invalid, op, "there are no dialogues to train on in %v", g.Data)
	}
	done.Dialogues, done.HeldOut, done.Snapshot = len(dialogues), heldOut, snapshot
	if done.PolicyID, err = parentID(ctx, g.Policy); err != nil {
		return done, err
	}
	sampled, err := sharded[ghost.Sampled](ctx, do, tandem.StageGhost, len(dialogues), g.Shard, func(from, to int) any {
		return GhostUnit{Ghost: g, PolicyID: done.PolicyID, Snapshot: snapshot, From: from, To: to}
	})
	if err != nil {
		return done, err
	}
	return done, done.finish(ctx, sampled)
}

// finish writes the dialogues to train on, their control and what they were made from.
func (g *Ghosted) finish(ctx context.Context, sampled []ghost.Sampled) error {
	kept := 0
	for _, d := range sampled {
		if !d.Usable() {
			continue
		}
		g.Usable++
		if d.Instruction.Checkable() {
			g.Checked++
			if d.Kept() {
				kept++
			}
		}
	}
	if g.Usable == 0 {
		return tandem.Errorf(tandem.Invalid, "pipeline.Ghost", "no last answer of the %d dialogues ended by itself: allow more tokens, or fine-tune the policy until it learns to stop", len(sampled))
	}
	if g.Checked > 0 {
		share, err := statistics.Wilson(float64(kept), g.Checked)
		if err != nil {
			return err
		}
		g.Kept = &share
	}
	lines := func(line func(ghost.Sampled) any, all bool) iter.Seq[any] {
		return func(yield func(any) bool) {
			for _, d := range sampled {
				if (all || d.Usable()) && !yield(line(d)) {
					return
				}
			}
		}
	}
	for _, f := range []struct {
		path  string
		lines iter.Seq[any]
	}{
		{g.Train, lines(func(d ghost.Sampled) any { return targetLine{d.Ghost()} }, false)},
		{g.Control, lines(func(d ghost.Sampled) any { return targetLine{d.Plain()} }, false)},
		{g.Sampled, lines(func(d ghost.Sampled) any { return d }, true)},
	} {
		if err := WriteLines(f.path, f.lines); err != nil {
			return err
		}
	}
	return writeJSON(ctx, filepath.Join(filepath.Dir(g.Train), ghostReportName), g)
}

// ghostUnit samples one shard.
func (s *Studio) ghostUnit(ctx context.Context, u GhostUnit) (Result, error) {
	dialogues, _, constraints, snapshot, err := u.inputs(ctx)
	if err != nil {
		return Result{}, err
	}
	if snapshot != u.Snapshot || u.To > len(dialogues) {
		return Result{}, tandem.Errorf(tandem.Conflict, "pipeline.Ghost", "%v are other dialogues or constraints now than when the work was divided", u.Data)
	}
	policy, err := s.open(ctx, u.Policy)
	if err != nil {
		return Result{}, err
	}
	sampled, err := ghost.Sample(ctx, tallied{policy, tallyOf(ctx)}, dialogues[u.From:u.To], constraints, u.Config)
	return Result{Value: sampled}, err
}

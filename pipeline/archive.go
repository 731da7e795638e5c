package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"tandem"
	"tandem/rejection"
	"tandem/store"
)

// archiveName is the file of all targets that a policy is fine-tuned on, of this round and of earlier ones, beside
// its model.
const archiveName = "archive.jsonl"

// TargetsFile is the file with the best answers of an earlier round: the path itself, or that in the folder of a round
// or of rejection sampling.
func TargetsFile(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return filepath.Join(path, targetsName)
	}
	return path
}

// readTargets reads the best answers of a round.
func readTargets(ctx context.Context, path string) ([]rejection.Target, error) {
	targets, err := readLines[rejection.Target](ctx, path)
	if err != nil {
		return nil, err
	}
	for i, t := range targets {
		if err := t.Validate(); err != nil {
			return nil, tandem.Errorf(tandem.Invalid, "pipeline.Archive", "%s: record %d: %w", path, i+1, err)
		}
	}
	return targets, nil
}

// unscored are targets that nobody compares.
func unscored(targets []rejection.Target) []rejection.Scored {
	scored := make([]rejection.Scored, len(targets))
	for i, t := range targets {
		scored[i].Target = t
	}
	return scored
}

// score has targets scored by a pair of reward models.
func score(ctx context.Context, scorer tandem.Scorer, targets []rejection.Target) ([]tandem.Score, error) {
	requests := make([]tandem.ScoreRequest, len(targets))
	for i, t := range targets {
		requests[i] = t.ScoreRequest()
	}
	scores, err := scorer.Score(ctx, requests)
	if err != nil {
		return nil, fmt.Errorf("score the archive: %w", err)
	}
	return scores, nil
}

// Archived is what a policy is fine-tuned on, and of which rounds.
type Archived struct {
	rejection.Archive
	File    string          `json:"file"`
	Targets int             `json:"targets"`
	Rounds  []ArchivedRound `json:"rounds"` // the newest last
}

// ArchivedRound is how many of a round's best answers are among them.
type ArchivedRound struct {
	File    string `json:"file"`
	Targets int    `json:"targets"`
	Kept    int    `json:"kept"`
}

// archive writes what the policy is fine-tuned on: the targets of this sampling, and those of earlier ones that the
// archive's policy keeps.
func (s *Studio) archive(ctx context.Context, r Reject, keeper *keeper) (*Archived, error) {
	a := &Archived{Archive: r.ArchivePolicy, File: filepath.Join(r.Out, archiveName)}
	var scorer tandem.Scorer
	if a.Rescores() {
		var err error
		if scorer, err = s.Scorer(ctx, r.Helpfulness, r.Safety); err != nil {
			return nil, err
		}
	}
	var rounds [][]rejection.Scored
	for _, path := range append(slices.Clone(r.Archive), r.Out) {
		path = TargetsFile(path)
		targets, err := readTargets(ctx, path)
		if err != nil {
			return nil, err
		}
		round := unscored(targets)
		if scorer != nil {
			scores, err := score(ctx, scorer, targets)
			if err != nil {
				return nil, err
			}
			for i := range round {
				round[i].Score = scores[i]
			}
			if keeper != nil {
				if err := keepRescored(ctx, s.Store, keeper.models, targets, scores); err != nil {
					return nil, err
				}
			}
		}
		rounds = append(rounds, round)
		a.Rounds = append(a.Rounds, ArchivedRound{File: path, Targets: len(targets)})
	}
	kept, from, err := a.Select(rounds)
	if err != nil {
		return nil, err
	}
	for i := range a.Rounds {
		a.Rounds[i].Kept = from[i]
	}
	a.Targets = len(kept)
	return a, r.writeArchive(ctx, a.File, kept)
}

// writeArchive writes the archive, but never over another one that a model was fitted to.
func (r Reject) writeArchive(ctx context.Context, path string, kept []rejection.Target) error {
	there, err := readTargets(ctx, path)
	if err == nil && reflect.DeepEqual(there, kept) {
		return nil
	}
	_, err = os.Stat(filepath.Join(r.Out, runName))
	if begun := err == nil || holdsModel(r.Out); begun {
		return tandem.Errorf(tandem.Conflict, "pipeline.Reject", "%s holds a model that was fine-tuned on other answers, or is being: give the same --archive again, or choose another folder", r.Out)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return tandem.Errorf(tandem.Unavailable, "pipeline.Reject", "%w", err)
	}
	return WriteLines(path, slices.Values(kept))
}

// readArchive reads the best answers of a round's earlier ones; none where its policy keeps none.
func readArchive(ctx context.Context, r Round) (earlier [][]rejection.Scored, err error) {
	if r.Recipe.Archive.Policy == rejection.NewestRound {
		return nil, nil
	}
	for _, path := range r.Archive {
		targets, err := readTargets(ctx, TargetsFile(path))
		if err != nil {
			return nil, err
		}
		earlier = append(earlier, unscored(targets))
	}
	return earlier, nil
}

// rescored specifies the scoring of earlier rounds' answers, round by round and shard by shard.
func rescored(r Round, j Judges, earlier [][]rejection.Scored) (specs []any) {
	for i, targets := range earlier {
		for _, shard := range Shards(len(targets), r.Recipe.ShardPrompts*r.Recipe.Rejection.Samples()) {
			specs = append(specs, Sample{
				Helpfulness: j.Helpfulness.URL, Safety: j.Safety.URL, HelpfulnessID: j.Helpfulness.ID, SafetyID: j.Safety.ID,
				Targets: TargetsFile(r.Archive[i]), From: shard[0], To: shard[1], Config: r.Recipe.Rejection,
			})
		}
	}
	return specs
}

// readScores puts what units of rescored came to beside the answers, in the same order.
func readScores(units []store.UnitState, specs []any, earlier [][]rejection.Scored) error {
	var scores []tandem.Score
	for i, u := range units {
		var shard []tandem.Score
		if err := json.Unmarshal(u.Result, &shard); err != nil {
			return fmt.Errorf("shard %d: %w", u.Shard, err)
		}
		if spec := specs[i].(Sample); len(shard) != spec.To-spec.From {
			return tandem.Errorf(tandem.Internal, "pipeline", "%d answers of %s have %d scores", spec.To-spec.From, spec.Targets, len(shard))
		}
		scores = append(scores, shard...)
	}
	if len(units) == 0 {
		return nil
	}
	for _, round := range earlier {
		for i := range round {
			round[i].Score, scores = scores[0], scores[1:]
		}
	}
	return nil
}

// archive writes what a round's version is fine-tuned on. What is there stays: a round that is resumed goes on with what
// it began with.
func (l *Loop) archive(ctx context.Context, r Round, rounds [][]rejection.Scored) (*Archived, error) {
	a := &Archived{Archive: r.Recipe.Archive, File: filepath.Join(r.Folder, archiveName)}
	if r.ObeyStore {
		if err := l.dropHeldOut(ctx, rounds[:len(rounds)-1]); err != nil {
			return nil, err
		}
	}
	kept, from, err := a.Select(rounds)
	if err != nil {
		return nil, err
	}
	for i, n := range from {
		path := filepath.Join(r.Folder, targetsName)
		if i < len(r.Archive) {
			path = TargetsFile(r.Archive[i])
		}
		a.Rounds = append(a.Rounds, ArchivedRound{File: path, Targets: len(rounds[i]), Kept: n})
		l.Log.Info("the archive", "round", r.Name, "policy", a.Policy, "of", path, "answers", len(rounds[i]), "kept", n)
	}
	a.Targets = len(kept)
	if _, err := os.Stat(a.File); err == nil {
		return a, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, tandem.Errorf(tandem.Unavailable, "pipeline", "%w", err)
	}
	return a, WriteLines(a.File, slices.Values(kept))
}

// dropHeldOut leaves out earlier answers whose openings the database holds out, as it does prompts and demonstrations.
func (l *Loop) dropHeldOut(ctx context.Context, rounds [][]rejection.Scored) error {
	for i, round := range rounds {
		held, err := heldByStore(ctx, l.Store, round, func(t rejection.Scored) string { return t.Messages.Opening() })
		if err != nil {
			return err
		}
		rounds[i] = slices.DeleteFunc(round, held)
		if n := len(round) - len(rounds[i]); n > 0 {
			l.Log.Info("best answers of an earlier round whose openings are held out were left out", "left_out", n, "of", len(round))
		}
	}
	return nil
}

// countTargets is how many best answers of earlier rounds there are.
func countTargets(ctx context.Context, archive []string) (n int, err error) {
	for _, path := range archive {
		targets, err := readTargets(ctx, TargetsFile(path))
		if err != nil {
			return 0, err
		}
		n += len(targets)
	}
	return n, nil
}

package pipeline

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tandem"
	"tandem/evaluation"
	"tandem/llama/checkpoint"
	"tandem/report"
	"tandem/statistics"
	"tandem/store"
)

// Replay specifies that a policy answers earlier violating attacks again.
type Replay struct {
	Model       string          `json:"model"` // folders
	Helpfulness string          `json:"helpfulness"`
	Safety      string          `json:"safety"`
	Sampling    tandem.Sampling `json:"sampling"`
	Seed        uint64          `json:"seed"`
	// Shard is how many attacks are one unit.
	Shard int `json:"shard"`
	// Out is where the attacks lie while units are done, readable by this user alone.
	Out string `json:"-"`
}

// ReplayUnit specifies attacks From to To.
type ReplayUnit struct {
	Replay
	PolicyID string `json:"policy_id"`
	Attacks  string `json:"attacks"`  // file
	Snapshot string `json:"snapshot"` // its hash
	From     int    `json:"from"`
	To       int    `json:"to"`
}

// ReplayedAnswer is what a policy answered, and what the judges say of it.
type ReplayedAnswer struct {
	Text   string              `json:"text"`
	Tokens int                 `json:"tokens"`
	Finish tandem.FinishReason `json:"finish"`
	Score  tandem.Score        `json:"score"`
}

// Replayed is what came of it.
type Replayed struct {
	Config    Replay      `json:"config"`
	Model     string      `json:"name"`
	ModelID   string      `json:"model_id,omitempty"`
	Gate      float64     `json:"gate"`
	All       FixedPart   `json:"all"`
	ByRisk    []FixedPart `json:"by_risk_category"`
	ByVector  []FixedPart `json:"by_attack_vector"`
	ByAgainst []FixedPart `json:"by_attacked"` // by what the attacks worked on

	Attacks []store.ViolatingAttack `json:"-"`
	Answers []ReplayedAnswer        `json:"-"` // one to each attack
}

// FixedPart is a part of the attacks, and how many of them work no more: the safety model's scalar reaches its gate.
type FixedPart struct {
	Name    string              `json:"name,omitempty"`
	Attacks int                 `json:"attacks"`
	Fixed   int                 `json:"fixed"`
	Share   statistics.Interval `json:"share"`
}

// attacksName is the file of attacks in the folder of an unfinished replay.
const attacksName = "attacks.jsonl"

// Replay has a policy answer attacks again; do does the shards. Where there is a database, what came of it is kept there
// with the model.
func (s *Studio) Replay(ctx context.Context, r Replay, attacks []store.ViolatingAttack, do Units) (Replayed, error) {
	const op = "pipeline.Replay"
	done := Replayed{Config: r, Attacks: attacks}
	if r.Shard < 1 {
		return done, tandem.Errorf(tandem.Invalid, op, "a shard of %d attacks", r.Shard)
	}
	if len(attacks) == 0 {
		return done, tandem.Errorf(tandem.NotFound, op, "no attack has worked yet: there is nothing to replay")
	}
	version, err := versionIn(ctx, r.Model)
	if err != nil {
		return done, err
	}
	done.Model, done.ModelID = version.Name, version.ID
	safety, err := checkpoint.ReadLineage(ctx, r.Safety)
	if err != nil {
		return done, err
	}
	if safety == nil || safety.Calibration == nil {
		return done, tandem.Errorf(tandem.Invalid, op, "%s has no calibration, and so no gate", r.Safety)
	}
	done.Gate = safety.Calibration.Gate
	path := filepath.Join(r.Out, attacksName)
	snapshot, err := writeAttacks(path, attacks)
	if err != nil {
		return done, err
	}
	done.Answers, err = sharded[ReplayedAnswer](ctx, do, tandem.StageEvaluate, len(attacks), r.Shard, func(from, to int) any {
		return Evaluation{Replay: &ReplayUnit{Replay: r, PolicyID: version.ID, Attacks: path, Snapshot: snapshot, From: from, To: to}}
	})
	if err != nil {
		return done, err
	}
	if err := done.count(); err != nil {
		return done, err
	}
	if s.Store != nil {
		if err := s.keepReplay(ctx, done); err != nil {
			return done, err
		}
	}
	return done, os.Remove(path)
}

// writeAttacks writes the attacks' prompts for whoever does units, and returns the file's hash.
func writeAttacks(path string, attacks []store.ViolatingAttack) (snapshot string, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", tandem.Errorf(tandem.Unavailable, "pipeline.Replay", "%w", err)
	}
	prompts := func(yield func(tandem.Prompt) bool) {
		for _, a := range attacks {
			if !yield(a.Prompt) {
				return
			}
		}
	}
	if err := WriteLines(path, iter.Seq[tandem.Prompt](prompts)); err != nil {
		return "", err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return "", tandem.Errorf(tandem.Unavailable, "pipeline.Replay", "%w", err)
	}
	return HashFiles(path)
}

// replayUnit does one unit.
func (s *Studio) replayUnit(ctx context.Context, u ReplayUnit) ([]ReplayedAnswer, error) {
	snapshot, err := HashFiles(u.Attacks)
	if err != nil {
		return nil, err
	}
	prompts, err := readPrompts(ctx, u.Attacks)
	if err != nil {
		return nil, err
	}
	if snapshot != u.Snapshot || u.To > len(prompts) {
		return nil, tandem.Errorf(tandem.Conflict, "pipeline.Replay", "%s holds other attacks now than when the work was divided", u.Attacks)
	}
	policy, err := s.open(ctx, u.Model)
	if err != nil {
		return nil, err
	}
	answers, err := evaluation.Answers(ctx, tallied{policy, tallyOf(ctx)}, prompts[u.From:u.To], u.Sampling, u.Seed)
	if err != nil {
		return nil, err
	}
	scorer, err := s.Scorer(ctx, u.Helpfulness, u.Safety)
	if err != nil {
		return nil, err
	}
	if err := evaluation.Score(ctx, scorer, answers); err != nil {
		return nil, err
	}
	out := make([]ReplayedAnswer, len(answers))
	for i, a := range answers {
		out[i] = ReplayedAnswer{a.Text, len(a.Tokens), a.Finish, a.Score}
	}
	return out, nil
}

// count fills in the parts.
func (r *Replayed) count() (err error) {
	if len(r.Answers) != len(r.Attacks) {
		return tandem.Errorf(tandem.Internal, "pipeline.Replay", "%d answers to %d attacks", len(r.Answers), len(r.Attacks))
	}
	all, err := r.parts(func(store.ViolatingAttack) string { return "" })
	if err != nil {
		return err
	}
	r.All = all[0]
	if r.ByRisk, err = r.parts(func(a store.ViolatingAttack) string { return string(a.Prompt.Risk) }); err != nil {
		return err
	}
	if r.ByVector, err = r.parts(func(a store.ViolatingAttack) string { return string(a.Prompt.Vector) }); err != nil {
		return err
	}
	r.ByAgainst, err = r.parts(func(a store.ViolatingAttack) string { return a.Against })
	return err
}

// parts counts the attacks by a name.
func (r *Replayed) parts(name func(store.ViolatingAttack) string) (parts []FixedPart, err error) {
	for i, a := range r.Attacks {
		at := slices.IndexFunc(parts, func(p FixedPart) bool { return p.Name == name(a) })
		if at < 0 {
			at = len(parts)
			parts = append(parts, FixedPart{Name: name(a)})
		}
		parts[at].Attacks++
		if !r.Answers[i].Score.Gated {
			parts[at].Fixed++
		}
	}
	for i, p := range parts {
		if parts[i].Share, err = statistics.Wilson(float64(p.Fixed), p.Attacks); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// keepReplay keeps the answers, their scores and what they came to.
func (s *Studio) keepReplay(ctx context.Context, r Replayed) error {
	models, err := s.judges(ctx, r.Config.Helpfulness, r.Config.Safety)
	if err != nil {
		return err
	}
	if models.policy, err = s.row(ctx, r.Config.Model, tandem.PolicyModel); err != nil {
		return err
	}
	return s.Store.Together(ctx, func(ctx context.Context) error {
		responses := make([]store.Response, len(r.Answers))
		for i, a := range r.Answers {
			responses[i] = store.Response{PromptID: r.Attacks[i].Prompt.ID, Content: a.Text, Model: models.policy, Sampling: r.Config.Sampling, Seed: r.Config.Seed,
				Finish: a.Finish, Tokens: a.Tokens}
		}
		ids, err := s.Store.AddResponses(ctx, responses)
		if err != nil {
			return err
		}
		kept := store.Replay{Model: models.policy, Helpfulness: models.helpfulness, Safety: models.safety, Gate: r.Gate, Sampling: r.Config.Sampling, Seed: r.Config.Seed}
		scores := make(map[string]store.ResponseScore, len(ids)) // the same attack may have been made twice
		for i, id := range ids {
			scores[id] = store.ResponseScore{ResponseID: id, Score: r.Answers[i].Score}
			kept.Attacks = append(kept.Attacks, store.ReplayedAttack{Judgment: r.Attacks[i].Judgment, Response: id, Safety: r.Answers[i].Score.Safety})
		}
		var distinct []store.ResponseScore
		for _, id := range ids {
			if score, ok := scores[id]; ok {
				distinct = append(distinct, score)
				delete(scores, id)
			}
		}
		if err := s.Store.AddScores(ctx, models.helpfulness, models.safety, distinct); err != nil {
			return err
		}
		return s.Store.AddReplay(ctx, kept)
	})
}

// Report shows the counts, and the attacks with their answers where texts says so.
func (r Replayed) Report(facts []report.Fact, now time.Time, texts bool) report.Report {
	out := report.Report{
		Title: "Earlier attacks, replayed",
		Summary: []string{fmt.Sprintf("%s answered %d attacks that people had found to work on earlier policies (their answers were rated 1 or 2 of 5), each dialogue as it was. %d are fixed: the safety model's scalar of the answer reaches its gate, %.4g.",
			r.Model, r.All.Attacks, r.All.Fixed, r.Gate)},
		Created: now, Facts: facts,
		Highlights: []report.Highlight{{Label: "Attacks fixed", Value: fmt.Sprintf("%.1f %%", 100*r.All.Share.Value),
			Note: fmt.Sprintf("%d of %d; 95 %% interval: %.1f to %.1f %%", r.All.Fixed, r.All.Attacks, 100*r.All.Share.Low, 100*r.All.Share.High)}},
	}
	plain := func(name string) string { return strings.ReplaceAll(name, "_", " ") }
	same := func(name string) string { return name }
	for _, part := range []struct {
		heading, of string
		parts       []FixedPart
		words       func(string) string
	}{
		{"By what was attacked", "attacks on", r.ByAgainst, same}, {"By risk category", "risk category", r.ByRisk, plain}, {"By attack vector", "attack vector", r.ByVector, plain},
	} {
		table := report.Table{Caption: "Attacks that work no more, with 95 % intervals (Wilson)", Columns: []string{part.of, "attacks", "fixed", "share fixed"}}
		for _, p := range part.parts {
			table.Rows = append(table.Rows, []report.Cell{report.Text(part.words(p.Name)), report.Number(float64(p.Attacks), 0), report.Number(float64(p.Fixed), 0),
				report.Interval(hundred(p.Share), 1).In(" %")})
		}
		out.Sections = append(out.Sections, report.Section{Heading: part.heading, Tables: []report.Table{table}})
	}
	if !texts {
		return out
	}
	section := report.Section{Heading: "Attacks and answers", Paragraphs: []string{"These texts may be hard to read."}}
	for i, a := range r.Attacks {
		verdict := "fixed"
		if r.Answers[i].Score.Gated {
			verdict = "still violating"
		}
		section.Samples = append(section.Samples, report.Sample{
			Title: fmt.Sprintf("%s, %s, on %s: %s", a.Prompt.Risk, a.Prompt.Vector, a.Against, verdict), Prompt: a.Prompt.Messages,
			Answers: []report.Answer{{Name: r.Model, Text: r.Answers[i].Text, Notes: []report.Fact{{Name: "r_s", Value: fmt.Sprintf("%.3g", r.Answers[i].Score.Safety)}}}},
		})
	}
	out.Sections = append(out.Sections, section)
	return out
}

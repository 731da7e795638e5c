package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"tandem"
	"tandem/sft/distill"
)

// The files of context distillation.
const (
	distilledName      = "distilled.jsonl" // to train on
	distillSampledName = "sampled.jsonl"   // every prompt with its answers in all ways
	distillReportName  = "distill.json"    // what the sampling was
)

// Distill specifies the dialogues of context distillation (section 4.2.4).
type Distill struct {
	Policy      string `json:"policy"`
	Helpfulness string `json:"helpfulness"`
	Safety      string `json:"safety"`
	Prompts     string `json:"prompts"` // file, see dataset.ReadPrompts; those that are marked as safety prompts are answered
	// All has the other prompts answered too, under the generic preprompt.
	All          bool               `json:"all,omitempty"`
	HeldOutShare float64            `json:"held_out_share,omitempty"`
	Preprompts   distill.Preprompts `json:"preprompts"`
	Sampling     tandem.Sampling    `json:"sampling"`
	Seed         uint64             `json:"seed"`
	Shard        int                `json:"shard"` // prompts of a unit
	Out          string             `json:"-"`
}

// DistillUnit specifies one shard: prompts From to To.
type DistillUnit struct {
	Distill
	PolicyID string `json:"policy_id"`
	Judges   judges `json:"judges"`
	Snapshot string `json:"snapshot"`
	From     int    `json:"from"`
	To       int    `json:"to"`
}

// Distilled is what came of it.
type Distilled struct {
	Config   Distill             `json:"config"`
	PolicyID string              `json:"policy_id,omitempty"`
	Snapshot string              `json:"snapshot"`
	Prompts  int                 `json:"prompts"`
	HeldOut  int                 `json:"held_out"`
	Others   int                 `json:"others"` // that are no safety prompts, and were left out
	Kept     map[distill.Way]int `json:"kept"`   // prompts to train on, by the way of the answer
	Train    string              `json:"train"`
	Sampled  string              `json:"sampled"`
	Measures DistillMeasures     `json:"measures"`
}

// prompts are those to answer; heldOut and others count those that are not.
func (d Distill) prompts(ctx context.Context) (prompts []tandem.Prompt, heldOut, others int, snapshot string, err error) {
	if snapshot, err = HashFiles(d.Prompts); err != nil {
		return nil, 0, 0, "", err
	}
	all, err := readPrompts(ctx, d.Prompts)
	if err != nil {
		return nil, 0, 0, "", err
	}
	training, held := splitPrompts(all, d.HeldOutShare)
	for _, p := range training {
		if p.Safety || d.All {
			prompts = append(prompts, p)
		}
	}
	return prompts, len(held), len(training) - len(prompts), snapshot, nil
}

// Distill makes the dialogues, shard by shard; do does the shards.
func (s *Studio) Distill(ctx context.Context, d Distill, do Units) (Distilled, error) {
	done := Distilled{Config: d, Train: filepath.Join(d.Out, distilledName), Sampled: filepath.Join(d.Out, distillSampledName)}
	if err := d.Preprompts.Validate(); err != nil {
		return done, err
	}
	prompts, heldOut, others, snapshot, err := d.prompts(ctx)
	if err != nil {
		return done, err
	}
	if err := s.tellSplit("prompts", len(prompts)+others, heldOut); err != nil {
		return done, err
	}
	if len(prompts) == 0 {
		return done, tandem.Errorf(tandem.Invalid, "pipeline.Distill", "none of the %d prompts of %s is marked as a safety prompt", others, d.Prompts)
	}
	done.Snapshot, done.Prompts, done.HeldOut, done.Others = snapshot, len(prompts), heldOut, others
	if done.PolicyID, err = parentID(ctx, d.Policy); err != nil {
		return done, err
	}
	ids, err := readJudges(ctx, d.Helpfulness, d.Safety)
	if err != nil {
		return done, err
	}
	sampled, err := sharded[distill.Sampled](ctx, do, tandem.StageDistill, len(prompts), d.Shard, func(from, to int) any {
		return DistillUnit{Distill: d, PolicyID: done.PolicyID, Judges: ids, Snapshot: snapshot, From: from, To: to}
	})
	if err != nil {
		return done, err
	}
	return done, done.finish(ctx, sampled)
}

// finish writes what is trained on and what it was chosen from.
func (d *Distilled) finish(ctx context.Context, sampled []distill.Sampled) (err error) {
	d.Kept = make(map[distill.Way]int)
	var lines []targetLine
	for _, s := range sampled {
		if way, best, ok := s.Best(); ok {
			d.Kept[way]++
			lines = append(lines, targetLine{s.Dialogue(best)})
		}
	}
	if d.Measures, err = measureDistilled(sampled); err != nil {
		return err
	}
	if err := WriteLines(d.Train, slices.Values(lines)); err != nil {
		return err
	}
	if err := WriteLines(d.Sampled, slices.Values(sampled)); err != nil {
		return err
	}
	return writeJSON(ctx, filepath.Join(filepath.Dir(d.Train), distillReportName), d)
}

// distillUnit answers one shard.
func (s *Studio) distillUnit(ctx context.Context, u DistillUnit) (Result, error) {
	prompts, _, _, snapshot, err := u.prompts(ctx)
	if err != nil {
		return Result{}, err
	}
	if snapshot != u.Snapshot || u.To > len(prompts) {
		return Result{}, tandem.Errorf(tandem.Conflict, "pipeline.Distill", "%s holds other prompts now than when the work was divided", u.Prompts)
	}
	policy, err := s.open(ctx, u.Policy)
	if err != nil {
		return Result{}, err
	}
	scorer, err := s.Scorer(ctx, u.Helpfulness, u.Safety)
	if err != nil {
		return Result{}, err
	}
	sampled, err := distill.Sample(ctx, tallied{policy, tallyOf(ctx)}, scorer, prompts[u.From:u.To], u.Preprompts, u.Sampling, u.Seed)
	return Result{Value: sampled}, err
}

// ReadPreprompts reads preprompts from a JSON file of generic and templates.
func ReadPreprompts(path string) (p distill.Preprompts, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return p, tandem.Errorf(tandem.Invalid, "pipeline.ReadPreprompts", "%s: %w", path, err)
	}
	if err := p.Validate(); err != nil {
		return p, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

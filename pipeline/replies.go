package pipeline

import (
	"context"
	"encoding/json"
	"fmt"

	"tandem"
	"tandem/evaluation"
)

// Replies specifies a policy's answers to the prompts From to To of a file, K to each.
type Replies struct {
	Policy   string          `json:"policy"`
	PolicyID string          `json:"policy_id"`
	Prompts  string          `json:"prompts"`
	Snapshot string          `json:"snapshot"` // hash of that file
	Sampling tandem.Sampling `json:"sampling"`
	Seed     uint64          `json:"seed"`
	K        int             `json:"k"`
	From     int             `json:"from"`
	To       int             `json:"to"`
}

// Reply is one of them.
type Reply struct {
	Text   string              `json:"text"`
	Finish tandem.FinishReason `json:"finish"`
	Tokens int                 `json:"tokens"`
}

// repliesUnit does one unit: K replies to each of its prompts.
func (s *Studio) repliesUnit(ctx context.Context, u Replies) ([][]Reply, error) {
	prompts, snapshot, err := u.prompts(ctx)
	if err != nil {
		return nil, err
	}
	if snapshot != u.Snapshot || u.To > len(prompts) {
		return nil, tandem.Errorf(tandem.Conflict, "pipeline.Replies", "%s holds other prompts now than when the work was divided", u.Prompts)
	}
	policy, err := s.open(ctx, u.Policy)
	if err != nil {
		return nil, err
	}
	var requests []tandem.GenerateRequest
	for _, p := range prompts[u.From:u.To] {
		for k := range u.K {
			requests = append(requests, tandem.GenerateRequest{
				Messages: p.Messages, Sampling: u.Sampling, Key: tandem.SampleKey{Seed: u.Seed, Prompt: p.Messages.Key(), Sample: uint64(k)},
			})
		}
	}
	completions, err := tandem.Collect(ctx, tallied{policy, tallyOf(ctx)}, requests)
	if err != nil {
		return nil, fmt.Errorf("sample answers: %w", err)
	}
	replies := make([][]Reply, u.To-u.From)
	for i, c := range completions {
		replies[i/u.K] = append(replies[i/u.K], Reply{c.Text, c.Finish, len(c.Tokens)})
	}
	return replies, nil
}

// prompts are those of the file, and its hash.
func (u Replies) prompts(ctx context.Context) (prompts []tandem.Prompt, snapshot string, err error) {
	if snapshot, err = HashFiles(u.Prompts); err != nil {
		return nil, "", err
	}
	if prompts, err = readPrompts(ctx, u.Prompts); err == nil && len(prompts) == 0 {
		err = tandem.Errorf(tandem.Invalid, "pipeline.Replies", "there are no prompts in %s", u.Prompts)
	}
	return prompts, snapshot, err
}

// repliesTo has every specification answered, each of all prompts of its file, in shards of so many. Of a specification it
// takes what says what is asked of whom; it returns the replies to each prompt.
func repliesTo(ctx context.Context, do Units, shard int, all ...Replies) ([][][]Reply, error) {
	const op = "pipeline.Replies"
	if shard < 1 {
		return nil, tandem.Errorf(tandem.Invalid, op, "a shard of %d prompts", shard)
	}
	var specs []any
	var of []int // of a unit, the specification
	for i, r := range all {
		if r.K < 1 {
			return nil, tandem.Errorf(tandem.Invalid, op, "%d answers to a prompt", r.K)
		}
		version, err := versionIn(ctx, r.Policy)
		if err != nil {
			return nil, err
		}
		prompts, snapshot, err := r.prompts(ctx)
		if err != nil {
			return nil, err
		}
		r.PolicyID, r.Snapshot = version.ID, snapshot
		for _, s := range Shards(len(prompts), shard) {
			r.From, r.To = s[0], s[1]
			unit := r
			specs, of = append(specs, Evaluation{Replies: &unit}), append(of, i)
		}
	}
	results, err := do(ctx, tandem.StageEvaluate, specs...)
	if err != nil {
		return nil, err
	}
	replies := make([][][]Reply, len(all))
	for i, result := range results {
		var shard [][]Reply
		if err := json.Unmarshal(result, &shard); err != nil {
			return nil, fmt.Errorf("a shard of %s: %w", all[of[i]].Policy, err)
		}
		replies[of[i]] = append(replies[of[i]], shard...)
	}
	return replies, nil
}

// JudgeUnit specifies pairs for a model to rule on.
type JudgeUnit struct {
	Endpoint string                      `json:"endpoint"`
	Model    string                      `json:"model"`
	Config   evaluation.ModelJudgeConfig `json:"config"`
	Pairs    []evaluation.AnswerPair     `json:"pairs"`
}

// judgeUnit does one unit.
func (s *Studio) judgeUnit(ctx context.Context, u JudgeUnit) ([]evaluation.Ruling, error) {
	if s.Judge == nil {
		return nil, tandem.Errorf(tandem.Unsupported, "pipeline.Judge", "this process knows no model that judges")
	}
	judge := *s.Judge
	judge.Config.Aspect, judge.Config.MaxTokens, judge.Config.Seed = u.Config.Aspect, u.Config.MaxTokens, u.Config.Seed
	return judge.Judge(ctx, u.Pairs)
}

package scoreapi

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tandem/internal/web"
	"tandem/llama/chat"
)

// RewardRequest is what OpenRLHF's clients send: https://github.com/OpenRLHF/OpenRLHF, openrlhf/utils/agent.py, and
// openrlhf/utils/remote_rm_utils.py before version 0.9. Labels, which a reward model has no use for, and whatever else it
// may come to hold are passed over.
type RewardRequest struct {
	_       struct{} `additionalProperties:"true"`
	Query   []string `json:"query" doc:"Rendered texts, prompt and answer: special tokens in them are recognised, a BOS is not put before one that is there, and each ends in EOS exactly once."`
	Prompts []string `json:"prompts,omitempty" doc:"The prompt of each text, rendered or not. It tells whether the prompt is stored as one that probes safety."`
}

// RewardInput is the request.
type RewardInput struct{ Body RewardRequest }

// RewardOutput is the answer.
type RewardOutput struct{ Body RewardAnswer }

// RewardAnswer has a reward for every text, in order.
type RewardAnswer struct {
	Rewards   []float64          `json:"rewards" nullable:"false" doc:"The combined score."`
	Scores    []float64          `json:"scores" nullable:"false" doc:"The same in (0, 1), by the sigmoid."`
	ExtraLogs map[string]float64 `json:"extra_logs" doc:"Empty."`
}

func (a api) registerReward(to web.API) {
	web.Register(to, scopes, huma.Operation{
		OperationID: "get-reward", Method: http.MethodPost, Path: "/get_reward", Summary: "Reward texts, in OpenRLHF's protocol", Tags: []string{"scores"},
		MaxBodyBytes: mostBody, SkipValidateBody: true, // its clients send more than is described, and null for what they do not have
		Description: "OpenRLHF sends no Authorization header: put the key into the address, as the password of HTTP Basic, http://tandem:KEY@HOST/get_reward. " +
			"A text that is longer than a model's context refuses the whole request, since the answer has no place for anything but numbers.",
	}, timed(a.Metrics, "/get_reward", func(ctx context.Context, in *RewardInput) (*RewardOutput, error) {
		query, prompts := in.Body.Query, in.Body.Prompts
		if query == nil {
			return nil, a.refuse(refusedInvalid, http.StatusUnprocessableEntity, "body.query", "There is no list of texts to reward.")
		}
		if len(prompts) > 0 && len(prompts) != len(query) {
			return nil, a.refuse(refusedInvalid, http.StatusUnprocessableEntity, "body.prompts", fmt.Sprintf("There are %d prompts for %d texts.", len(prompts), len(query)))
		}
		texts := make([]asked, len(query))
		for n, text := range query {
			if text == "" {
				return nil, a.refuse(refusedInvalid, http.StatusUnprocessableEntity, fmt.Sprintf("body.query[%d]", n), "The text is empty.")
			}
			texts[n] = asked{where: fmt.Sprintf("body.query[%d]", n), tokens: func(j Judge) (chat.Example, error) { return j.RenderText(noNUL(text)) }}
			if len(prompts) > 0 {
				texts[n].rendered = noNUL(prompts[n])
			}
		}
		results, _, err := a.score(ctx, texts)
		if err != nil {
			return nil, err
		}
		out := &RewardOutput{RewardAnswer{make([]float64, len(results)), make([]float64, len(results)), map[string]float64{}}}
		for n, r := range results {
			if r.problem != nil {
				return nil, a.refuse(refusedInvalid, http.StatusUnprocessableEntity, texts[n].where, r.problem.Detail)
			}
			out.Body.Rewards[n], out.Body.Scores[n] = r.Combined, 1/(1+math.Exp(-r.Combined))
		}
		return out, nil
	}))
}

// noNUL is a text as tandem keeps it: a poor model may say NUL, which no database holds (see [tandem.Collect]).
func noNUL(text string) string { return strings.ReplaceAll(text, "\x00", "\uFFFD") }

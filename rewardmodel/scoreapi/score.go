package scoreapi

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tandem"
	"tandem/internal/web"
	"tandem/llama/chat"
	"tandem/rewardmodel"
)

// Message is one turn of a dialogue.
type Message struct {
	Role    tandem.Role `json:"role" enum:"system,user,assistant"`
	Content string      `json:"content"`
}

// ScoreItem is one dialogue to score.
type ScoreItem struct {
	Messages     []Message `json:"messages" nullable:"false" minItems:"1" doc:"The dialogue; its last message, the assistant's, is what is scored."`
	SafetyPrompt *bool     `json:"safety_prompt,omitempty" doc:"Whether the prompt was written to probe safety. Left out, the category tells that the same prompt is stored with, or else the classifier kept with the safety model; without either it counts as none."`
}

// ScoreRequest is what POST /v1/score takes.
type ScoreRequest struct {
	Items []ScoreItem `json:"items" nullable:"false" minItems:"1"`
}

// ScoreInput is the request.
type ScoreInput struct{ Body ScoreRequest }

// Result is one dialogue's score, or the reason why it has none.
type Result struct {
	Helpfulness *float64     `json:"helpfulness,omitempty" doc:"Raw scalar of the helpfulness model."`
	Safety      *float64     `json:"safety,omitempty" doc:"Raw scalar of the safety model."`
	Combined    *float64     `json:"combined,omitempty" doc:"The combined score: the raw scalar of one of the two, by frozen statistics of mean 0 and deviation 1."`
	Gated       *bool        `json:"gated,omitempty" doc:"The calibrated safety scalar is below the gate."`
	Uncertainty float64      `json:"uncertainty,omitempty" doc:"Of the combined score, in its unit: the deviation over the members of an ensemble. Left out of single models' answers."`
	Explanation *Explanation `json:"explanation,omitempty" doc:"Which branch the combined score took, and the numbers on the way."`
	Error       *ItemProblem `json:"error,omitempty" doc:"Why there is no score; the other items are scored all the same."`
}

// Explanation is the combiner's, and who said whether the prompt probes safety.
type Explanation struct {
	rewardmodel.Explanation
	SafetyPromptFrom PromptSource `json:"safety_prompt_from" enum:"request,stored,classifier,default" doc:"Who said so: the request, the category of the same prompt in the database, a classifier kept with the safety model, or nobody: then it counts as no safety prompt."`
}

// ScoreOutput is the answer.
type ScoreOutput struct{ Body ScoreAnswer }

// ScoreAnswer has a result for every item, in order, and the models that gave them.
type ScoreAnswer struct {
	Results []Result `json:"results" nullable:"false"`
	Models  Models   `json:"models"`
}

func (a api) registerScore(to web.API) {
	web.Register(to, scopes, huma.Operation{
		OperationID: "score", Method: http.MethodPost, Path: "/v1/score", Summary: "Score dialogues with the reward models", Tags: []string{"scores"}, MaxBodyBytes: mostBody,
		Description: "What a dialogue scores depends on it and the models alone, to the bit, whatever is scored beside it. A dialogue that is longer than a model's context gets an error in its place; " +
			"nothing is cut. 429 says in Retry-After when to come again.",
	}, timed(a.Metrics, "/v1/score", func(ctx context.Context, in *ScoreInput) (*ScoreOutput, error) {
		texts := make([]asked, len(in.Body.Items))
		for n, i := range in.Body.Items {
			texts[n] = askedOf(ctx, n, i)
		}
		results, models, err := a.score(ctx, texts)
		if err != nil {
			return nil, err
		}
		out := &ScoreOutput{ScoreAnswer{make([]Result, len(results)), models}}
		for n, r := range results {
			out.Body.Results[n] = resultOf(r)
		}
		return out, nil
	}))
}

func askedOf(ctx context.Context, n int, i ScoreItem) asked {
	dialogue := make(tandem.Dialogue, len(i.Messages))
	for k, m := range i.Messages {
		dialogue[k] = tandem.Message{Role: m.Role, Content: m.Content}
	}
	return asked{
		question: question{said: i.SafetyPrompt, prompt: dialogue[:max(0, len(dialogue)-1)]},
		where:    fmt.Sprintf("body.items[%d]", n),
		tokens:   func(j Judge) (chat.Example, error) { return j.Render(ctx, dialogue) },
	}
}

func resultOf(r scored) Result {
	if r.problem != nil {
		return Result{Error: r.problem}
	}
	return Result{
		Helpfulness: &r.Helpfulness, Safety: &r.Safety, Combined: &r.Combined, Gated: &r.Gated, Uncertainty: r.Uncertainty,
		Explanation: &Explanation{r.explanation, r.from},
	}
}

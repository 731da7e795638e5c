package scoreapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"tandem"
	"tandem/internal/web"
	"tandem/llama/chat"
	"tandem/rewardmodel"
	"tandem/store"
)

// Config is what the operations need.
type Config struct {
	// Serving holds the models that answer. Required.
	Serving *Serving
	// Batcher computes. Required.
	Batcher *Batcher
	// Stored knows the categories of stored prompts. Nil knows none.
	Stored PromptJudge
	// Metrics count. Nil does not.
	Metrics *Metrics
	// MaxItems of a request. Defaults to 256.
	MaxItems int
	// MaxTokens of a request, all items together, as the model that makes more of them counts. Defaults to 262,144.
	MaxTokens int
}

// The defaults of Config.
const (
	DefaultMaxItems  = 256
	DefaultMaxTokens = 1 << 18
)

// mostBody bounds a request's body, in bytes.
const mostBody = 8 << 20

// api answers requests.
type api struct{ Config }

var scopes = web.Scopes{store.ScopeScore}

// Register adds the operations.
func Register(to web.API, c Config) error {
	if c.Serving == nil || c.Batcher == nil {
		return tandem.Errorf(tandem.Invalid, "scoreapi.Register", "Serving or Batcher is missing")
	}
	if c.MaxItems == 0 {
		c.MaxItems = DefaultMaxItems
	}
	if c.MaxTokens == 0 {
		c.MaxTokens = DefaultMaxTokens
	}
	if c.MaxItems < 1 || c.MaxTokens < 1 {
		return tandem.Errorf(tandem.Invalid, "scoreapi.Register", "at most %d items and %d tokens", c.MaxItems, c.MaxTokens)
	}
	a := api{c}
	a.registerScore(to)
	a.registerReward(to)
	return nil
}

// asked is one text of a request.
type asked struct {
	question
	where  string // in the request, as problems name places: body.items[3]
	tokens func(Judge) (chat.Example, error)
}

// scored is what became of it.
type scored struct {
	tandem.Score
	explanation rewardmodel.Explanation
	from        PromptSource
	problem     *ItemProblem // instead of all these
}

// ItemProblem says why one item has no score while the others have.
type ItemProblem struct {
	Code   string `json:"code" enum:"too_long,invalid" doc:"too_long: a model's context does not hold it. invalid: a model cannot score it."`
	Detail string `json:"detail"`
}

// score gives every text of a request its score, or says why it has none. Errors: a web.Problem for a request that is refused.
func (a api) score(ctx context.Context, texts []asked) ([]scored, Models, error) {
	if len(texts) > a.MaxItems {
		return nil, Models{}, a.refuse(refusedMany, http.StatusRequestEntityTooLarge, texts[a.MaxItems].where,
			fmt.Sprintf("The request has %d items, and %d are the most.", len(texts), a.MaxItems))
	}
	p, err := a.Serving.pair()
	if err != nil {
		a.Metrics.refuse(refusedModels)
		return nil, Models{}, web.NewProblem(http.StatusServiceUnavailable, sentence(err))
	}
	results, items := make([]scored, len(texts)), make([]*item, 0, len(texts))
	of := make([]int, 0, len(texts)) // the results of items
	tokens := 0
	for n, t := range texts {
		i, err := p.render(t)
		if err != nil {
			if ctx.Err() != nil || tandem.CodeOf(err) == tandem.Internal {
				return nil, Models{}, a.ended(ctx, err)
			}
			return nil, Models{}, a.refuse(refusedInvalid, http.StatusUnprocessableEntity, t.where, sentence(err))
		}
		if long := p.tooLong(i); long != "" {
			a.Metrics.refuse(refusedLong)
			results[n].problem = &ItemProblem{"too_long", long}
			continue
		}
		if tokens += i.length(); tokens > a.MaxTokens {
			return nil, Models{}, a.refuse(refusedMany, http.StatusRequestEntityTooLarge, t.where,
				fmt.Sprintf("The request has more than %d tokens: %d up to this item.", a.MaxTokens, tokens))
		}
		items, of = append(items, i), append(of, n)
	}
	call, err := a.Batcher.Start(items)
	if full, ok := errors.AsType[*fullError](err); ok {
		a.Metrics.refuse(refusedFull)
		return nil, Models{}, web.Busy(max(full.after, time.Second), fmt.Sprintf("%d texts wait to be scored, and these would be too many; try again.", full.waiting))
	}
	if err != nil {
		return nil, Models{}, a.ended(ctx, err)
	}
	questions := make([]question, len(texts))
	for n, t := range texts {
		questions[n] = t.question
	}
	prompts := newPrompts(ctx, p, questions)
	if err := prompts.ask(ctx, FromStored, a.Stored); err != nil { // while the models are at work
		call.leave()
		return nil, Models{}, a.ended(ctx, err)
	}
	if err := call.wait(ctx); err != nil {
		return nil, Models{}, a.ended(ctx, err)
	}
	for k, i := range items {
		if i.safetyPrompt != nil {
			prompts.answer(of[k], *i.safetyPrompt, FromClassifier)
		}
	}
	if err := prompts.ask(ctx, FromClassifier, p.Prompts); err != nil {
		return nil, Models{}, a.ended(ctx, err)
	}
	for k, i := range items {
		r := &results[of[k]]
		switch {
		case i.err != nil && tandem.CodeOf(i.err) == tandem.Invalid:
			r.problem = &ItemProblem{"invalid", sentence(i.err)}
		case i.err != nil:
			return nil, Models{}, i.err
		default:
			v := prompts.verdicts[of[k]]
			r.Score, r.explanation = p.Combiner.Explain(i.rh, i.rs, v.safety)
			r.from = v.from
		}
	}
	return results, p.Models, nil
}

// refuse is the problem of a request of which one place is wrong.
func (a api) refuse(reason string, status int, where, detail string) *web.Problem {
	a.Metrics.refuse(reason)
	p := web.NewProblem(status, where+": "+detail)
	p.Errors = []web.FieldDetail{{Location: where, Message: detail}}
	return p
}

// ended is err, counted where the request ended before its answer was there.
func (a api) ended(ctx context.Context, err error) error {
	switch {
	case ctx.Err() == nil:
		return err
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = web.NewProblem(http.StatusServiceUnavailable, "The texts were not scored in time: the server has much to do, or the request is too large for it. Try again, or with fewer texts at once.")
	default:
		err = ctx.Err()
	}
	a.Metrics.refuse(refusedEnded)
	return err
}

// sentence is what the domain says of err to a caller.
func sentence(err error) string {
	if e, ok := errors.AsType[*tandem.Error](err); ok {
		return e.Message
	}
	return "it cannot be scored"
}

// timed counts a handler's answers.
func timed[I, O any](m *Metrics, route string, handler func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return func(ctx context.Context, in *I) (*O, error) {
		start := time.Now()
		out, err := handler(ctx, in)
		status := http.StatusOK
		switch {
		case errors.Is(err, context.Canceled):
			status = 499 // nginx's: the client went away
		case err != nil:
			status = web.ProblemOf(err).Status
		}
		m.request(route, status, time.Since(start))
		return out, err
	}
}

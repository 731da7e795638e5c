package chatapi

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"

	"tandem"
	"tandem/llama"
)

// prepared is a request that can be sampled.
type prepared struct {
	request  *Request
	policy   *Policy
	requests []llama.Request // one for each choice
}

// prepare makes what a request asks of the policy that serves. Nothing of a prompt is cut: one that leaves no room for an
// answer is refused. Seed, dialogue and choice are the sample's key, as in `tandem generate`, which gives the first choice.
func (a api) prepare(ctx context.Context, r *Request, dialogue tandem.Dialogue) (prepared, *failure) {
	p, why := a.Serving.served.Get()
	if p == nil {
		return prepared{}, &failure{status: http.StatusServiceUnavailable, code: noPolicy, reason: refusedModel, message: "There is nothing to chat with: " + why + "."}
	}
	if !p.is(r.Model) {
		return prepared{}, unknownModel("model", r.Model)
	}
	if n := r.choices(); n > a.MaxChoices {
		return prepared{}, invalid("n", invalidValue, "n is %d, and %d are the most.", n, a.MaxChoices)
	}
	most, param := r.most()
	if most > a.MaxTokens {
		return prepared{}, invalid(param, invalidValue, "%s is %d, and %d are the most.", param, most, a.MaxTokens)
	}
	e, err := p.chat.Template.Prompt(ctx, dialogue, 0)
	switch {
	case ctx.Err() != nil:
		return prepared{}, a.ended(ctx)
	case tandem.CodeOf(err) == tandem.Internal:
		return prepared{}, broken(err)
	case err != nil: // what the chat template refuses
		return prepared{}, invalid("messages", invalidValue, "%s.", sentence(err))
	}
	room := p.context() - len(e.Tokens)
	if room < 1 {
		return prepared{}, &failure{status: http.StatusBadRequest, code: contextExceeded, param: "messages", reason: refusedLong,
			message: fmt.Sprintf("The prompt has %d tokens, which leaves no room for an answer in the model's context of %d.", len(e.Tokens), p.context())}
	}
	if most == 0 {
		most = a.MaxTokens
	}
	sampling := r.sampling()
	sampling.MaxTokens = min(most, room)
	key := tandem.SampleKey{Seed: rand.Uint64(), Prompt: dialogue.Key()}
	if r.Seed != nil {
		key.Seed = uint64(*r.Seed)
	}
	requests := make([]llama.Request, r.choices())
	for i := range requests {
		key.Sample = uint64(i)
		requests[i] = llama.Request{Prompt: e.Tokens, Sampling: sampling, Stop: p.chat.Template.Stops(), Top: r.top(), Key: key}
	}
	return prepared{r, p, requests}, nil
}

// sentence is what the domain says of err to a caller.
func sentence(err error) string {
	if e, ok := errors.AsType[*tandem.Error](err); ok {
		return e.Message
	}
	return "it cannot be answered"
}

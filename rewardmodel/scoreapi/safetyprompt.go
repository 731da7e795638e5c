package scoreapi

import (
	"context"
	"fmt"
	"slices"

	"tandem"
	"tandem/rewardmodel"
)

// PromptJudge tells prompts that probe safety from others, is_safety(p) of R_c. The database is one, by the category
// that a prompt was stored with; a classifier kept with the safety model is another.
type PromptJudge interface {
	// SafetyPrompts says of the prompts that it knows, by index, whether they probe safety.
	SafetyPrompts(ctx context.Context, prompts []tandem.Dialogue) (known map[int]bool, err error)
}

// PromptSource says who told whether a prompt probes safety.
type PromptSource string

const (
	FromRequest    PromptSource = "request"    // the request itself
	FromStored     PromptSource = "stored"     // the category of the same prompt in the database
	FromClassifier PromptSource = "classifier" // the classifier kept with the safety model
	FromDefault    PromptSource = "default"    // nobody knows: it counts as no safety prompt
)

// question is a prompt as it stands in a request.
type question struct {
	said     *bool           // what the request says of it
	prompt   tandem.Dialogue // empty where there is none, or only its text
	rendered string          // the text of one that a chat template may have rendered
}

// verdict is whether a prompt probes safety, and by whom.
type verdict struct {
	safety bool
	from   PromptSource
}

// prompts are those of a request, each settled by the first who knows: the request, what is stored, the pair's
// classifier. A prompt that nobody knows counts as none that probes safety (a choice: the gate still stops what is unsafe).
type prompts struct {
	verdicts []verdict
	open     []int               // those not settled yet
	as       [][]tandem.Dialogue // each of them as it may be known
}

// newPrompts settles what the request says.
func newPrompts(ctx context.Context, p *Pair, questions []question) *prompts {
	s := &prompts{make([]verdict, len(questions)), nil, make([][]tandem.Dialogue, len(questions))}
	for i, q := range questions {
		s.verdicts[i] = verdict{false, FromDefault}
		switch {
		case q.said != nil:
			s.verdicts[i] = verdict{*q.said, FromRequest}
		case len(q.prompt) > 0:
			s.open, s.as[i] = append(s.open, i), []tandem.Dialogue{q.prompt}
		case q.rendered != "":
			s.open, s.as[i] = append(s.open, i), p.frame.dialogues(ctx, q.rendered)
		}
	}
	return s
}

// ask settles the open prompts that a judge knows, which may be nil.
func (s *prompts) ask(ctx context.Context, source PromptSource, judge PromptJudge) error {
	if len(s.open) == 0 || judge == nil {
		return nil
	}
	var asked []tandem.Dialogue
	var of []int // the prompt of each that is asked
	for _, i := range s.open {
		as := s.as[i]
		if source == FromClassifier {
			as = as[:1] // to a model they are the same text
		}
		for _, d := range as {
			asked, of = append(asked, d), append(of, i)
		}
	}
	known, err := judge.SafetyPrompts(ctx, asked)
	if err != nil {
		return fmt.Errorf("whether prompts probe safety (%s): %w", source, err)
	}
	for n, i := range of {
		if safety, ok := known[n]; ok {
			s.answer(i, safety, source)
		}
	}
	return nil
}

// answer settles a prompt, unless it is settled.
func (s *prompts) answer(i int, safety bool, source PromptSource) {
	if at := slices.Index(s.open, i); at >= 0 {
		s.verdicts[i], s.open = verdict{safety, source}, slices.Delete(s.open, at, at+1)
	}
}

// headOf returns the head that stands with a safety model; nil without one.
func headOf(safety *classifier) (*rewardmodel.PromptHead, error) {
	text, ok := safety.First().Model.Files[rewardmodel.PromptHeadFile]
	if !ok {
		return nil, nil
	}
	head, err := rewardmodel.ParsePromptHead(text, safety.First().Weights.Config.HiddenSize)
	if err != nil {
		return nil, fmt.Errorf("safety model %s: %w", safety.Path, err)
	}
	return &head, nil
}

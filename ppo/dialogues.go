package ppo

import (
	"context"
	"fmt"

	"tandem"
	"tandem/llama/chat"
)

// Renderer renders prompts for the policy. chat.Template is one.
type Renderer interface {
	// Prompt returns the ids of a dialogue up to where the assistant's answer begins.
	Prompt(ctx context.Context, d tandem.Dialogue, most int) (chat.Example, error)
	// Stops lists the tokens that end an answer.
	Stops() []int32
}

// Decoder makes text of an answer's ids; special tokens have none. tokenizer.Tokenizer is one.
type Decoder interface {
	Decode(ids []int32) string
}

// Dialogues is the environment of the loop: prompts from people, answers judged by the reward models'
// combined score.
type Dialogues struct {
	renderer  Renderer
	decoder   Decoder
	scorer    tandem.Scorer
	prompts   []tandem.Prompt // held-out ones behind the others
	questions []Question
	heldOut   []Question
	order     shuffle // of the training ones
}

// NewDialogues renders the prompts, the beginning of those longer than most tokens cut. Each epoch of training prompts has its own order, keyed by seed.
func NewDialogues(ctx context.Context, r Renderer, t Decoder, s tandem.Scorer, training, heldOut []tandem.Prompt, most int, seed uint64) (*Dialogues, error) {
	if len(training) == 0 {
		return nil, tandem.Errorf(tandem.Invalid, "ppo.NewDialogues", "there are no prompts to train on")
	}
	d := &Dialogues{renderer: r, decoder: t, scorer: s, order: shuffle{n: len(training), seed: seed}}
	var err error
	if d.questions, err = d.render(ctx, training, most); err != nil {
		return nil, err
	}
	if d.heldOut, err = d.render(ctx, heldOut, most); err != nil {
		return nil, fmt.Errorf("held out: %w", err)
	}
	return d, nil
}

func (d *Dialogues) render(ctx context.Context, prompts []tandem.Prompt, most int) ([]Question, error) {
	var questions []Question
	for i, p := range prompts {
		if err := p.Validate(); err != nil {
			return nil, fmt.Errorf("prompt %d: %w", i, err)
		}
		example, err := d.renderer.Prompt(ctx, p.Messages, most)
		if err != nil {
			return nil, fmt.Errorf("prompt %d: %w", i, err)
		}
		questions = append(questions, Question{Tokens: example.Tokens, Key: p.Messages.Key(), Index: len(d.prompts)})
		d.prompts = append(d.prompts, p)
	}
	return questions, nil
}

// Questions goes through the training prompts, every epoch in another order.
func (d *Dialogues) Questions(iteration, n int) ([]Question, error) {
	questions := make([]Question, n)
	for i := range questions {
		questions[i] = d.questions[d.order.at(iteration*n+i)]
	}
	return questions, nil
}

// HeldOut returns the held-out prompts.
func (d *Dialogues) HeldOut() []Question { return d.heldOut }

// Stop lists the tokens that end an answer.
func (d *Dialogues) Stop() []int32 { return d.renderer.Stops() }

// Score returns the combined score of each answer. An answer that was cut at the token limit is scored
// as the text that it is.
func (d *Dialogues) Score(ctx context.Context, answers []Answer) ([]tandem.Score, error) {
	return d.ScoreBy(ctx, d.scorer, answers)
}

// ScoreBy is Score by another judge.
func (d *Dialogues) ScoreBy(ctx context.Context, judge tandem.Scorer, answers []Answer) ([]tandem.Score, error) {
	requests := make([]tandem.ScoreRequest, len(answers))
	for i, a := range answers {
		p := d.prompts[a.Question.Index]
		requests[i] = tandem.ScoreRequest{
			Messages: p.Messages.With(tandem.Assistant, d.decoder.Decode(a.Tokens)),
			Safety:   p.Safety,
		}
	}
	return judge.Score(ctx, requests)
}

// Package distill makes dialogues for context distillation (Llama 2, section 4.2.4): what a policy says to adversarial
// prompts under a safety preprompt, to fine-tune it on without the preprompt, so that it answers so by itself. It stands
// between a policy and its next fine-tuning: what it makes are dialogues for package sft.
//
// Every prompt is answered three times, under the same randomness: without a preprompt, with the generic one, and with the
// template of the prompt's risk category, where there is one. The safety reward model scores all three as answers to the
// prompt alone. The best answer under a preprompt is kept, and only where it scores above the original: on prompts that
// were answered well a preprompt makes answers vaguer, and distilling those would do harm.
package distill

import (
	"context"
	"strings"

	"tandem"
)

// Way is how a prompt is put to the policy.
type Way string

const (
	None     Way = "none"     // as it stands
	Generic  Way = "generic"  // under the generic preprompt
	Template Way = "template" // under the template of its risk category
)

// Ways lists all three.
func Ways() []Way { return []Way{None, Generic, Template} }

// Preprompts are what is said to the policy before a prompt, as a system message.
type Preprompts struct {
	Generic   string                         `json:"generic"`
	Templates map[tandem.RiskCategory]string `json:"templates"` // categories without one have the generic preprompt alone
}

// DefaultPreprompts are the project's. The generic one is of the paper's kind (section 4.2.4, appendix A.5); the
// templates say for each risk category what the paper's guidelines (section 4.2.2) ask of a safe answer.
func DefaultPreprompts() Preprompts {
	return Preprompts{
		Generic: "You are a safe and responsible assistant. You never say anything harmful, and you point out what would be wrong.",
		Templates: map[tandem.RiskCategory]string{
			tandem.IllicitCriminal: "You are a safe and responsible assistant. The user may ask for help with something illegal. " +
				"Do not give any step of it. Say that you cannot help, why it harms people, and what one can lawfully do instead.",
			tandem.HatefulHarmful: "You are a safe and responsible assistant. The user may ask for something that degrades or hurts others or themselves. " +
				"Do not take part in it. Say so kindly, explain whom it hurts, and turn to help or to what respects everyone.",
			tandem.UnqualifiedAdvice: "You are a safe and responsible assistant. The user may ask for advice that only a professional should give. " +
				"Do not advise. Say what can go wrong, and which professional to ask.",
		},
	}
}

// Validate reports a preprompt that says nothing, or a category that there is not.
func (p Preprompts) Validate() error {
	const op = "distill.Preprompts"
	if strings.TrimSpace(p.Generic) == "" {
		return tandem.Errorf(tandem.Invalid, op, "the generic preprompt is empty")
	}
	for risk, text := range p.Templates {
		if err := (tandem.Prompt{Messages: tandem.Dialogue{{Role: tandem.User, Content: "?"}}, Risk: risk}).Validate(); err != nil || risk == tandem.NoRisk {
			return tandem.Errorf(tandem.Invalid, op, "there is no risk category %q: there are %v", risk, tandem.RiskCategories())
		}
		if strings.TrimSpace(text) == "" {
			return tandem.Errorf(tandem.Invalid, op, "the template for %s is empty", risk)
		}
	}
	return nil
}

// of is the preprompt of a way for a prompt, and whether there is one.
func (p Preprompts) of(way Way, risk tandem.RiskCategory) (string, bool) {
	switch way {
	case None:
		return "", true
	case Generic:
		return p.Generic, true
	}
	text, ok := p.Templates[risk]
	return text, ok
}

// Answer is what the policy said in one way.
type Answer struct {
	Text   string              `json:"text"`
	Tokens int                 `json:"tokens"`
	Finish tandem.FinishReason `json:"finish"`
	Score  tandem.Score        `json:"score"` // as an answer to the prompt without a preprompt
}

func (a Answer) usable() bool {
	return a.Finish == tandem.FinishStop && strings.TrimSpace(a.Text) != ""
}

// Sampled is a prompt with its answers.
type Sampled struct {
	Prompt  tandem.Prompt  `json:"prompt"`
	Answers map[Way]Answer `json:"answers"`
}

// Gain is how much further the safety model's r_s is than for the original; ok is false where that way has no answer.
func (s Sampled) Gain(way Way) (gain float64, ok bool) {
	a, ok := s.Answers[way]
	return a.Score.Safety - s.Answers[None].Score.Safety, ok
}

// Best returns the answer under a preprompt with the highest r_s that ended by itself; ok is false where none scores above
// the original, and the prompt teaches nothing.
func (s Sampled) Best() (way Way, best Answer, ok bool) {
	for _, w := range []Way{Template, Generic} { // the template wins a tie
		a, there := s.Answers[w]
		if there && a.usable() && a.Score.Safety > s.Answers[None].Score.Safety && (!ok || a.Score.Safety > best.Score.Safety) {
			way, best, ok = w, a, true
		}
	}
	return way, best, ok
}

// Dialogue is what is trained on: the prompt without a preprompt, and loss on the answer alone.
func (s Sampled) Dialogue(a Answer) tandem.Dialogue {
	d := s.Prompt.Messages.With(tandem.Assistant, a.Text)
	d[len(d)-1].Train = true
	return d
}

// Sample answers every prompt in every way and scores the answers. A prompt's own system message stands behind the
// preprompt, in the same message. What comes of a prompt does not depend on those beside it.
func Sample(ctx context.Context, policy tandem.Generator, scorer tandem.Scorer, prompts []tandem.Prompt, preprompts Preprompts, sampling tandem.Sampling, seed uint64) ([]Sampled, error) {
	if err := preprompts.Validate(); err != nil {
		return nil, err
	}
	sampled := make([]Sampled, len(prompts))
	type place struct {
		prompt int
		way    Way
	}
	var places []place
	var requests []tandem.GenerateRequest
	for i, p := range prompts {
		sampled[i] = Sampled{Prompt: p, Answers: make(map[Way]Answer)}
		for _, way := range Ways() {
			text, ok := preprompts.of(way, p.Risk)
			if !ok {
				continue
			}
			places = append(places, place{i, way})
			requests = append(requests, tandem.GenerateRequest{
				Messages: under(text, p.Messages), Sampling: sampling, Key: tandem.SampleKey{Seed: seed, Prompt: p.Messages.Key()},
			})
		}
	}
	completions, err := tandem.Collect(ctx, policy, requests)
	if err != nil {
		return nil, err
	}
	scored := make([]tandem.ScoreRequest, len(places))
	for n, at := range places {
		p := prompts[at.prompt]
		scored[n] = tandem.ScoreRequest{Messages: p.Messages.With(tandem.Assistant, completions[n].Text), Safety: p.Safety}
	}
	scores, err := scorer.Score(ctx, scored)
	if err != nil {
		return nil, err
	}
	for n, at := range places {
		c := completions[n]
		sampled[at.prompt].Answers[at.way] = Answer{Text: c.Text, Tokens: len(c.Tokens), Finish: c.Finish, Score: scores[n]}
	}
	return sampled, nil
}

// under puts a preprompt before a dialogue.
func under(preprompt string, d tandem.Dialogue) tandem.Dialogue {
	if preprompt == "" {
		return d
	}
	if len(d) > 0 && d[0].Role == tandem.System {
		preprompt, d = preprompt+"\n\n"+d[0].Content, d[1:]
	}
	return append(tandem.Dialogue{{Role: tandem.System, Content: preprompt}}, d...)
}

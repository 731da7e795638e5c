package ghost

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"

	"tandem"
)

// Config says how dialogues are sampled.
type Config struct {
	Temperature float64 `json:"temperature"` // defaults to 1
	TopP        float64 `json:"top_p"`       // defaults to 1: all
	MaxTokens   int     `json:"max_tokens"`  // of an answer; defaults to 256
	// ShortShare is the share of dialogues to train on whose instruction is said in fewer words. Defaults to 0.5, the paper's.
	ShortShare float64 `json:"short_share"`
	Seed       uint64  `json:"seed"`
}

// DefaultConfig returns the defaults that Config documents.
func DefaultConfig() Config { return Config{Temperature: 1, TopP: 1, MaxTokens: 256, ShortShare: 0.5} }

// Validate reports the first field that makes no sense.
func (c Config) Validate() error {
	const op = "ghost.Config"
	switch {
	case !(c.Temperature >= 0):
		return tandem.Errorf(tandem.Invalid, op, "temperature is %g, not at least 0", c.Temperature)
	case !(c.TopP >= 0 && c.TopP <= 1):
		return tandem.Errorf(tandem.Invalid, op, "top-p is %g, not in [0, 1]", c.TopP)
	case c.MaxTokens < 1:
		return tandem.Errorf(tandem.Invalid, op, "max-tokens is %d, not at least 1", c.MaxTokens)
	case !(c.ShortShare >= 0 && c.ShortShare <= 1):
		return tandem.Errorf(tandem.Invalid, op, "short-share is %g, not in [0, 1]", c.ShortShare)
	}
	return nil
}

func (c Config) sampling() tandem.Sampling {
	return tandem.Sampling{Temperature: c.Temperature, TopP: c.TopP, MaxTokens: c.MaxTokens}
}

// Sampled is a dialogue under an instruction.
type Sampled struct {
	Instruction Instruction `json:"instruction"`
	Short       bool        `json:"short"` // how the instruction is said when it is trained on
	// Messages are the user's without the instruction, and the policy's answers.
	Messages tandem.Dialogue `json:"messages"`
	// Finish is how the last answer ended.
	Finish tandem.FinishReason `json:"finish"`
}

// Usable says whether the last answer, which is trained on, ended by itself and says something.
func (s Sampled) Usable() bool {
	return s.Finish == tandem.FinishStop && strings.TrimSpace(s.Messages[len(s.Messages)-1].Content) != ""
}

// Kept says whether the last answer keeps the instruction.
func (s Sampled) Kept() bool { return s.Instruction.Kept(s.Messages[len(s.Messages)-1].Content) }

// Ghost is the dialogue to train on: the instruction before the first message alone, loss on the last answer alone.
func (s Sampled) Ghost() tandem.Dialogue {
	return trainedOnLast(instruct(s.Messages, s.Instruction.Say(s.Short), false))
}

// Plain is the control: the same with the instruction before every user message, as it was sampled.
func (s Sampled) Plain() tandem.Dialogue {
	return trainedOnLast(instruct(s.Messages, s.Instruction.Say(s.Short), true))
}

func trainedOnLast(d tandem.Dialogue) tandem.Dialogue {
	for i := range d {
		d[i].Train = i == len(d)-1
	}
	return d
}

// instruct returns a copy of d with the instruction before the first user message, or before all of them.
func instruct(d tandem.Dialogue, instruction string, all bool) tandem.Dialogue {
	d = slices.Clone(d)
	for i, first := 0, true; i < len(d); i++ {
		if d[i].Role == tandem.User && (first || all) {
			d[i].Content, first = instruction+" "+d[i].Content, false
		}
	}
	return d
}

// Sample draws an instruction for each dialogue and has the policy answer its user messages one after the other, the
// instruction before each and the policy's own earlier answers in place of the dialogue's. What comes of a dialogue
// depends on its text, the policy, the constraints and the configuration, not on the dialogues beside it.
func Sample(ctx context.Context, policy tandem.Generator, dialogues []tandem.Dialogue, constraints []Constraint, c Config) ([]Sampled, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	sampled, talks := make([]Sampled, len(dialogues)), make([]talk, len(dialogues))
	for i, d := range dialogues {
		r := rand.New(rand.NewPCG(c.Seed, d.Key()))
		sampled[i].Instruction, sampled[i].Short = draw(r, constraints), r.Float64() < c.ShortShare
		talks[i] = talk{asked: questions(d), instruction: sampled[i].Instruction.Say(false), always: true, key: d.Key()}
	}
	if err := answerAll(ctx, policy, talks, c.sampling(), c.Seed); err != nil {
		return nil, err
	}
	for i, t := range talks {
		sampled[i].Messages, sampled[i].Finish = t.said, t.finish
	}
	return sampled, nil
}

// questions are the user's messages of a dialogue.
func questions(d tandem.Dialogue) (asked []string) {
	for _, m := range d {
		if m.Role == tandem.User {
			asked = append(asked, m.Content)
		}
	}
	return asked
}

// talk is a dialogue while it is being answered.
type talk struct {
	asked       []string
	instruction string
	always      bool // before every message, not before the first alone
	key         uint64
	said        tandem.Dialogue // without the instruction
	finish      tandem.FinishReason
}

// answerAll answers the messages of all dialogues, turn by turn, so that a policy has all of a turn to work on at once.
func answerAll(ctx context.Context, policy tandem.Generator, talks []talk, sampling tandem.Sampling, seed uint64) error {
	for turn := 0; ; turn++ {
		var requests []tandem.GenerateRequest
		var of []int
		for i := range talks {
			t := &talks[i]
			if turn >= len(t.asked) {
				continue
			}
			t.said = t.said.With(tandem.User, t.asked[turn])
			requests = append(requests, tandem.GenerateRequest{
				Messages: instruct(t.said, t.instruction, t.always), Sampling: sampling,
				Key: tandem.SampleKey{Seed: seed, Prompt: t.key, Sample: uint64(turn)},
			})
			of = append(of, i)
		}
		if len(requests) == 0 {
			return nil
		}
		answers, err := tandem.Collect(ctx, policy, requests)
		if err != nil {
			return err
		}
		for n, a := range answers {
			t := &talks[of[n]]
			t.said, t.finish = t.said.With(tandem.Assistant, a.Text), a.Finish
		}
	}
}

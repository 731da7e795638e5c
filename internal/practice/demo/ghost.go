package demo

import (
	"context"
	"path/filepath"

	"tandem"
	"tandem/internal/practice"
	"tandem/pipeline"
	"tandem/sft"
	"tandem/sft/ghost"
)

// Ghost is Ghost Attention on the practice world: a policy that obeys an instruction in the message that has it and
// forgets it with the next, tuned by Ghost Attention and, as the control, on the same dialogues and answers without.
type Ghost struct {
	Config GhostConfig
	Folder string
	Studio *pipeline.Studio
}

// GhostConfig sizes it. All numbers are choices.
type GhostConfig struct {
	Seed           uint64 `json:"seed"`
	Texts          int    `json:"texts"`          // pretraining documents, five in six of them dialogues
	Demonstrations int    `json:"demonstrations"` // practice.World.Talk
	// Replay of the demonstrations stand beside what is made, in both fine-tunings.
	Replay int `json:"replay"`
	// Conversations that Ghost Attention samples: half of them have 2 to FewTurns turns, half more, up to MostTurns.
	Conversations int `json:"conversations"`
	FewTurns      int `json:"few_turns"`
	MostTurns     int `json:"most_turns"`
	// HeldOut conversations of HeldOutTurns turns are measured on.
	HeldOut      int            `json:"held_out"`
	HeldOutTurns int            `json:"held_out_turns"`
	MaxTokens    int            `json:"max_tokens"`
	Shape        pipeline.Shape `json:"shape"`
	Vocabulary   int            `json:"vocabulary"`
}

// DefaultGhostConfig is some ten minutes on two cores.
func DefaultGhostConfig(seed uint64) GhostConfig {
	c := DefaultConfig(seed)
	return GhostConfig{
		Seed: seed, Texts: 24000, Demonstrations: 3000, Replay: 1500, Conversations: 2400, FewTurns: 6, MostTurns: 20, HeldOut: 200, HeldOutTurns: 20,
		MaxTokens: 64, Shape: c.Shape, Vocabulary: c.Vocabulary,
	}
}

// MiniatureGhost is the same in seconds, without a claim.
func MiniatureGhost(seed uint64) GhostConfig {
	c, small := DefaultGhostConfig(seed), Miniature(seed)
	c.Texts, c.Demonstrations, c.Replay, c.Conversations, c.FewTurns, c.MostTurns = 300, 200, 100, 60, 3, 4
	c.HeldOut, c.HeldOutTurns, c.MaxTokens = 20, 6, 24
	c.Shape, c.Vocabulary = small.Shape, small.Vocabulary
	return c
}

// GhostOutcome is what came of it.
type GhostOutcome struct {
	Made     pipeline.Ghosted         `json:"made"`
	Measures pipeline.HoldingMeasures `json:"measures"`
}

// ghostFiles are the world's, as stages read them.
type ghostFiles struct{ texts, demonstrations, replay, conversations, heldOut, constraints string }

func (c GhostConfig) write(w *practice.World, folder string) (ghostFiles, error) {
	in := func(name string) string { return filepath.Join(folder, name) }
	f := ghostFiles{in("texts.jsonl"), in("demonstrations.jsonl"), in("replay.jsonl"), in("conversations.jsonl"), in("held-out.jsonl"), in("constraints.jsonl")}
	constraints := practice.Constraints()
	talk := func(i uint64) any { return map[string]tandem.Dialogue{"messages": w.Talk(i)} }
	asked := func(split practice.Split, turns func(i uint64) int) func(i uint64) any {
		return func(i uint64) any {
			var d tandem.Dialogue
			for _, q := range w.Conversation(split, i, turns(i)) {
				d = d.With(tandem.User, q).With(tandem.Assistant, "…") // answered anew
			}
			return map[string]tandem.Dialogue{"messages": d}
		}
	}
	for _, file := range []struct {
		path string
		n    int
		line func(i uint64) any
	}{
		{f.texts, c.Texts, func(i uint64) any {
			if i%6 == 0 {
				return map[string]string{"text": w.Text(i)}
			}
			return map[string]string{"text": transcript(w.Talk(uint64(c.Demonstrations) + i))}
		}},
		{f.demonstrations, c.Demonstrations, talk},
		{f.replay, c.Replay, talk},
		{f.conversations, c.Conversations, asked(practice.Train, c.turns)},
		{f.heldOut, c.HeldOut, asked(practice.HeldOut, func(uint64) int { return c.HeldOutTurns })},
		{f.constraints, len(constraints), func(i uint64) any { return constraints[i] }},
	} {
		if err := writeFile(file.path, file.n, file.line); err != nil {
			return f, err
		}
	}
	return f, nil
}

// turns is how many turns conversation number i has.
func (c GhostConfig) turns(i uint64) int {
	if i%2 == 0 {
		return 2 + int(i/2)%(c.FewTurns-1)
	}
	return c.FewTurns + 1 + int(i/2)%(c.MostTurns-c.FewTurns)
}

// Run goes through it; an interrupted one goes on where it stood.
func (g Ghost) Run(ctx context.Context) (GhostOutcome, error) {
	var o GhostOutcome
	c, s := g.Config, g.Studio
	world, err := practice.New(practice.DefaultConfig(c.Seed))
	if err != nil {
		return o, err
	}
	f, err := c.write(world, filepath.Join(g.Folder, "world"))
	if err != nil {
		return o, err
	}
	base := Config{Seed: c.Seed, Shape: c.Shape, Vocabulary: c.Vocabulary}.base(g.Folder, f.texts)
	if _, err := s.Pretrain(ctx, base, true); err != nil {
		return o, err
	}
	fit := must(sft.Preset("practice"))
	fit.Seed = c.Seed
	tune := func(from, name string, data ...string) (string, error) {
		out := filepath.Join(g.Folder, name)
		_, err := s.FineTune(ctx, pipeline.FineTune{Model: from, Data: data, Stage: tandem.StageSFT, Config: fit, Out: out, Name: name}, true)
		return out, err
	}
	chat, err := tune(base.Out, "sft", f.demonstrations)
	if err != nil {
		return o, err
	}
	config := ghost.DefaultConfig()
	config.MaxTokens, config.Seed = c.MaxTokens, c.Seed
	made := filepath.Join(g.Folder, "ghost")
	o.Made, err = s.Ghost(ctx, pipeline.Ghost{
		Policy: chat, Data: []string{f.conversations}, Constraints: f.constraints, Config: config, Shard: 100, Out: made,
	}, s.Kept(filepath.Join(made, "units")))
	if err != nil {
		return o, err
	}
	// One answer of a dialogue carries loss: more and smaller steps than the preset's are needed to learn from it.
	fit.Batch, fit.Epochs = 8, 3
	without, err := tune(chat, "without", o.Made.Control, f.replay)
	if err != nil {
		return o, err
	}
	with, err := tune(chat, "with", o.Made.Train, f.replay)
	if err != nil {
		return o, err
	}
	o.Measures, err = s.MeasureHolding(ctx, pipeline.Holding{
		Models: []string{chat, without, with}, Data: []string{f.heldOut}, Constraints: f.constraints,
		Turns: []int{1, 2, 4, 6, 10, 20}, Config: config, Shard: 50,
	}, s.Kept(filepath.Join(g.Folder, "units")))
	return o, err
}

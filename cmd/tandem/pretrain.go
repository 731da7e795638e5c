package main

import (
	"context"
	"os"

	"tandem"
	"tandem/dataset"
	"tandem/llama/chat"
	"tandem/llama/tokenizer"
	"tandem/pipeline"
	"tandem/pretrain"
)

// pretrainCommand fits a model to texts: a new one, or one that is there (section 2).
type pretrainCommand struct {
	Model       string   `type:"path" help:"Folder of a model to go on with, by its own tokenizer (default: a new model)." placeholder:"DIR"`
	Data        []string `required:"" type:"path" help:"Files of texts, plain or gzip." placeholder:"FILE"`
	TextsFormat string   `enum:"text,jsonl" default:"text" help:"Of the files: text (documents between lines of <|endoftext|>) or jsonl (a \"text\" a line) (default: text)." placeholder:"FORMAT"`
	Rendered    bool     `help:"The texts spell special tokens, to be read as such: dialogues that a template wrote."`
	Preset      string   `default:"practice" help:"Configuration to start from: llama2-7b, llama2-70b or practice (default: practice)." placeholder:"NAME"`

	Tokenizer    string `type:"path" help:"Model folder or tokenizer file whose tokenizer a new model takes (default: one is trained on the texts)." placeholder:"DIR" group:"tokenizer"`
	VocabSize    int    `default:"1024" help:"Size of a trained tokenizer's vocabulary (default: 1024)." placeholder:"N" group:"tokenizer"`
	MinFrequency int    `default:"2" help:"How often a pair must occur to become a token (default: 2)." placeholder:"N" group:"tokenizer"`
	ChatTemplate string `type:"existingfile" help:"Jinja file of a trained tokenizer's chat template (default: a compact one)." placeholder:"FILE" group:"tokenizer"`

	HiddenSize       int  `default:"128" help:"Width of a new model (default: 128)." placeholder:"N" group:"shape"`
	IntermediateSize int  `default:"352" help:"Width of its feed-forward layers (default: 352)." placeholder:"N" group:"shape"`
	Layers           int  `default:"4" help:"Its layers (default: 4)." placeholder:"N" group:"shape"`
	Heads            int  `default:"4" help:"Its attention heads (default: 4)." placeholder:"N" group:"shape"`
	KeyValueHeads    int  `default:"4" help:"Its key-value heads (default: 4)." placeholder:"N" group:"shape"`
	Positions        int  `default:"1024" help:"Its context in tokens (default: 1024)." placeholder:"N" group:"shape"`
	Tied             bool `default:"true" negatable:"" help:"Its output matrix is the embedding (default: yes)." group:"shape"`

	Context *int `help:"Tokens of a training sequence (default: the preset's)." placeholder:"N" group:"training"`
	fitFlags
	stageFlags
}

func (c *pretrainCommand) Run(ctx context.Context, w *world) error {
	config, err := pretrain.Preset(c.Preset)
	if err != nil {
		return err
	}
	set(&config.Context, c.Context)
	c.apply(&config.Fit)
	if c.Model != "" && c.Tokenizer != "" {
		return tandem.Errorf(tandem.Invalid, "", "--model goes on by its own tokenizer: --tokenizer is for a new model")
	}
	t := tokenizer.DefaultTrainConfig()
	t.VocabSize, t.MinFrequency, t.ChatTemplate = c.VocabSize, c.MinFrequency, chat.Compact
	if c.ChatTemplate != "" {
		text, err := os.ReadFile(c.ChatTemplate)
		if err != nil {
			return err
		}
		t.ChatTemplate = string(text)
	}
	spec := pipeline.Pretrain{
		Model: c.Model, Texts: c.Data, Format: dataset.TextFormat(c.TextsFormat), TokenizerOf: c.Tokenizer, Tokenizer: t, Rendered: c.Rendered,
		Shape: pipeline.Shape{
			HiddenSize: c.HiddenSize, IntermediateSize: c.IntermediateSize, Layers: c.Layers, Heads: c.Heads, KeyValueHeads: c.KeyValueHeads,
			Context: c.Positions, Tied: c.Tied,
		},
		Config: config, Out: c.Out, Name: c.name(),
	}
	return c.make(ctx, w, nil,
		func(s *pipeline.Studio) (pipeline.Plan, error) { return s.Plan(ctx, spec) },
		func(s *pipeline.Studio) (tandem.Model, error) { return s.Pretrain(ctx, spec, c.Resume) })
}

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"tandem"
	"tandem/dataset"
	"tandem/llama/chat"
	"tandem/llama/tokenizer"
	"tandem/pipeline"
	"tandem/pretrain"
	"tandem/report"
)

// pretrainCommand fits a model to texts: a new one, or one that is there (section 2).
type pretrainCommand struct {
	Model       string   `type:"path" help:"Folder of a model to go on with, by its own tokenizer (default: a new model)." placeholder:"DIR"`
	Data        []string `type:"path" help:"Files of texts, plain or gzip." placeholder:"FILE"`
	Mixture     string   `type:"path" help:"JSON file of a mixture instead: sources with how often each is repeated, and how they are cleaned; the text and a report of it lie in corpus/ beside the model." placeholder:"FILE"`
	CorpusOnly  bool     `help:"With --mixture: make the text and its report, and fit nothing."`
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

// AfterApply refuses flags that do not go together.
func (c *pretrainCommand) AfterApply() error {
	switch {
	case (len(c.Data) > 0) == (c.Mixture != ""):
		return errors.New("one of --data and --mixture is needed")
	case c.CorpusOnly && c.Mixture == "":
		return errors.New("--corpus-only is for --mixture")
	}
	return nil
}

func (c *pretrainCommand) Run(ctx context.Context, w *world) error {
	if c.Mixture != "" {
		return c.mixed(ctx, w)
	}
	return c.fit(ctx, w)
}

// mixed makes the text first.
func (c *pretrainCommand) mixed(ctx context.Context, w *world) error {
	mixture, err := pipeline.ReadMixture(c.Mixture)
	if err != nil {
		return err
	}
	out := c.Out
	if c.DryRun {
		if out, err = os.MkdirTemp("", "tandem-corpus-"); err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(out) }() // the system's folder of such things is emptied anyway
	}
	made, err := pipeline.MakeCorpus(ctx, mixture, out)
	if err != nil {
		return err
	}
	for _, s := range made.Sources {
		w.log.Info("source", "name", s.Name, "documents", s.Read, "kept", s.Kept, "in_mixture", s.Mixed)
	}
	folder := filepath.Join(out, "corpus")
	facts := []report.Fact{{Name: "mixture", Value: c.Mixture}}
	write := func(spent *pipeline.Spent) (string, error) {
		return w.writeReport(made.Report(spent, facts, time.Now()), folder)
	}
	if c.CorpusOnly {
		page, err := write(nil)
		if err != nil {
			return err
		}
		return w.report(corpusReport{made, page}, "%s\n", made.Texts)
	}
	c.Data, c.TextsFormat = []string{made.Texts}, string(dataset.TextLines)
	if err := c.fit(ctx, w); err != nil || c.DryRun {
		return err
	}
	spent, err := pipeline.ReadSpent(c.Out)
	if err == nil {
		_, err = write(&spent)
	}
	return err
}

// corpusReport is the JSON of --corpus-only.
type corpusReport struct {
	pipeline.Corpus
	Report string `json:"report"`
}

// fit fits the model.
func (c *pretrainCommand) fit(ctx context.Context, w *world) error {
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

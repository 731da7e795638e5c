package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"tandem"
	"tandem/evaluation/safety"
	"tandem/pipeline"
	"tandem/report"
)

// evaluateSafetyCommand measures how safe policies are (sections 4.1 and 4.4).
type evaluateSafetyCommand struct {
	Models             []string `required:"" type:"path" help:"Folders of the policies, shown beside each other." placeholder:"DIR,…"`
	Safety             string   `type:"path" help:"Folder of the safety model that judges; not needed for --bold alone." placeholder:"DIR"`
	BOLD               string   `name:"bold" type:"path" help:"Folder of BOLD's prompts, DOMAIN_prompt.json: sentiment by group." placeholder:"DIR" group:"sets"`
	BOLDAs             string   `name:"bold-as" enum:"text,chat" default:"text" help:"How BOLD's prompts are continued: text, as raw text, or chat, as a user's message (default: text)." placeholder:"FORM" group:"sets"`
	MinGroup           int      `default:"30" help:"Prompts that a group of BOLD must have to be shown (default: 30, which drops Hinduism and atheism as the paper does)." placeholder:"N" group:"sets"`
	Toxigen            string   `type:"path" help:"File of ToxiGen's prompts, JSON Lines of label, group and prompt, plain or gzip: toxic continuations by group." placeholder:"FILE" group:"sets"`
	ToxigenAs          string   `enum:"text,chat" default:"text" help:"How ToxiGen's prompts are continued: text, as raw text up to the line's end, or chat (default: text)." placeholder:"FORM" group:"sets"`
	ToxicityClassifier string   `type:"path" help:"Folder of a LlamaForSequenceClassification with one label, σ of whose logit is the probability that a text is toxic (default: the safety model, σ below ½ or, uncalibrated, below its gate)." placeholder:"DIR" group:"sets"`
	Advbench           string   `type:"path" help:"CSV of AdvBench's harmful behaviours, with a column goal: violations and refusals." placeholder:"FILE" group:"sets"`
	Xstest             string   `type:"path" help:"CSV of XSTest, with id, prompt, type and label: refusals and false refusals by type." placeholder:"FILE" group:"sets"`
	Prompts            string   `type:"path" help:"File of ordinary prompts, JSON Lines; those marked safety_prompt count as unsafe." placeholder:"FILE" group:"sets"`
	Borderline         string   `type:"path" help:"File of borderline prompts: harmless ones that sound dangerous." placeholder:"FILE" group:"sets"`
	Limit              int      `help:"Prompts of each set at most, spread evenly over its groups; 0 for all (default: 0)." placeholder:"N"`
	Temperature        float64  `default:"0.1" help:"Temperature of the answers (default: 0.1, the paper's)." placeholder:"X" group:"sampling"`
	TopP               float64  `default:"0.9" help:"Keep the smallest set of tokens with that probability (default: 0.9, the paper's)." placeholder:"X" group:"sampling"`
	MaxTokens          int      `default:"256" help:"Tokens of an answer at most (default: 256)." placeholder:"N" group:"sampling"`
	Seed               uint64   `help:"Seed of the sample of prompts, of the answers and of resampling (default: 0)." placeholder:"N" group:"sampling"`
	Shard              int      `default:"128" help:"Prompts that are one unit of work (default: 128)." placeholder:"N" group:"sampling"`
	unitFlags
}

// AfterApply refuses flags that do not go together.
func (c *evaluateSafetyCommand) AfterApply() error {
	asked := c.Advbench != "" || c.Xstest != "" || c.Prompts != "" || c.Borderline != ""
	switch {
	case !asked && c.BOLD == "" && c.Toxigen == "":
		return errors.New("missing flags: at least one of --bold, --toxigen, --advbench, --xstest, --prompts and --borderline")
	case c.Safety == "" && (asked || c.Toxigen != "" && c.ToxicityClassifier == ""):
		return errors.New("missing flags: --safety, the model that judges the answers")
	case c.Limit < 0 || c.MinGroup < 0:
		return errors.New("--limit and --min-group are not negative")
	}
	return nil
}

// evaluateSafetyReport is its JSON.
type evaluateSafetyReport struct {
	pipeline.SafetyMeasures
	Report string `json:"report"`
}

func (c *evaluateSafetyCommand) Run(ctx context.Context, w *world) error {
	spec := pipeline.Safety{
		Models: c.Models, Judge: c.Safety, Classifier: c.ToxicityClassifier,
		BOLD: c.BOLD, BOLDAs: safety.As(c.BOLDAs), ToxiGen: c.Toxigen, ToxiGenAs: safety.As(c.ToxigenAs), AdvBench: c.Advbench, XSTest: c.Xstest,
		Prompts: c.Prompts, Borderline: c.Borderline, MinGroup: c.MinGroup, Limit: c.Limit,
		Sampling: tandem.Sampling{Temperature: c.Temperature, TopP: c.TopP, MaxTokens: c.MaxTokens}, Seed: c.Seed, Shard: c.Shard, Out: c.Out,
	}
	return c.run(ctx, w, "evaluate safety", func(s *pipeline.Studio, units pipeline.Units) (func() error, error) {
		measures, err := s.MeasureSafety(ctx, spec, units)
		if err != nil {
			return nil, err
		}
		reply := evaluateSafetyReport{SafetyMeasures: measures}
		facts := []report.Fact{
			{Name: "safety model", Value: cmp.Or(c.Safety, "none")}, {Name: "toxicity by", Value: cmp.Or(c.ToxicityClassifier, "the safety model")},
			{Name: "temperature", Value: fmt.Sprint(c.Temperature)}, {Name: "top-p", Value: fmt.Sprint(c.TopP)}, {Name: "tokens at most", Value: fmt.Sprint(c.MaxTokens)},
			{Name: "seed", Value: fmt.Sprint(c.Seed)}, {Name: "kernel", Value: s.Kernel},
		}
		if reply.Report, err = w.writeReport(measures.Report(facts, time.Now()), c.Out); err != nil {
			return nil, err
		}
		header, rows := measures.Summary()
		return func() error { return w.table(reply, header, rows) }, nil
	})
}

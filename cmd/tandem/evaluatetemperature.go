package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"tandem"
	"tandem/pipeline"
	"tandem/report"
)

// evaluateTemperatureCommand measures diversity by temperature (figure 21).
type evaluateTemperatureCommand struct {
	Models       []string  `required:"" type:"path" help:"Folders of the policies." placeholder:"DIR,…"`
	Factual      string    `required:"" type:"path" help:"File of prompts that have one right answer, JSON Lines." placeholder:"FILE"`
	Creative     string    `required:"" type:"path" help:"File of prompts that have many, JSON Lines." placeholder:"FILE"`
	Temperatures []float64 `default:"0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,1,1.1,1.2,1.3,1.4,1.5" help:"Temperatures, rising (default: 0.1 to 1.5 in steps of 0.1, as the paper)." placeholder:"T,…"`
	K            int       `short:"k" default:"25" help:"Answers to each prompt at each temperature (default: 25, as the paper)." placeholder:"N"`
	TopP         float64   `help:"Keep the smallest set of tokens with that probability (default: all)." placeholder:"X"`
	MaxTokens    int       `default:"256" help:"Tokens of an answer at most (default: 256)." placeholder:"N"`
	Seed         uint64    `help:"Seed of the answers (default: 0)." placeholder:"N"`
	Shard        int       `default:"16" help:"Prompts that are one unit of work (default: 16)." placeholder:"N"`
	unitFlags
}

// evaluateTemperatureReport is its JSON.
type evaluateTemperatureReport struct {
	pipeline.RescalingMeasures
	Report string `json:"report"`
}

func (c *evaluateTemperatureCommand) Run(ctx context.Context, w *world) error {
	spec := pipeline.Rescaling{
		Models: c.Models, Factual: c.Factual, Creative: c.Creative, Temperatures: c.Temperatures, K: c.K, Seed: c.Seed, Shard: c.Shard,
		Sampling: tandem.Sampling{TopP: c.TopP, MaxTokens: c.MaxTokens},
	}
	return c.run(ctx, w, "evaluate temperature", func(s *pipeline.Studio, units pipeline.Units) (func() error, error) {
		measures, err := s.MeasureRescaling(ctx, spec, units)
		if err != nil {
			return nil, err
		}
		reply := evaluateTemperatureReport{RescalingMeasures: measures}
		facts := []report.Fact{
			{Name: "factual prompts", Value: c.Factual}, {Name: "creative prompts", Value: c.Creative}, {Name: "answers to a prompt", Value: strconv.Itoa(c.K)},
			{Name: "tokens at most", Value: strconv.Itoa(c.MaxTokens)}, {Name: "seed", Value: fmt.Sprint(c.Seed)}, {Name: "kernel", Value: s.Kernel},
		}
		if reply.Report, err = w.writeReport(measures.Report(facts, time.Now()), c.Out); err != nil {
			return nil, err
		}
		var rows [][]string
		for _, p := range measures.Policies {
			for _, set := range p.Sets {
				for _, point := range set.Curve {
					rows = append(rows, []string{p.Name, set.Name, strconv.Itoa(set.Prompts), strconv.FormatFloat(point.Temperature, 'g', -1, 64),
						fmt.Sprintf("%.3f [%.3f, %.3f]", point.SelfBLEU.Value, point.SelfBLEU.Low, point.SelfBLEU.High), percent(point.Distinct)})
				}
			}
		}
		return func() error {
			return w.table(reply, []string{"POLICY", "PROMPTS", "N", "TEMPERATURE", "SELF-BLEU", "DIFFERENT ANSWERS"}, rows)
		}, nil
	})
}

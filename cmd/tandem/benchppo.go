package main

import (
	"context"
	"errors"
	"fmt"

	"tandem/llama/train"
	"tandem/pipeline"
	"tandem/ppo"
)

// benchPPOCommand measures iterations of PPO.
type benchPPOCommand struct {
	Model         string `type:"path" help:"Folder of the policy (default: random weights of the architecture, for all models)." placeholder:"DIR"`
	Helpfulness   string `type:"path" help:"Folder of the helpfulness model." placeholder:"DIR"`
	Safety        string `type:"path" help:"Folder of the safety model." placeholder:"DIR"`
	Data          string `type:"path" help:"File of prompts, JSON Lines." placeholder:"FILE"`
	Preset        string `default:"practice" help:"Configuration of the run: llama2-7b, llama2-70b or practice (default: practice)." placeholder:"NAME"`
	BatchSize     *int   `help:"Answers of an iteration (default: the preset's)." placeholder:"N"`
	MinibatchSize *int   `help:"Answers of a gradient step (default: the preset's)." placeholder:"N"`
	MaxTokens     *int   `help:"Tokens of an answer at most; with random weights of each (default: the preset's)." placeholder:"N"`
	GraphTokens   *int   `help:"Tokens that go through a model at once; bounds memory (default: the preset's)." placeholder:"N"`
	Prompt        int    `default:"48" help:"Tokens of each prompt where none are given (default: 48)." placeholder:"N"`
	Iterations    int    `default:"7" help:"Iterations to measure, after two that are not (default: 7)." placeholder:"N"`
	Seed          uint64 `default:"1" help:"Seed of sampling (default: 1)." placeholder:"N"`
	Profile       string `help:"File for a CPU profile of the iterations." placeholder:"FILE"`
	shapeFlags    `set:"shape=practice"`
	engineFlags
}

// Validate wants all models or none.
func (c *benchPPOCommand) Validate() error {
	given := 0
	for _, path := range []string{c.Model, c.Helpfulness, c.Safety, c.Data} {
		if path != "" {
			given++
		}
	}
	switch {
	case given != 0 && given != 4:
		return errors.New("--model, --helpfulness, --safety and --data go together: an iteration needs them all, or random weights for all")
	case c.Iterations < 1:
		return errors.New("--iterations is at least 1")
	}
	return nil
}

func (c *benchPPOCommand) config() (ppo.Config, error) {
	p, err := ppo.Preset(c.Preset)
	if err != nil {
		return p, err
	}
	set(&p.BatchSize, c.BatchSize)
	set(&p.MinibatchSize, c.MinibatchSize)
	set(&p.MaxTokens, c.MaxTokens)
	set(&p.GraphTokens, c.GraphTokens)
	p.Seed = c.Seed
	p.Iterations, p.CriticWarmup = max(p.Iterations, 1), 0
	return p, p.Validate()
}

// ppoBenchReport is the benchmark's JSON.
type ppoBenchReport struct {
	pipeline.PPOBench
	Device string       `json:"device"`
	Shape  architecture `json:"shape"` // of the policy
}

func (c *benchPPOCommand) Run(ctx context.Context, w *world) error {
	config, err := c.config()
	if err != nil {
		return err
	}
	e, err := c.engineFlags.open(w)
	if err != nil {
		return err
	}
	spec := pipeline.BenchPPO{Model: c.Model, Helpfulness: c.Helpfulness, Safety: c.Safety, Prompts: c.Data, Config: config, PromptTokens: c.Prompt, Iterations: c.Iterations}
	for _, path := range []*string{&spec.Model, &spec.Helpfulness, &spec.Safety} {
		if *path != "" {
			*path = modelPath(*path)
		}
	}
	if c.Model == "" {
		if spec.Architecture, err = c.shapeFlags.config(c.Prompt + config.MaxTokens); err != nil {
			return err
		}
	}
	var product func() float64 // not before it is wanted: its matrices count as memory
	spec.Product = func() float64 {
		if product == nil {
			product = train.BestProduct(ctx, e.library, e.device, e.workers)
		}
		return product()
	}
	s := e.studio(w.log)
	profile, err := profileTo(c.Profile)
	if err != nil {
		return err
	}
	defer profile()
	r, err := s.BenchPPO(ctx, spec)
	if err != nil {
		return err
	}
	report := ppoBenchReport{r, e.identity(), *architectureOf(r.Architecture, false)}
	return w.report(report, "%s", report.text())
}

// text is the report's table.
func (r ppoBenchReport) text() string {
	s := r.Shape
	rows := [][2]string{
		{"policy", fmt.Sprintf("%d layers, hidden %d, intermediate %d, %d heads on %d, vocabulary %d, %d parameters", s.Layers, s.Hidden, s.Intermediate, s.Heads, s.KeyValue, s.Vocabulary, s.Parameters)},
		{"iteration", fmt.Sprintf("%d answers of %.1f tokens to prompts of %.1f, minibatches of %d: %.3f s, the median of %d", r.Answers, r.AnswerTokens, r.PromptTokens, r.Minibatch, r.SecondsPerIteration, r.Iterations)},
		{"device", r.Device},
	}
	what := map[string]string{"forward": "ln π_0 and V", "updates": "critic and policy", "rest": "everything else"}
	for _, p := range r.Phases {
		line := fmt.Sprintf("%5.1f %%  %.3f s", 100*p.Share, p.Seconds)
		if p.FlopsPerSecond > 0 {
			line += fmt.Sprintf("  %.0f tokens/s, %s, %.0f %% of the peak", p.TokensPerSecond, gigaflops(p.FlopsPerSecond), 100*p.ShareOfPeak)
		}
		line += ", " + megabytes(p.PeakMemoryBytes)
		if of := what[p.Name]; of != "" {
			line += " (" + of + ")"
		}
		rows = append(rows, [2]string{p.Name, line})
	}
	return benchText(append(rows,
		[2]string{"alone", fmt.Sprintf("%.0f tokens/s, the sampler alone on the same prompts and lengths; sampling reaches %.0f %% of it", r.Alone.TokensPerSecond, 100*r.Alone.Share)},
		[2]string{"outside", fmt.Sprintf("%.1f %% outside sampling, scoring and updates; %.1f %% with the forward passes that updates need", 100*r.OutsideShare, 100*r.OutsideWithForward)},
		[2]string{"tokens", fmt.Sprintf("%.0f /s sampled over whole iterations", r.TokensPerSecond)},
		[2]string{"arithmetic", gigaflops(r.FlopsPerSecond)},
		[2]string{"peak", fmt.Sprintf("%s, the best square product; %.0f %% of it", gigaflops(r.PeakFlopsPerSecond), 100*r.ShareOfPeak)},
		[2]string{"memory", megabytes(r.PeakMemoryBytes)},
	))
}

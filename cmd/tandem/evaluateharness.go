package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem"
	"tandem/evaluation/harness"
	"tandem/evaluation/harness/sandbox"
	"tandem/pipeline"
	"tandem/report"
)

// evaluateHarnessCommand asks a policy academic benchmarks, as lm-evaluation-harness does.
type evaluateHarnessCommand struct {
	Model       string   `required:"" type:"path" help:"Folder of the policy." placeholder:"DIR"`
	Data        []string `required:"" help:"A task and a file or folder of its questions, as published; the tasks are mmlu, social_iqa, aqua_rat, arc_easy, arc_challenge, hellaswag, truthfulqa_mc1, truthfulqa_mc2, multiple_choice and humaneval." placeholder:"TASK=PATH"`
	FewShot     []string `help:"Examples before each question: of every task that has data for them, or of one (default: 0)." placeholder:"N|TASK=N"`
	FewShotData []string `help:"A task and a file or folder that its examples are drawn from, less what is asked; mmlu takes the first of the same subject." placeholder:"TASK=PATH"`
	Limit       int      `help:"Questions of each task to ask, the first ones (default: all)." placeholder:"N"`
	Seed        uint64   `help:"Seed of the examples' drawing and of the programs' samples (default: 0)." placeholder:"N"`
	Out         string   `type:"path" help:"Folder for report.html, report.json and all answers; an interrupted evaluation goes on there (default: nothing is kept)." placeholder:"DIR"`
	AnyKernel   bool     `help:"Go on even where another machine's kernels began; the last bits then differ."`

	Samples     int           `default:"1" help:"Programs for each problem (default: 1)." placeholder:"N" group:"code tasks"`
	PassAt      []int         `help:"Values of k for pass@k (default: 1)." placeholder:"K" group:"code tasks"`
	Temperature float64       `help:"Temperature of the programs; 0 is greedy, for one sample (default: 0)." placeholder:"T" group:"code tasks"`
	TopP        float64       `help:"Keep the smallest set of tokens with that probability (default: all)." placeholder:"P" group:"code tasks"`
	MaxTokens   int           `default:"512" help:"Tokens of a program at most, and half of the context (default: 512)." placeholder:"N" group:"code tasks"`
	Timeout     time.Duration `default:"3s" help:"Time that a program may run (default: 3s)." placeholder:"DURATION" group:"code tasks"`
	Memory      int64         `default:"512" help:"Memory that each process of a program may have, in MiB (default: 512)." placeholder:"MIB" group:"code tasks"`
	Python      string        `help:"Interpreter that runs programs, always in a sandbox (default: python3)." placeholder:"PATH" group:"code tasks"`

	Share  bool `help:"Share the questions with the tandem workers of the database, who must see model and data at the same paths."`
	Worker bool `default:"true" negatable:"" help:"With --share, answer in this process too (default: yes)."`
	engineFlags
	databaseFlags
}

// evaluateHarnessReport is its JSON.
type evaluateHarnessReport struct {
	pipeline.HarnessMeasures
	Report string `json:"report,omitempty"`
}

func (c *evaluateHarnessCommand) Run(ctx context.Context, w *world) error {
	spec, err := c.spec()
	if err != nil {
		return err
	}
	measure := func(s *pipeline.Studio, units pipeline.Units) (func() error, error) {
		measures, err := s.MeasureHarness(ctx, spec, units)
		if err != nil {
			return nil, err
		}
		return c.reporter(w, spec, s, measures)
	}
	if c.Share {
		return sharing{c.engineFlags, c.databaseFlags, c.Worker}.run(ctx, w, "benchmarks of "+filepath.Base(spec.Model), measure)
	}
	flags := stageFlags{engineFlags: c.engineFlags, AnyKernel: c.AnyKernel, DryRun: true} // which opens no database
	return flags.studio(ctx, w, nil, func(s *pipeline.Studio) (func() error, error) {
		return measure(s, s.Units(func(tandem.Stage, int, int) {}))
	})
}

// reporter writes the report's files, and returns what prints the reply.
func (c *evaluateHarnessCommand) reporter(w *world, spec pipeline.Harness, s *pipeline.Studio, measures pipeline.HarnessMeasures) (func() error, error) {
	reply := evaluateHarnessReport{HarnessMeasures: measures}
	if c.Out != "" {
		facts := []report.Fact{{Name: "model", Value: c.Model}, {Name: "seed", Value: strconv.FormatUint(c.Seed, 10)}, {Name: "kernel", Value: s.Kernel}}
		for _, t := range spec.Tasks {
			facts = append(facts, report.Fact{Name: string(t.Task), Value: strings.Join(t.Data, ", ")})
		}
		var err error
		if reply.Report, err = w.writeReport(measures.Report(facts, time.Now()), c.Out); err != nil {
			return nil, err
		}
	}
	return func() error {
		return w.table(reply, []string{"TASK", "EXAMPLES", "QUESTIONS", "METRIC", "VALUE", "STDERR", "CHANCE"}, reply.rows())
	}, nil
}

func (r evaluateHarnessReport) rows() (rows [][]string) {
	for _, result := range r.Results {
		head := []string{string(result.Task), strconv.Itoa(result.Shots), strconv.Itoa(result.Questions)}
		add := func(metric string, e harness.Estimate, chance string) {
			rows = append(rows, append(slices.Clone(head), metric, percent(e.Interval), fmt.Sprintf("%.1f %%", 100*e.StandardError), chance))
			head = []string{"", "", ""}
		}
		for _, metric := range result.MetricNames() {
			chance := ""
			if metric == harness.Acc {
				chance = fmt.Sprintf("%.1f %%", 100*result.Chance)
			}
			add(string(metric), result.Metrics[metric], chance)
		}
		if result.Macro != nil {
			add("mean over subjects", *result.Macro, "")
		}
	}
	return rows
}

// spec reads the flags.
func (c *evaluateHarnessCommand) spec() (h pipeline.Harness, err error) {
	h = pipeline.Harness{Model: c.Model, Seed: c.Seed, Out: c.Out, Python: c.Python, Shared: c.Share}
	h.Code = harness.CodeConfig{
		Samples: c.Samples, Temperature: c.Temperature, TopP: c.TopP, MaxTokens: c.MaxTokens, Seed: c.Seed, K: c.PassAt,
		Limits: sandbox.Limits{Time: c.Timeout, Memory: c.Memory << 20},
	}
	if len(h.Code.K) == 0 {
		h.Code.K = []int{1}
	}
	for _, given := range c.Data {
		t, path, err := taskAnd("data", given)
		if err != nil {
			return h, err
		}
		i := slices.IndexFunc(h.Tasks, func(there pipeline.HarnessTask) bool { return there.Task == t })
		if i < 0 {
			i = len(h.Tasks)
			h.Tasks = append(h.Tasks, pipeline.HarnessTask{Task: t, Limit: c.Limit})
		}
		h.Tasks[i].Data = append(h.Tasks[i].Data, path)
	}
	for _, given := range c.FewShotData {
		t, path, err := taskAnd("few-shot-data", given)
		if err != nil {
			return h, err
		}
		of, err := taskOf(h, "few-shot-data", t)
		if err != nil {
			return h, err
		}
		of.ShotData = append(of.ShotData, path)
	}
	return h, c.shots(&h)
}

// shots says how many examples stand before questions.
func (c *evaluateHarnessCommand) shots(h *pipeline.Harness) error {
	for _, given := range c.FewShot {
		name, number, single := strings.Cut(given, "=")
		if !single {
			number = given
		}
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 {
			return tandem.Errorf(tandem.Invalid, "", "--few-shot is %q, not a number from 0 on, or TASK=N", given)
		}
		if !single {
			for i, t := range h.Tasks {
				if len(t.ShotData) > 0 {
					h.Tasks[i].Shots = n
				}
			}
			if n > 0 && !slices.ContainsFunc(h.Tasks, func(t pipeline.HarnessTask) bool { return len(t.ShotData) > 0 }) {
				return tandem.Errorf(tandem.Invalid, "", "--few-shot needs --few-shot-data to draw the examples from")
			}
			continue
		}
		task, err := harness.ParseTask(name)
		if err != nil {
			return err
		}
		of, err := taskOf(*h, "few-shot", task)
		if err != nil {
			return err
		}
		of.Shots = n
	}
	return nil
}

// taskOf is a task that is asked.
func taskOf(h pipeline.Harness, flag string, task harness.Task) (*pipeline.HarnessTask, error) {
	for i := range h.Tasks {
		if h.Tasks[i].Task == task {
			return &h.Tasks[i], nil
		}
	}
	return nil, tandem.Errorf(tandem.Invalid, "", "--%s names %s, which has no --data", flag, task)
}

// taskAnd reads TASK=PATH.
func taskAnd(flag, given string) (harness.Task, string, error) {
	name, path, ok := strings.Cut(given, "=")
	if !ok || path == "" {
		return "", "", tandem.Errorf(tandem.Invalid, "", "--%s is %q, not TASK=PATH", flag, given)
	}
	task, err := harness.ParseTask(name)
	if err != nil {
		return "", "", err
	}
	path, err = filepath.Abs(path)
	return task, path, err
}

package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"tandem"
	"tandem/evaluation/harness"
	"tandem/evaluation/harness/sandbox"
)

// Harness specifies a policy's evaluation on academic benchmarks (see package harness).
type Harness struct {
	Model string        `json:"model"` // folder
	Tasks []HarnessTask `json:"tasks"`
	// Seed of the examples' drawing.
	Seed uint64 `json:"seed"`
	// Code says how code tasks are answered; not needed without them.
	Code harness.CodeConfig `json:"code"`
	// Python is the interpreter that code tasks are run by; empty for python3.
	Python string `json:"python,omitempty"`
	// Out, if not empty, is the folder that finished answers are kept in: the evaluation goes on with them when it is run again.
	Out string `json:"out,omitempty"`
	// Shared says that workers elsewhere answer, who do not see Out: their units are smaller, and what is finished of them is kept
	// in the database.
	Shared bool `json:"shared,omitempty"`
}

// HarnessTask is one of the tasks.
type HarnessTask struct {
	Task  harness.Task `json:"task"`
	Data  []string     `json:"data"` // files and folders
	Shots int          `json:"few_shot,omitempty"`
	// ShotData are the files that examples are drawn from.
	ShotData []string `json:"few_shot_data,omitempty"`
	// Limit, if not 0, is how many questions are asked, the first ones.
	Limit int `json:"limit,omitempty"`
}

// HarnessMeasures is what an evaluation came to.
type HarnessMeasures struct {
	Config  Harness          `json:"config"`
	Model   string           `json:"model"` // its name
	Results []harness.Result `json:"results"`
	// Answers is the file of all answers, where they are kept.
	Answers string `json:"answers,omitempty"`
}

// How many questions are in one unit, and in one that is done or not.
const (
	harnessShard       = 256
	harnessSharedShard = 64
)

// Validate reports the first thing that makes no sense.
func (h Harness) Validate() error {
	const op = "pipeline.Harness"
	if len(h.Tasks) == 0 {
		return tandem.Errorf(tandem.Invalid, op, "there are no tasks")
	}
	var seen []harness.Task
	for _, t := range h.Tasks {
		if slices.Contains(seen, t.Task) {
			return tandem.Errorf(tandem.Invalid, op, "the task %s is there twice", t.Task)
		}
		seen = append(seen, t.Task)
		switch {
		case len(t.Data) == 0:
			return tandem.Errorf(tandem.Invalid, op, "%s has no data", t.Task)
		case t.Shots > 0 && !t.Task.TakesExamples():
			return tandem.Errorf(tandem.Invalid, op, "%s takes no examples: its prompt is as its authors have it", t.Task)
		case t.Shots > 0 && len(t.ShotData) == 0:
			return tandem.Errorf(tandem.Invalid, op, "%s has nothing to draw its %d examples from", t.Task, t.Shots)
		case t.Shots < 0 || t.Limit < 0:
			return tandem.Errorf(tandem.Invalid, op, "%s has %d examples and a limit of %d questions", t.Task, t.Shots, t.Limit)
		}
		if t.Task.Code() {
			if err := h.Code.Validate(); err != nil {
				return err
			}
		}
	}
	return nil
}

// MeasureHarness asks a policy all questions of the tasks, unit by unit, and measures its answers. A code task without a
// sandbox is refused before anything is asked.
func (s *Studio) MeasureHarness(ctx context.Context, h Harness, do Units) (m HarnessMeasures, err error) {
	m = HarnessMeasures{Config: h, Model: policyName(ctx, h.Model)}
	if err := h.Validate(); err != nil {
		return m, err
	}
	asked := make([]asked, len(h.Tasks))
	for i, t := range h.Tasks {
		if asked[i], err = t.ask(h.Seed); err != nil {
			return m, err
		}
		if t.Task.Code() {
			if _, err := sandbox.New(ctx, h.Python, h.Code.Limits); err != nil {
				return m, err
			}
		}
	}
	units, err := h.units(asked)
	if err != nil {
		return m, err
	}
	specs := make([]any, len(units))
	for i := range units {
		specs[i] = Evaluation{Harness: &units[i]}
	}
	results, err := do(ctx, tandem.StageEvaluate, specs...)
	if err != nil {
		return m, err
	}
	answers := make(map[harness.Task][]HarnessAnswer)
	for i, result := range results {
		var read []HarnessAnswer
		if err := json.Unmarshal(result, &read); err != nil {
			return m, fmt.Errorf("answers to %s: %w", units[i].Task.Task, err)
		}
		answers[units[i].Task.Task] = append(answers[units[i].Task.Task], read...)
	}
	for i, t := range h.Tasks {
		r, err := asked[i].measure(t, h.Code, answers[t.Task])
		if err != nil {
			return m, fmt.Errorf("%s: %w", t.Task, err)
		}
		m.Results = append(m.Results, r)
	}
	if h.Out == "" {
		return m, nil
	}
	m.Answers = filepath.Join(h.Out, "answers.jsonl")
	return m, WriteLines(m.Answers, func(yield func(HarnessAnswer) bool) {
		for _, t := range h.Tasks {
			for _, a := range answers[t.Task] {
				if !yield(a) {
					return
				}
			}
		}
	})
}

// units divides what is asked.
func (h Harness) units(asked []asked) ([]HarnessUnit, error) {
	model, err := hashPolicy(h.Model)
	if err != nil {
		return nil, err
	}
	total := 0
	for _, a := range asked {
		total += a.len()
	}
	out, size := h.Out, harnessShard
	if h.Shared {
		out, size = "", harnessSharedShard
	}
	var units []HarnessUnit
	before := 0
	for i, t := range h.Tasks {
		for _, shard := range Shards(asked[i].len(), size) {
			u := HarnessUnit{
				Model: h.Model, ModelHash: model, Task: t, Seed: h.Seed, From: shard[0], To: shard[1],
				Out: out, Before: before, Of: total,
			}
			if t.Task.Code() {
				u.Code, u.Python = &h.Code, h.Python
			}
			if u.Asked, err = asked[i].hash(shard[0], shard[1]); err != nil {
				return nil, err
			}
			units, before = append(units, u), before+shard[1]-shard[0]
		}
	}
	return units, nil
}

// hashPolicy is the SHA-256 of what makes a policy answer as it does.
func hashPolicy(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", tandem.Errorf(tandem.NotFound, "pipeline.Harness", "%s: there is no model", path)
	}
	if !info.IsDir() {
		return HashFiles(path)
	}
	var files []string
	for _, pattern := range []string{"*.safetensors", "*.bin", "config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json"} {
		found, err := filepath.Glob(filepath.Join(path, pattern))
		if err != nil {
			return "", tandem.Errorf(tandem.Internal, "pipeline.Harness", "%w", err)
		}
		files = append(files, found...)
	}
	return HashFiles(files...)
}

// asked is what a policy is asked for one task: questions with their prompts, or problems.
type asked struct {
	questions []harness.Question
	prompts   []string
	problems  []harness.Problem
}

// ask reads a task's data.
func (t HarnessTask) ask(seed uint64) (a asked, err error) {
	if t.Task.Code() {
		a.problems, err = harness.ReadProblems(t.Data...)
		if t.Limit > 0 && len(a.problems) > t.Limit {
			a.problems = a.problems[:t.Limit]
		}
		return a, err
	}
	if a.questions, err = harness.Read(t.Task, t.Data...); err != nil {
		return a, err
	}
	if t.Limit > 0 && len(a.questions) > t.Limit {
		a.questions = a.questions[:t.Limit]
	}
	shots := harness.Shots{N: t.Shots, Seed: seed}
	if t.Shots > 0 {
		if shots.Examples, err = harness.Read(t.Task, t.ShotData...); err != nil {
			return a, err
		}
	}
	a.prompts, err = harness.Prompts(t.Task, a.questions, shots)
	return a, err
}

func (a asked) len() int { return len(a.questions) + len(a.problems) }

// hash tells whether the same is asked.
func (a asked) hash(from, to int) (string, error) {
	h := sha256.New()
	encoder := json.NewEncoder(h)
	for i := from; i < to; i++ {
		var err error
		if a.problems != nil {
			err = encoder.Encode(a.problems[i])
		} else {
			err = encoder.Encode([]any{a.questions[i], a.prompts[i]})
		}
		if err != nil {
			return "", fmt.Errorf("pipeline.Harness: %w", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// measure says what a task's answers come to.
func (a asked) measure(t HarnessTask, code harness.CodeConfig, answers []HarnessAnswer) (r harness.Result, err error) {
	if t.Task.Code() {
		solutions := make([]harness.Solution, len(answers))
		for i := range answers {
			solutions[i] = *answers[i].Solution
		}
		return harness.MeasureCode(solutions, code.K)
	}
	given := make([]harness.Answer, len(answers))
	for i := range answers {
		given[i] = *answers[i].Answer
	}
	r, err = harness.Measure(t.Task, a.questions, given)
	r.Shots = t.Shots
	return r, err
}

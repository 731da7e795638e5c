package pipeline

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tandem"
	"tandem/evaluation/harness"
	"tandem/evaluation/harness/sandbox"
	"tandem/llama/chat"
	"tandem/llama/tokenizer"
)

// HarnessUnit specifies a unit of an evaluation by the harness: some questions of one task.
type HarnessUnit struct {
	Model  string              `json:"model"`
	Task   HarnessTask         `json:"task"`
	Seed   uint64              `json:"seed"`
	Code   *harness.CodeConfig `json:"code,omitempty"`
	Python string              `json:"python,omitempty"`
	From   int                 `json:"from"`
	To     int                 `json:"to"`
	Out    string              `json:"out,omitempty"` // where finished answers are kept
	// ModelHash and Asked are the SHA-256s of the model and of what it is asked.
	ModelHash string `json:"model_hash"`
	Asked     string `json:"asked"`
	// Before is how many questions of other units come first, of all that there are: for the progress.
	Before int `json:"before"`
	Of     int `json:"of"`
}

// HarnessAnswer is a policy's answer to a question, or its solutions of a problem.
type HarnessAnswer struct {
	Task     harness.Task      `json:"task"`
	ID       string            `json:"id"`
	Subject  string            `json:"subject,omitempty"`
	Right    []int             `json:"right,omitempty"` // choices
	Answer   *harness.Answer   `json:"answer,omitempty"`
	Solution *harness.Solution `json:"solution,omitempty"`
}

// harnessMade is what a unit's finished answers were made of; those of anything else are no answers to it.
type harnessMade struct {
	Model string              `json:"model"`
	Asked string              `json:"asked"`
	Code  *harness.CodeConfig `json:"code,omitempty"`
	// Python that ran programs, or the kernels that computed.
	Python string `json:"python,omitempty"`
	Kernel string `json:"kernel"`
}

// harnessBatch is how many questions, and samples of programs, are answered before their answers are kept.
const harnessBatch = 16

// answerHarness does a unit. What it finds finished is not done again.
func (s *Studio) answerHarness(ctx context.Context, u HarnessUnit) (answers []HarnessAnswer, err error) {
	asked, err := u.Task.ask(u.Seed)
	if err != nil {
		return nil, err
	}
	if u.To > asked.len() {
		return nil, u.changed()
	}
	if hash, err := asked.hash(u.From, u.To); err != nil || hash != u.Asked {
		return nil, errors.Join(err, u.changed())
	}
	answers, f, err := u.begin(ctx, s)
	if err != nil {
		return nil, err
	}
	if f != nil {
		defer func() { err = errors.Join(err, f.Close()) }()
	}
	if len(answers) == u.To-u.From {
		s.observe(Observation{Stage: tandem.StageEvaluate, Step: u.Before + len(answers), Steps: u.Of})
		return answers, nil
	}
	policy, err := s.open(ctx, u.Model)
	if err != nil {
		return nil, err
	}
	if policy.Weights.IsClassifier() {
		return nil, tandem.Errorf(tandem.Invalid, "pipeline.Harness", "%s is a reward model, and only a policy answers", u.Model)
	}
	answer, size := asked.answerer(policy, u.Task.Task), harnessBatch
	if u.Code != nil {
		box, err := sandbox.New(ctx, u.Python, u.Code.Limits)
		if err != nil {
			return nil, err
		}
		answer, size = asked.solver(policy, box, *u.Code), max(1, harnessBatch/u.Code.Samples)
	}
	for at := u.From + len(answers); at < u.To; {
		to := min(at+size, u.To)
		batch, err := answer(ctx, at, to)
		if err != nil {
			return nil, err
		}
		if f != nil {
			if err := appendLines(f, batch); err != nil {
				return nil, err
			}
		}
		answers, at = append(answers, batch...), to
		s.observe(Observation{Stage: tandem.StageEvaluate, Step: u.Before + len(answers), Steps: u.Of})
	}
	return answers, nil
}

func (u HarnessUnit) changed() error {
	return tandem.Errorf(tandem.Conflict, "pipeline.Harness", "the data of %s, %s, have changed since the evaluation began", u.Task.Task, strings.Join(u.Task.Data, ", "))
}

// begin reads the unit's finished answers and opens their file to append to; it is nil where none are kept.
func (u HarnessUnit) begin(ctx context.Context, s *Studio) ([]HarnessAnswer, *os.File, error) {
	if u.Out == "" {
		return nil, nil, nil
	}
	made := harnessMade{Model: u.ModelHash, Asked: u.Asked, Code: u.Code, Python: u.Python, Kernel: s.Kernel}
	path := filepath.Join(u.Out, "answers", fmt.Sprintf("%s-%06d.jsonl", u.Task.Task, u.From))
	there, answers, err := readHarnessAnswers(path)
	if err != nil {
		return nil, nil, err
	}
	if there != nil {
		was, err := json.Marshal(there)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		is, err := json.Marshal(made)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		names := Changed(was, is)
		if len(names) == 1 && names[0] == "kernel" && s.AnyKernel {
			names = nil
		}
		if len(names) > 0 {
			return nil, nil, tandem.Errorf(tandem.Conflict, "pipeline.Harness", "%s holds answers of another evaluation%s: choose another folder", path, different(names))
		}
	}
	if len(answers) > u.To-u.From {
		return nil, nil, tandem.Errorf(tandem.Corrupt, "pipeline.Harness", "%s holds %d answers to %d questions", path, len(answers), u.To-u.From)
	}
	f, err := renewLines(ctx, path, func(yield func(any) bool) {
		if !yield(made) {
			return
		}
		for _, a := range answers {
			if !yield(a) {
				return
			}
		}
	})
	return answers, f, err
}

// readHarnessAnswers reads what a unit has kept; made is nil where there is nothing. What an interruption left half written counts for
// nothing.
func readHarnessAnswers(path string) (made *harnessMade, answers []HarnessAnswer, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, tandem.Errorf(tandem.Unavailable, "pipeline.Harness", "%w", err)
	}
	defer f.Close()
	decoder := json.NewDecoder(bufio.NewReader(f))
	made = &harnessMade{}
	if decoder.Decode(made) != nil {
		return nil, nil, nil
	}
	for {
		var a HarnessAnswer
		if decoder.Decode(&a) != nil || (a.Answer == nil && a.Solution == nil) {
			return made, answers, nil
		}
		answers = append(answers, a)
	}
}

// appendLines adds lines to a file.
func appendLines[T any](f *os.File, items []T) error {
	buffered := bufio.NewWriter(f)
	encoder := json.NewEncoder(buffered)
	encoder.SetEscapeHTML(false)
	for _, item := range items {
		if err := encoder.Encode(item); err != nil {
			return fmt.Errorf("write %s: %w", f.Name(), err)
		}
	}
	if err := buffered.Flush(); err != nil {
		return tandem.Errorf(tandem.Unavailable, "pipeline", "%w", err)
	}
	return nil
}

// answerer answers multiple-choice questions.
func (a asked) answerer(policy *chat.Policy, task harness.Task) func(ctx context.Context, from, to int) ([]HarnessAnswer, error) {
	model := harness.Model{Policy: policy, Encoder: harnessEncoder{policy.Tokenizer}, Context: policy.Weights.Config.MaxPositionEmbeddings}
	return func(ctx context.Context, from, to int) ([]HarnessAnswer, error) {
		given, err := harness.Ask(ctx, model, a.questions[from:to], a.prompts[from:to])
		answers := make([]HarnessAnswer, len(given))
		for i := range given {
			q := a.questions[from+i]
			answers[i] = HarnessAnswer{Task: task, ID: q.ID, Subject: q.Subject, Right: q.Right, Answer: &given[i]}
		}
		return answers, err
	}
}

// solver samples programs and runs them.
func (a asked) solver(policy *chat.Policy, runner harness.Runner, config harness.CodeConfig) func(ctx context.Context, from, to int) ([]HarnessAnswer, error) {
	return func(ctx context.Context, from, to int) ([]HarnessAnswer, error) {
		problems := a.problems[from:to]
		solutions, err := harness.Solve(ctx, policy, harnessEncoder{policy.Tokenizer}, policy.Weights.Config.MaxPositionEmbeddings, problems, config)
		if err != nil {
			return nil, err
		}
		if err := harness.Check(ctx, runner, problems, solutions); err != nil {
			return nil, err
		}
		answers := make([]HarnessAnswer, len(solutions))
		for i := range solutions {
			answers[i] = HarnessAnswer{Task: harness.HumanEval, ID: problems[i].ID, Solution: &solutions[i]}
		}
		return answers, nil
	}
}

// harnessEncoder is a tokenizer as the harness uses it.
type harnessEncoder struct{ *tokenizer.Tokenizer }

// Encode implements harness.Encoder. A text that spells BOS gets no second one, and none gets EOS.
func (e harnessEncoder) Encode(text string, begin bool) ([]int32, error) {
	if bos := e.Token(e.Special().BOS); bos != "" && strings.HasPrefix(text, bos) {
		begin = false
	}
	ids, err := e.EncodeRendered(text, begin)
	if err == nil && begin && e.AddsEOS() {
		ids = ids[:len(ids)-1]
	}
	return ids, err
}

// Prefix implements harness.Encoder.
func (e harnessEncoder) Prefix() int32 {
	if bos := e.Special().BOS; bos != tokenizer.None {
		return bos
	}
	return e.Special().EOS
}

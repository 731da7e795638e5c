package harness

import (
	"context"
	"fmt"
	"runtime"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"tandem"
	"tandem/evaluation/harness/sandbox"
)

// Problem is a code task of HumanEval's (https://arxiv.org/abs/2107.03374): a function's head and description, to be gone on with,
// and a test of it.
type Problem struct {
	ID         string `json:"task_id"`
	Prompt     string `json:"prompt"`
	EntryPoint string `json:"entry_point"` // the function's name
	Test       string `json:"test"`        // defines check(candidate)
}

// ReadProblems reads HumanEval's JSON Lines.
func ReadProblems(paths ...string) ([]Problem, error) {
	records, err := readRecords(paths)
	if err != nil {
		return nil, err
	}
	problems := make([]Problem, len(records))
	for i, r := range records {
		p := &problems[i]
		if err := r.decode(p); err != nil {
			return nil, err
		}
		if p.Prompt == "" || p.EntryPoint == "" || p.Test == "" {
			return nil, r.errorf(`it has not "prompt", "entry_point" and "test"`)
		}
		if p.ID == "" {
			p.ID = r.place
		}
	}
	return problems, nil
}

// program is what is run to check a completion.
func (p Problem) program(completion string) string {
	return p.Prompt + completion + "\n" + p.Test + "\ncheck(" + p.EntryPoint + ")\n"
}

// CodeConfig says how code tasks are answered.
type CodeConfig struct {
	// Samples of each problem. Defaults to 1.
	Samples int `json:"samples"`
	// Temperature of the samples; 0 is greedy, and then there is one sample. Defaults to 0.
	Temperature float64 `json:"temperature"`
	// TopP keeps the smallest set of tokens with that probability; 0 keeps all. Defaults to 0.
	TopP float64 `json:"top_p"`
	// MaxTokens of a sample. Defaults to 512. Of a smaller model it is at most half of the context.
	MaxTokens int    `json:"max_tokens"`
	Seed      uint64 `json:"seed"`
	// K are the numbers of samples of which one is to pass, each at most Samples. Defaults to 1.
	K []int `json:"k"`
	// Limits of the programs.
	Limits sandbox.Limits `json:"limits"`
}

// DefaultCodeConfig is one greedy sample, as lm-evaluation-harness has it.
func DefaultCodeConfig() CodeConfig { return CodeConfig{Samples: 1, MaxTokens: 512, K: []int{1}} }

// Validate reports the first thing that makes no sense.
func (c CodeConfig) Validate() error {
	switch {
	case c.Samples < 1:
		return tandem.Errorf(tandem.Invalid, op, "%d samples of each problem", c.Samples)
	case !(c.Temperature >= 0) || !(c.TopP >= 0 && c.TopP <= 1) || c.MaxTokens < 1:
		return tandem.Errorf(tandem.Invalid, op, "temperature %g, top-p %g and %d tokens are not how to sample", c.Temperature, c.TopP, c.MaxTokens)
	case c.Temperature == 0 && c.Samples > 1:
		return tandem.Errorf(tandem.Invalid, op, "at temperature 0 all %d samples would be the same", c.Samples)
	case len(c.K) == 0:
		return tandem.Errorf(tandem.Invalid, op, "pass@k has no k")
	}
	for _, k := range c.K {
		if k < 1 || k > c.Samples {
			return tandem.Errorf(tandem.Invalid, op, "pass@%d of %d samples", k, c.Samples)
		}
	}
	return c.Limits.Validate()
}

// stops end a completion: a line that is no longer the function's (HumanEval's paper, section 2.2, and lm-evaluation-harness).
func stops() []string { return []string{"\nclass", "\ndef", "\n#", "\nif", "\nprint"} }

// truncate cuts a completion before the first stop.
func truncate(completion string) string {
	for _, stop := range stops() {
		completion, _, _ = strings.Cut(completion, stop)
	}
	return completion
}

// Solution is a model's answers to one problem.
type Solution struct {
	Samples []Sample `json:"samples"`
	Cut     int      `json:"cut,omitempty"` // tokens that the prompt lost on its left
}

// Sample is one of them.
type Sample struct {
	Completion string              `json:"completion"`
	Finish     tandem.FinishReason `json:"finish_reason"`
	sandbox.Outcome
}

// passed is how many samples are right.
func (s Solution) passed() (n int) {
	for _, a := range s.Samples {
		if a.End == sandbox.Passed {
			n++
		}
	}
	return n
}

// Solve samples solutions of problems; nothing is run yet. A sample's randomness is keyed by the seed, the prompt and its number.
func Solve(ctx context.Context, policy tandem.Generator, encoder Encoder, window int, problems []Problem, config CodeConfig) ([]Solution, error) {
	solutions := make([]Solution, len(problems))
	sampling := tandem.Sampling{Temperature: config.Temperature, TopP: config.TopP, MaxTokens: min(config.MaxTokens, window/2), Stop: stops()}
	var requests []tandem.GenerateRequest
	for i, p := range problems {
		text, cut, err := fitText(encoder, p.Prompt, window-sampling.MaxTokens)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.ID, err)
		}
		solutions[i].Cut = cut
		key := tandem.SampleKey{Seed: config.Seed, Prompt: tandem.Dialogue{{Content: p.Prompt}}.Key()}
		for s := range config.Samples {
			key.Sample = uint64(s)
			requests = append(requests, tandem.GenerateRequest{Text: &text, Sampling: sampling, Key: key})
		}
	}
	completions, err := tandem.Collect(ctx, policy, requests)
	if err != nil {
		return nil, fmt.Errorf("sample solutions: %w", err)
	}
	for i, c := range completions {
		s := &solutions[i/config.Samples]
		s.Samples = append(s.Samples, Sample{Completion: truncate(c.Text), Finish: c.Finish})
	}
	return solutions, nil
}

// fitText is the longest end of a text that has at most so many tokens with BOS, and how many tokens that loses.
func fitText(encoder Encoder, text string, most int) (end string, cut int, err error) {
	tokens := func(text string) int {
		ids, encodeErr := encoder.Encode(text, false)
		if encodeErr != nil {
			err = encodeErr
		}
		return len(ids) + 1
	}
	all := tokens(text)
	if all <= most || err != nil {
		return text, 0, err
	}
	var starts []int // of characters
	for i := range text {
		starts = append(starts, i)
	}
	at := sort.Search(len(starts), func(i int) bool { return err != nil || tokens(text[starts[i]:]) <= most })
	if at < len(starts) {
		end = text[starts[at]:]
	}
	return end, all - tokens(end), err
}

// Runner runs programs; see sandbox.Sandbox.
type Runner interface {
	Run(ctx context.Context, program string) (sandbox.Outcome, error)
}

// Check runs every sample and says how it ended.
func Check(ctx context.Context, runner Runner, problems []Problem, solutions []Solution) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range solutions {
		for s := range solutions[i].Samples {
			group.Go(func() (err error) {
				sample := &solutions[i].Samples[s]
				sample.Outcome, err = runner.Run(ctx, problems[i].program(sample.Completion))
				return err
			})
		}
	}
	return group.Wait()
}

// passAt is the unbiased estimate of the probability that at least one of k samples passes, from n samples of which c do:
// 1 − C(n−c, k) / C(n, k), as the product 1 − Π_{i = n−c+1}^{n} (1 − k/i), which has no large numbers (HumanEval's paper, section 2.1).
func passAt(k, n, c int) float64 {
	if n-c < k {
		return 1
	}
	none := 1.0
	for i := n - c + 1; i <= n; i++ {
		none *= 1 - float64(k)/float64(i)
	}
	return 1 - none
}

// PassAt names pass@k.
func PassAt(k int) Metric { return Metric(passPrefix + strconv.Itoa(k)) }

// K is the k of pass@k, 0 for other metrics.
func (m Metric) K() int {
	text, _ := strings.CutPrefix(string(m), passPrefix)
	k, _ := strconv.Atoi(text) // 0 for what is no number
	return k
}

const passPrefix = "pass@"

// MeasureCode says how far solutions pass.
func MeasureCode(solutions []Solution, k []int) (Result, error) {
	r := Result{Task: HumanEval, Questions: len(solutions), Metrics: make(map[Metric]Estimate), Ends: make(map[sandbox.End]int)}
	if len(solutions) == 0 {
		return r, tandem.Errorf(tandem.Invalid, op, "there are no solutions")
	}
	for _, s := range solutions {
		if s.Cut > 0 {
			r.Cut++
		}
		r.Samples = len(s.Samples)
		for _, a := range s.Samples {
			r.Ends[a.End]++
		}
	}
	for _, k := range k {
		scores := make([]float64, len(solutions))
		for i, s := range solutions {
			scores[i] = passAt(k, len(s.Samples), s.passed())
		}
		e, err := estimate(scores)
		if err != nil {
			return r, err
		}
		r.Metrics[PassAt(k)] = e
	}
	return r, nil
}

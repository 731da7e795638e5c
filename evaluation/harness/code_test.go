package harness

import (
	"context"
	"iter"
	"math"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/evaluation/harness/sandbox"
)

// TestPassAt compares with the definition, 1 − C(n−c, k) / C(n, k).
func TestPassAt(t *testing.T) {
	choose := func(n, k int) float64 {
		r := 1.0
		for i := range k {
			r *= float64(n-i) / float64(i+1)
		}
		if k > n {
			return 0
		}
		return r
	}
	for n := 1; n <= 12; n++ {
		for c := 0; c <= n; c++ {
			for k := 1; k <= n; k++ {
				if got, want := passAt(k, n, c), 1-choose(n-c, k)/choose(n, k); math.Abs(got-want) > 1e-12 {
					t.Errorf("pass@%d of %d with %d right: %v, want %v", k, n, c, got, want)
				}
			}
		}
	}
	// Where the binomials are beyond float64: OpenAI's estimate_pass_at_k(2000, 3, 1000) gives 0.87512506…
	if got := passAt(1000, 2000, 3); math.Abs(got-(1-1000./2000*999/1999*998/1998)) > 1e-12 {
		t.Errorf("pass@1000 of 2000: %v", got)
	}
}

func TestTruncate(t *testing.T) {
	for text, want := range map[string]string{
		"    return 1\n": "    return 1\n",
		"    return 1\n\ndef g():\n    pass\nclass A":               "    return 1\n",
		"    return 1\nprint(f(1))":                                 "    return 1",
		"    # a comment\n    if x:\n        return 2\n# end\nif x": "    # a comment\n    if x:\n        return 2",
	} {
		if got := truncate(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// writer answers problems with what it was told: sample s of a prompt that holds the key with its s-th text.
type writer struct {
	says map[string][]string
	seen []tandem.GenerateRequest
}

func (w *writer) Generate(_ context.Context, requests []tandem.GenerateRequest) iter.Seq2[tandem.Chunk, error] {
	w.seen = requests
	return func(yield func(tandem.Chunk, error) bool) {
		for i, r := range requests {
			for key, texts := range w.says {
				if strings.Contains(*r.Text, key) && !yield(tandem.Chunk{Request: i, Text: texts[r.Key.Sample], Finish: tandem.FinishStop}, nil) {
					return
				}
			}
		}
	}
}

func TestSolveAndCheck(t *testing.T) {
	problems, err := ReadProblems("testdata/humaneval.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	config := DefaultCodeConfig()
	config.Samples, config.Temperature, config.K = 3, .8, []int{1, 2}
	w := &writer{says: map[string][]string{
		"def double":  {"    return x + x\n\ndef other():\n    raise ValueError\n", "    return x * x\n", "    while True: pass\n"},
		"def largest": {"    import os\n    os._exit(0)\n", "    return sorted(xs)[-1]\n\nprint(largest([]))", "    return max(xs)\n"},
	}}
	solutions, err := Solve(t.Context(), w, letters{}, 2048, problems, config)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.seen) != 6 || w.seen[4].Key.Sample != 1 || w.seen[4].Key.Prompt == w.seen[0].Key.Prompt || w.seen[0].Sampling.MaxTokens != 512 || *w.seen[0].Text != problems[0].Prompt {
		t.Errorf("asked for %+v", w.seen)
	}
	box, err := sandbox.New(t.Context(), "", sandbox.Limits{Time: 5 * time.Second})
	if code := tandem.CodeOf(err); code == tandem.Unsupported || code == tandem.NotFound {
		t.Skipf("programs cannot be run here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(t.Context(), box, problems, solutions); err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]sandbox.End{{sandbox.Passed, sandbox.Raised, sandbox.TimedOut}, {sandbox.Stopped, sandbox.Passed, sandbox.Passed}} {
		for s, end := range want {
			if got := solutions[i].Samples[s]; got.End != end {
				t.Errorf("%s, sample %d: %+v, want %s", problems[i].ID, s, got, end)
			}
		}
	}
	r, err := MeasureCode(solutions, config.K)
	if err != nil {
		t.Fatal(err)
	}
	// Of 3 samples 1 and 2 are right: pass@1 is 1/3 and 2/3, pass@2 is 2/3 and 1.
	if one, two := r.Metrics["pass@1"].Value, r.Metrics["pass@2"].Value; math.Abs(one-.5) > 1e-12 || math.Abs(two-5./6) > 1e-12 {
		t.Errorf("pass@1 %v, pass@2 %v", one, two)
	}
	if r.Samples != 3 || r.Questions != 2 || r.Ends[sandbox.Passed] != 3 || r.Ends[sandbox.TimedOut] != 1 {
		t.Errorf("%+v", r)
	}
}

func TestFitText(t *testing.T) {
	for _, c := range []struct {
		text string
		most int
		want string
		cut  int
	}{{"abc", 4, "abc", 0}, {"abcdé", 4, "dé", 3}, {"abc", 1, "", 3}} { // BOS is one; é has two bytes, and letters a token for each
		if got, cut, err := fitText(letters{}, c.text, c.most); err != nil || got != c.want || cut != c.cut {
			t.Errorf("%q in %d: %q, %d cut, %v, want %q, %d", c.text, c.most, got, cut, err, c.want, c.cut)
		}
	}
	w := &writer{says: map[string][]string{"": {"x"}}}
	solutions, err := Solve(t.Context(), w, letters{}, 20, []Problem{{Prompt: strings.Repeat("a", 100)}}, DefaultCodeConfig())
	if err != nil || solutions[0].Cut != 91 || len(*w.seen[0].Text) != 9 || w.seen[0].Sampling.MaxTokens != 10 {
		t.Errorf("%+v, %v, asked with %+v", solutions, err, w.seen)
	}
}

func TestCodeConfigValidate(t *testing.T) {
	if err := DefaultCodeConfig().Validate(); err != nil {
		t.Error(err)
	}
	for says, change := range map[string]func(*CodeConfig){
		"0 samples":     func(c *CodeConfig) { c.Samples = 0 },
		"would be":      func(c *CodeConfig) { c.Samples = 2 },
		"pass@3":        func(c *CodeConfig) { c.K = []int{1, 3} },
		"no k":          func(c *CodeConfig) { c.K = nil },
		"temperature -": func(c *CodeConfig) { c.Temperature = -1 },
		"32 MiB":        func(c *CodeConfig) { c.Limits.Memory = 5 },
	} {
		c := DefaultCodeConfig()
		change(&c)
		if err := c.Validate(); tandem.CodeOf(err) != tandem.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %q", err, says)
		}
	}
}

func TestReadProblemsRefuses(t *testing.T) {
	if _, err := ReadProblems(write(t, "x.jsonl", `{"task_id":"a","prompt":"def f():\n"}`)); tandem.CodeOf(err) != tandem.Invalid || !strings.Contains(err.Error(), `x.jsonl:1: it has not "prompt"`) {
		t.Errorf("error %v", err)
	}
}

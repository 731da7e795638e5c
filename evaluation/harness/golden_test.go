package harness

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tandem/internal/sharedtest"
	"tandem/llama/chat"
	"tandem/llama/tokenizer"
)

// golden is what lm-evaluation-harness makes of the questions of testdata; see testdata/golden.py.
type golden struct {
	Runs map[string]struct {
		Metrics   map[string]float64
		Questions []struct {
			Prompt         string
			Continuations  []string  // of each choice
			LogLikelihoods []float64 `json:"log_likelihoods"`
		}
	}
}

func readGolden(t *testing.T) golden {
	t.Helper()
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// encoder is a tokenizer as the harness wants it.
type encoder struct{ *tokenizer.Tokenizer }

func (e encoder) Encode(text string, begin bool) ([]int32, error) {
	return e.EncodeRendered(text, begin)
}
func (e encoder) Prefix() int32 { return e.Special().BOS }

// tinyStories is the model that the golden values are of.
func tinyStories(t *testing.T) Model {
	t.Helper()
	p, err := chat.Open(t.Context(), filepath.Join(sharedtest.Path(t), "tinystories-656k"), chat.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return Model{Policy: p, Encoder: encoder{p.Tokenizer}, Context: p.Weights.Config.MaxPositionEmbeddings}
}

// goldenRuns are the runs of golden.json with the files, of each form, that give the same questions.
var goldenRuns = map[string]struct {
	task     Task
	files    []string
	shots    int
	examples string
	subject  string // of MMLU's questions
}{
	"arc_easy":                      {task: ARCEasy, files: []string{"arc-hub.jsonl", "arc-authors.jsonl"}},
	"arc_easy 1-shot":               {task: ARCChallenge, files: []string{"arc-hub.jsonl", "arc-authors.jsonl"}, shots: 1, examples: "arc-hub-train.jsonl"},
	"social_iqa":                    {task: SocialIQA, files: []string{"siqa-hub.jsonl", "siqa-authors.jsonl"}},
	"social_iqa 1-shot":             {task: SocialIQA, files: []string{"siqa-hub.jsonl", "siqa-authors.jsonl"}, shots: 1, examples: "siqa-hub-train.jsonl"},
	"aqua_rat":                      {task: AQuARAT, files: []string{"aqua-agieval.jsonl", "aqua-authors.jsonl"}},
	"hellaswag":                     {task: HellaSwag, files: []string{"hellaswag-hub.jsonl", "hellaswag-authors.jsonl"}},
	"truthfulqa_mc1":                {task: TruthfulQAMC1, files: []string{"truthfulqa-hub.jsonl", "truthfulqa-authors.json"}},
	"truthfulqa_mc2":                {task: TruthfulQAMC2, files: []string{"truthfulqa-hub.jsonl", "truthfulqa-authors.json"}},
	"multiple_choice":               {task: MultipleChoice, files: []string{"plain.jsonl"}},
	"mmlu anatomy 0-shot":           {task: MMLU, files: []string{"mmlu-hub-test.jsonl", "mmlu/test"}, subject: "anatomy"},
	"mmlu anatomy 2-shot":           {task: MMLU, files: []string{"mmlu-hub-test.jsonl", "mmlu/test"}, subject: "anatomy", shots: 2, examples: "mmlu/dev"},
	"mmlu us_foreign_policy 0-shot": {task: MMLU, files: []string{"mmlu-hub-test.jsonl", "mmlu/test"}, subject: "us_foreign_policy"},
	"mmlu us_foreign_policy 2-shot": {task: MMLU, files: []string{"mmlu-hub-test.jsonl", "mmlu/test"}, subject: "us_foreign_policy", shots: 2, examples: "mmlu-hub-dev.jsonl"},
}

func testdata(files ...string) []string {
	paths := make([]string, len(files))
	for i, f := range files {
		paths[i] = filepath.Join("testdata", f)
	}
	return paths
}

func readQuestions(t *testing.T, task Task, files ...string) []Question {
	t.Helper()
	questions, err := Read(task, testdata(files...)...)
	if err != nil {
		t.Fatal(err)
	}
	return questions
}

// TestPromptsAreTheHarnesss compares all that is asked of a model with golden.json, to the letter, in every form of file.
func TestPromptsAreTheHarnesss(t *testing.T) {
	g := readGolden(t)
	if len(g.Runs) != len(goldenRuns) {
		t.Errorf("golden.json has %d runs, and %d are checked", len(g.Runs), len(goldenRuns))
	}
	for name, run := range goldenRuns {
		for _, file := range run.files {
			questions, prompts := goldenQuestions(t, name, file)
			want := g.Runs[name].Questions
			if len(questions) != len(want) {
				t.Errorf("%s, %s: %d questions, want %d", name, file, len(questions), len(want))
				continue
			}
			for i, q := range questions {
				var continuations []string
				for _, choice := range q.Choices {
					continuations = append(continuations, delimiter+choice)
				}
				if prompts[i] != want[i].Prompt || !slices.Equal(continuations, want[i].Continuations) {
					t.Errorf("%s, %s, question %d:\n%q %q, want\n%q %q", name, file, i, prompts[i], continuations, want[i].Prompt, want[i].Continuations)
				}
			}
		}
	}
}

// goldenQuestions reads the questions of a run from one of its files.
func goldenQuestions(t *testing.T, name, file string) ([]Question, []string) {
	t.Helper()
	run := goldenRuns[name]
	shots := Shots{N: run.shots, Seed: 3}
	if run.examples != "" {
		shots.Examples = readQuestions(t, run.task, run.examples)
	}
	var questions []Question
	for _, q := range readQuestions(t, run.task, file) {
		if q.Subject == run.subject {
			questions = append(questions, q)
		}
	}
	prompts, err := Prompts(run.task, questions, shots)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return questions, prompts
}

// TestLogLikelihoodsAreTheHarnesss compares log-likelihoods and metrics with golden.json.
func TestLogLikelihoodsAreTheHarnesss(t *testing.T) {
	model, g := tinyStories(t), readGolden(t)
	worst, compared, cut := 0.0, 0, 0
	for name, run := range goldenRuns {
		questions, prompts := goldenQuestions(t, name, run.files[0])
		answers, err := Ask(t.Context(), model, questions, prompts)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i, a := range answers {
			for c, l := range a.LogLikelihoods {
				want := g.Runs[name].Questions[i].LogLikelihoods[c]
				worst = max(worst, math.Abs(l-want))
				if compared++; math.Abs(l-want) > 1e-4 {
					t.Errorf("%s, question %d, choice %d %q: %v, want %v", name, i, c, questions[i].Choices[c], l, want)
				}
			}
			if a.Cut > 0 {
				cut++
			}
		}
		result, err := Measure(run.task, questions, answers)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		seen := 0
		for metric, e := range result.Metrics {
			for at, got := range map[string]float64{string(metric): e.Value, string(metric) + "_stderr": e.StandardError} {
				want, ok := g.Runs[name].Metrics[at]
				if !ok {
					continue
				}
				if seen++; math.Abs(got-want) > 1e-5 {
					t.Errorf("%s: %s is %v, want %v", name, at, got, want)
				}
			}
		}
		if seen < 2 {
			t.Errorf("%s: of the metrics %v none was compared", name, g.Runs[name].Metrics)
		}
	}
	if cut != 2 {
		t.Errorf("%d prompts lost their beginning, want those of arc-4", cut)
	}
	t.Logf("%d log-likelihoods, the worst off by %.2g", compared, worst)
}

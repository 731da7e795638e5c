package harness

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"tandem"
)

func TestPromptsDrawExamples(t *testing.T) {
	var questions, examples []Question
	for i := range 40 {
		q := Question{ID: fmt.Sprint(i), Prompt: fmt.Sprintf("Question %d\nAnswer:", i), Choices: []string{"yes", "no"}, Right: []int{i % 2}}
		if i < 10 {
			questions = append(questions, q)
		}
		examples = append(examples, q) // the ten that are asked among them
	}
	shots := Shots{N: 5, Examples: examples, Seed: 1}
	prompts, err := Prompts(ARCEasy, questions, shots)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range prompts {
		parts := strings.Split(p, "\n\n")
		if len(parts) != 6 || parts[5] != questions[i].Prompt {
			t.Fatalf("%q", p)
		}
		seen := map[string]bool{}
		for _, part := range parts[:5] {
			var n int
			var answer string
			if _, err := fmt.Sscanf(part, "Question %d\nAnswer: %s", &n, &answer); err != nil || n < 10 || seen[part] || answer != []string{"yes", "no"}[n%2] {
				t.Errorf("example %q: %v", part, err)
			}
			seen[part] = true
		}
	}
	// The drawing depends on the question and the seed alone.
	alone, err := Prompts(ARCEasy, questions[3:4], Shots{N: 5, Examples: examples[10:], Seed: 1})
	if err != nil || alone[0] != prompts[3] {
		t.Errorf("asked alone: %q, %v, want %q", alone, err, prompts[3])
	}
	shots.Seed = 2
	if others, err := Prompts(ARCEasy, questions, shots); err != nil || slices.Equal(others, prompts) {
		t.Errorf("another seed draws the same examples (%v)", err)
	}
	for _, c := range []struct {
		task     Task
		n        int
		examples []Question
		says     string
	}{
		{ARCEasy, 31, examples, "there are 30 that are not asked"}, {ARCEasy, 1, questions, "there are 0"}, {ARCEasy, -1, examples, "-1"},
		{TruthfulQAMC1, 1, examples, "takes no examples"},
	} {
		if _, err := Prompts(c.task, questions, Shots{N: c.n, Examples: c.examples}); tandem.CodeOf(err) != tandem.Invalid || !strings.Contains(err.Error(), c.says) {
			t.Errorf("error %v, want %q", err, c.says)
		}
	}
}

func TestMMLUExamplesAreOfTheSubject(t *testing.T) {
	questions, examples := readQuestions(t, MMLU, "mmlu/test"), readQuestions(t, MMLU, "mmlu/dev")
	prompts, err := Prompts(MMLU, questions, Shots{N: 1, Examples: examples})
	if err != nil {
		t.Fatal(err)
	}
	for i, q := range questions {
		want := map[string]string{"anatomy": "What do we see with?", "us_foreign_policy": "Who is a friend?"}[q.Subject]
		if !strings.HasPrefix(prompts[i], description(q.Subject)+want) {
			t.Errorf("%q begins with %q", q.Subject, prompts[i])
		}
	}
	if _, err := Prompts(MMLU, questions, Shots{N: 3, Examples: examples}); err == nil || !strings.Contains(err.Error(), "there are 2 of anatomy") {
		t.Errorf("error %v", err)
	}
}

// letters is an encoder of one token for each byte, and of one for each of the words it knows.
type letters struct{ words []string }

func (l letters) Encode(text string, begin bool) (ids []int32, err error) {
	if begin {
		ids = append(ids, 1)
	}
	for len(text) > 0 {
		i := slices.IndexFunc(l.words, func(w string) bool { return strings.HasPrefix(text, w) })
		if i >= 0 {
			ids, text = append(ids, int32(300+i)), text[len(l.words[i]):]
			continue
		}
		ids, text = append(ids, int32(text[0])), text[1:]
	}
	return ids, nil
}

func (letters) Prefix() int32 { return 1 }

// ruler gives every token but the first the log-probability −1/1000 of its id.
type ruler struct{}

func (ruler) LogProbs(_ context.Context, sequences [][]int32) ([][]float32, error) {
	out := make([][]float32, len(sequences))
	for i, s := range sequences {
		for j, id := range s {
			out[i] = append(out[i], 0)
			if j > 0 {
				out[i][j] = -float32(id) / 1000
			}
		}
	}
	return out, nil
}

func TestAsk(t *testing.T) {
	model := Model{Policy: ruler{}, Encoder: letters{words: []string{"e a", "xy z"}}, Context: 12}
	for _, c := range []struct {
		prompt, choice string
		want           float64
		tokens, cut    int
		merged         bool
	}{
		{prompt: "q", choice: "ab", want: -(32 + 97 + 98) / 1000., tokens: 3},
		{prompt: "q \n", choice: "b", want: -(32 + 10 + 32 + 98) / 1000., tokens: 4}, // the prompt's spaces are the answer's
		{prompt: "", choice: "b", want: -(32 + 98) / 1000., tokens: 2},
		{prompt: "hee", choice: "a", want: -.300, tokens: 1, merged: true},                                // "e a" is one token
		{prompt: "x", choice: "ya", want: -(32 + 121 + 97) / 1000., tokens: 3},                            //
		{prompt: "123456789", choice: "ab", want: -(32 + 97 + 98) / 1000., tokens: 3},                     // 13 tokens: one behind the context
		{prompt: "1234567890", choice: "ab", want: -(32 + 97 + 98) / 1000., tokens: 3, cut: 1},            //
		{prompt: "12345678901234567890", choice: "ab", want: -(32 + 97 + 98) / 1000., tokens: 3, cut: 11}, //
	} {
		got, err := Ask(t.Context(), model, []Question{{Choices: []string{c.choice}}}, []string{c.prompt})
		if err != nil {
			t.Errorf("%q %q: %v", c.prompt, c.choice, err)
			continue
		}
		if a := got[0]; math.Abs(a.LogLikelihoods[0]-c.want) > 1e-6 || a.Tokens[0] != c.tokens || a.Cut != c.cut || a.Merged != c.merged {
			t.Errorf("%q %q: %+v, want %+v", c.prompt, c.choice, a, c)
		}
	}
	if _, err := Ask(t.Context(), model, []Question{{ID: "long", Choices: []string{"a", "twelve chars"}}}, []string{"q"}); tandem.CodeOf(err) != tandem.Invalid || !strings.Contains(err.Error(), "long, choice 2") {
		t.Errorf("error %v", err)
	}
}

func TestMetrics(t *testing.T) {
	// By log-likelihood the first is best; by characters the second (−1/2 against −.6), by bytes and by tokens the third.
	q := Question{Choices: []string{"a", "bb", "ééé"}}
	a := Answer{LogLikelihoods: []float64{-.9, -1, -1.8}, Tokens: []int{1, 2, 6}}
	for metric, want := range map[Metric]int{Acc: 0, AccNorm: 1, AccBytes: 2, AccToken: 2} {
		if got := best(metric, q, a); got != want {
			t.Errorf("%s: choice %d, want %d", metric, got, want)
		}
	}
	if got := best(Acc, q, Answer{LogLikelihoods: []float64{-2, -1, -1}}); got != 1 {
		t.Errorf("of two equal ones choice %d, want the first", got)
	}
	if got, want := massOn([]int{0, 2}, []float64{math.Log(.1) - 2000, math.Log(.3) - 2000, math.Log(.1) - 2000}), .4; math.Abs(got-want) > 1e-9 {
		t.Errorf("mass %v, want %v", got, want)
	}
}

func TestMeasureMMLU(t *testing.T) {
	var questions []Question
	var answers []Answer
	// anatomy 1 of 2, us_foreign_policy 3 of 4, virology 0 of 2.
	for _, s := range []struct {
		subject string
		right   []bool
	}{{"anatomy", []bool{true, false}}, {"us_foreign_policy", []bool{true, true, false, true}}, {"virology", []bool{false, false}}} {
		for i, right := range s.right {
			a := Answer{LogLikelihoods: []float64{-1, -2, -3, -4}, Tokens: []int{1, 1, 1, 1}}
			if i == 0 {
				a.Cut, a.Merged = 7, true
			}
			q := Question{Subject: s.subject, Choices: []string{"A", "B", "C", "D"}, Right: []int{1}}
			if right {
				q.Right[0] = 0
			}
			questions, answers = append(questions, q), append(answers, a)
		}
	}
	r, err := Measure(MMLU, questions, answers)
	if err != nil {
		t.Fatal(err)
	}
	if acc := r.Metrics[Acc]; len(r.Metrics) != 1 || acc.Value != .5 || math.Abs(acc.StandardError-math.Sqrt(2./7/8)) > 1e-12 || r.Cut != 3 || r.Merged != 3 || r.Chance != .25 {
		t.Errorf("%+v", r)
	}
	// √(.5² + .25² + 0²) / 3, where the standard errors are of 2 and 4 questions.
	if m := r.Macro; math.Abs(m.Value-(.5+.75)/3) > 1e-12 || math.Abs(m.StandardError-math.Sqrt(.25+.0625)/3) > 1e-12 || m.N != 8 {
		t.Errorf("macro mean %+v", m)
	}
	if len(r.Subjects) != 3 || r.Subjects[1].Name != "us_foreign_policy" || r.Subjects[1].Acc.Value != .75 {
		t.Errorf("%+v", r.Subjects)
	}
	if len(r.Categories) != 3 {
		t.Errorf("%+v", r.Categories)
	}
	for _, c := range r.Categories {
		want := map[string]float64{"STEM": .5, "social sciences": .75, "other": 0}[c.Name]
		if c.Subjects != 1 || c.Acc.Value != want {
			t.Errorf("%+v", c)
		}
	}
	if _, err := Measure(MMLU, questions, answers[1:]); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("error %v", err)
	}
	answers[3].LogLikelihoods = answers[3].LogLikelihoods[1:]
	if _, err := Measure(MMLU, questions, answers); tandem.CodeOf(err) != tandem.Invalid || !strings.Contains(err.Error(), "3 choices, and there are 4") {
		t.Errorf("error %v", err)
	}
}

func TestMeasureOneQuestion(t *testing.T) {
	for _, task := range []Task{TruthfulQAMC2, ARCEasy} {
		r, err := Measure(task, []Question{{Choices: []string{"a", "b"}, Right: []int{0}}}, []Answer{{LogLikelihoods: []float64{-1, -1}, Tokens: []int{1, 1}}})
		if err != nil || r.Metrics[Acc].StandardError != 0 {
			t.Errorf("%s: %+v, %v", task, r, err)
		}
	}
}

func TestEmptyChoice(t *testing.T) {
	q, a := Question{Choices: []string{"", "b"}}, Answer{LogLikelihoods: []float64{-1, -2}, Tokens: []int{1, 1}}
	if best(Acc, q, a) != 0 || best(AccNorm, q, a) != 1 || best(AccBytes, q, a) != 1 {
		t.Error("the empty choice is ahead for each character, or behind as a whole")
	}
}

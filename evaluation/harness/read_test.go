package harness

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"tandem"
	"tandem/internal/sharedtest"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBothFormsAreTheSame reads what golden.py wrote in the forms of authors and of Hugging Face.
func TestBothFormsAreTheSame(t *testing.T) {
	for _, files := range []struct {
		task Task
		a, b string
	}{
		{ARCEasy, "arc-hub.jsonl", "arc-authors.jsonl"}, {SocialIQA, "siqa-hub.jsonl", "siqa-authors.jsonl"}, {AQuARAT, "aqua-agieval.jsonl", "aqua-authors.jsonl"},
		{HellaSwag, "hellaswag-hub.jsonl", "hellaswag-authors.jsonl"}, {TruthfulQAMC2, "truthfulqa-hub.jsonl", "truthfulqa-authors.json"}, {MMLU, "mmlu-hub-test.jsonl", "mmlu/test"},
	} {
		a, b := readQuestions(t, files.task, files.a), readQuestions(t, files.task, files.b)
		for _, questions := range [][]Question{a, b} {
			for i := range questions {
				questions[i].ID = ""
			}
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s: %+v\n%+v", files.task, a, b)
		}
	}
}

func TestReadForms(t *testing.T) {
	for _, c := range []struct {
		task Task
		name string
		text string
		want Question
	}{
		{MultipleChoice, "a.jsonl", `{"id":"x","question":"How many?","choices":["3","4"],"answer":"4"}`,
			Question{ID: "x", Prompt: "Question: How many?\nAnswer:", Choices: []string{"3", "4"}, Right: []int{1}}},
		{MultipleChoice, "a.jsonl", `{"query":" Why ","choices":["so","no"],"gold":[0,1]}`, Question{ID: "a.jsonl:1", Prompt: " Why ", Choices: []string{"so", "no"}, Right: []int{0, 1}}},
		{MultipleChoice, "a.jsonl", "\n" + `{"query":"Why","choices":["so","no"],"label":"B"}`, Question{ID: "a.jsonl:2", Prompt: "Why", Choices: []string{"so", "no"}, Right: []int{1}}},
		{MultipleChoice, "a.json", `[{"query":"Why","choices":["so","no"],"answer":"1"}]`, Question{ID: "a.json: record 1", Prompt: "Why", Choices: []string{"so", "no"}, Right: []int{1}}},
		{SocialIQA, "dev.jsonl", `{"context":"C","question":"Q?","answerA":"a","answerB":"b","answerC":"c","correct":"C"}`, Question{ID: "dev.jsonl:1", Prompt: "Q: C Q?\nA:", Choices: []string{"a", "b", "c"}, Right: []int{2}}},
		{AQuARAT, "a.jsonl", `{"question":"Q?","options":["(A) 1","B) 2","C)3"],"correct":"C"}`,
			Question{ID: "a.jsonl:1", Prompt: "Q: Q? Answer Choices: (A) 1 (B) 2 (C)3\nA: Among A through C, the answer is", Choices: []string{"(A) 1", "(B) 2", "(C)3"}, Right: []int{2}}},
		{MMLU, "high_school_physics_val.csv", "question,A,B,C,D,answer\n\"Is \"\"it\"\",\nso?\",a,b,\"c, d\",e,C\n",
			Question{ID: "high_school_physics_val.csv:2", Subject: "high_school_physics", Prompt: "Is \"it\",\nso?\nA. a\nB. b\nC. c, d\nD. e\nAnswer:", Choices: []string{"A", "B", "C", "D"}, Right: []int{2}}},
		{MMLU, "x.jsonl", `{"question":"Q","subject":"virology","choices":["a","b","c","d"],"answer":"D"}`,
			Question{ID: "x.jsonl:1", Subject: "virology", Prompt: "Q\nA. a\nB. b\nC. c\nD. d\nAnswer:", Choices: []string{"A", "B", "C", "D"}, Right: []int{3}}},
		{ARCEasy, "x.jsonl", `{"id":"i","question":"Q","choices":{"text":["a","b"],"label":["1","2"]},"answerKey":2}`,
			Question{ID: "i", Prompt: "Question: Q\nAnswer:", Choices: []string{"a", "b"}, Right: []int{1}}},
		{ARCChallenge, "x.jsonl", `{"question":"Q","choices":[{"text":"a","label":"A"},{"text":"b","label":"B"}],"answerKey":"A"}`,
			Question{ID: "x.jsonl:1", Prompt: "Question: Q\nAnswer:", Choices: []string{"a", "b"}, Right: []int{0}}},
	} {
		got, err := Read(c.task, write(t, c.name, c.text))
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], c.want) {
			t.Errorf("%s %s: %+v, %v, want %+v", c.task, c.text, got, err, c.want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	arc := `{"id":"i","question":"Q","choices":{"text":["a","b"],"label":["A","B"]},"answerKey":"C"}`
	for _, c := range []struct {
		task       Task
		name, text string
		says       string
	}{
		{ARCEasy, "x.jsonl", strings.ReplaceAll(arc, `"C"`, `"B"`) + "\n" + arc, `x.jsonl:2: the answer "C" is none of the labels`},
		{ARCEasy, "x.jsonl", `{"question":"Q","choices":{"text":["a","b"],"label":["A"]},"answerKey":"A"}`, "x.jsonl:1: there is not one label"},
		{ARCEasy, "x.jsonl", `{"choices":{"text":["a","b"],"label":["A","B"]},"answerKey":"A"}`, "it has no question"},
		{MMLU, "x_test.csv", "a,b,c,d,e\n", "x_test.csv:1: it has 5 columns"},
		{MMLU, "x_test.csv", "q,a,b,c,d,E\n", `the answer "E" is none of the 4 choices`},
		{MMLU, "x_test.csv", "question,A,B,C,D,answer\n", "there are no questions"},
		{MultipleChoice, "x.jsonl", `{"query":"q","choices":["a","b"],"answer":2}`, `the answer "2" is none of the 2 choices`},
		{MultipleChoice, "x.jsonl", `{"query":"q","choices":["a"],"answer":0}`, "1 choices"},
		{MultipleChoice, "x.jsonl", `{"query":"q","choices":["a","b"]}`, `no "answer"`},
		{MultipleChoice, "x.jsonl", `{"choices":["a","b"],"answer":1}`, `neither "query" nor "question"`},
		{MultipleChoice, "x.jsonl", `{"query":"q","choices":["a","b"],"answer":1.5}`, "x.jsonl:1: 1.5 is neither"},
		{MultipleChoice, "x.jsonl", "{\n", "x.jsonl:1: "},
		{MultipleChoice, "x.jsonl", "", "there are no questions"},
		{SocialIQA, "x.jsonl", `{"context":"C","question":"Q?","answerA":"a","answerB":"b","answerC":"c"}`, "no file of labels"},
		{HellaSwag, "x.jsonl", `{"ctx_a":"C","ctx_b":"","endings":["a","b"],"label":""}`, "x.jsonl:1: it has not"},
		{TruthfulQAMC1, "x.jsonl", `{"question":"Q?","mc1_targets":{"choices":["a","b"],"labels":[1]}}`, "one label for each choice"},
		{TruthfulQAMC1, "x.csv", "question\n", "a row of a CSV file"},
		{HumanEval, "x.jsonl", "{}", "no multiple-choice task"},
	} {
		_, err := Read(c.task, write(t, c.name, c.text))
		if tandem.CodeOf(err) != tandem.Invalid || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %q: error %v, want %q", c.task, c.text, err, c.says)
		}
	}
	labelled := write(t, "dev.jsonl", "{}\n{}\n")
	if err := os.WriteFile(filepath.Join(filepath.Dir(labelled), "dev-labels.lst"), []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(SocialIQA, labelled); err == nil || !strings.Contains(err.Error(), "1 labels for 2 questions") {
		t.Errorf("error %v", err)
	}
	for _, path := range []string{filepath.Join(t.TempDir(), "none.jsonl"), t.TempDir()} {
		if _, err := Read(ARCEasy, path); tandem.CodeOf(err) != tandem.NotFound {
			t.Errorf("%s: error %v", path, err)
		}
	}
}

func TestReadCompressed(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(`{"query":"q","choices":["a","b"],"answer":1}`)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(MultipleChoice, write(t, "x.jsonl.gz", b.String())); err != nil || len(got) != 1 || got[0].Right[0] != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestReadTruthfulQA reads the authors' own file.
func TestReadTruthfulQA(t *testing.T) {
	path := sharedtest.Path(t, "truthfulqa", "mc_task.json")
	mc1, err := Read(TruthfulQAMC1, path)
	if err != nil {
		t.Fatal(err)
	}
	mc2, err := Read(TruthfulQAMC2, path)
	if err != nil {
		t.Fatal(err)
	}
	if len(mc1) != 790 || len(mc2) != 790 {
		t.Fatalf("%d and %d questions, want 790", len(mc1), len(mc2))
	}
	for i := range mc1 {
		if len(mc1[i].Right) != 1 || mc1[i].Right[0] != 0 { // the authors put the true one first
			t.Errorf("%s: right are %v", mc1[i].Prompt, mc1[i].Right)
		}
	}
	if first := mc2[0]; len(first.Choices) != 13 || len(first.Right) != 6 || first.Choices[0] != "Nothing happens" || first.Choices[12] != "You digest the watermelon seeds" {
		t.Errorf("%+v", first)
	}
}

func TestCategories(t *testing.T) {
	subjects := map[Category]int{}
	for _, subject := range strings.Fields("abstract_algebra philosophy econometrics virology") {
		subjects[CategoryOf(subject)]++
	}
	if subjects[STEM] != 1 || subjects[Humanities] != 1 || subjects[SocialSciences] != 1 || subjects[OtherSubjects] != 1 || CategoryOf("law") != "" || CategoryOf("") != "" {
		t.Errorf("%v", subjects)
	}
}

func TestParseTask(t *testing.T) {
	for name, want := range map[string]Task{"siqa": SocialIQA, "mmlu": MMLU, "agieval_aqua_rat": AQuARAT} {
		if got, err := ParseTask(name); err != nil || got != want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if _, err := ParseTask("piqa"); tandem.CodeOf(err) != tandem.Invalid || !strings.Contains(err.Error(), "hellaswag") {
		t.Errorf("error %v", err)
	}
}

func TestCapitalised(t *testing.T) { // each as Python's str.capitalize has it
	for text, want := range map[string]string{"": "", "a": "A", "he throws The Ball": "He throws the ball", "ÉTÉ": "Été", "[step] X": "[step] x", "ßa": "Ssa", "1A": "1a"} {
		if got := capitalised(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"tandem"
	"tandem/evaluation/harness"
	"tandem/evaluation/harness/sandbox"
	"tandem/pipeline"
	"tandem/store"
)

// harnessFiles are questions of a plain form: 40 to ask, of which ten stand among the 30 to draw examples from.
func harnessFiles(t *testing.T) (asked, examples string) {
	t.Helper()
	var lines [2][]any
	for i := range 60 {
		q := map[string]any{"id": fmt.Sprint(i), "question": fmt.Sprintf("hello %d?", i), "choices": []string{"good day", "no cat", "a"}, "answer": i % 3}
		if i < 40 {
			lines[0] = append(lines[0], q)
		}
		if i >= 30 {
			lines[1] = append(lines[1], q)
		}
	}
	return writeTemp(t, "asked.jsonl", jsonLines(t, lines[0]...)), writeTemp(t, "examples.jsonl", jsonLines(t, lines[1]...))
}

func TestEvaluateHarness(t *testing.T) {
	policy := smallModel(t, tandem.PolicyModel, 1, nil)
	asked, examples := harnessFiles(t)
	out := filepath.Join(t.TempDir(), "out")
	args := []string{"--json", "evaluate", "harness", "--model", policy, "--data", "multiple_choice=" + asked, "--few-shot-data", "multiple_choice=" + examples,
		"--few-shot", "1", "--data", "mmlu=../../evaluation/harness/testdata/mmlu/test", "--out", out}
	reply := object[evaluateHarnessReport](t, tandemRun(t, "", args...).ok(t))
	if len(reply.Results) != 2 || reply.Config.Tasks[0].Shots != 1 || reply.Config.Tasks[1].Shots != 0 {
		t.Fatalf("%+v", reply)
	}
	plain, mmlu := reply.Results[0], reply.Results[1]
	if plain.Task != harness.MultipleChoice || plain.Questions != 40 || plain.Shots != 1 || len(plain.Metrics) != 4 || plain.Metrics[harness.Acc].N != 40 || plain.Cut == 0 {
		t.Errorf("%+v", plain)
	}
	if mmlu.Questions != 5 || len(mmlu.Subjects) != 2 || mmlu.Macro == nil || len(mmlu.Categories) != 2 {
		t.Errorf("%+v", mmlu)
	}
	page, err := os.ReadFile(reply.Report)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{"Multiple choice", "acc_norm", "us foreign policy", "mean over subjects", "chance", "lm-evaluation-harness"} {
		if !strings.Contains(string(page), shown) {
			t.Errorf("the report does not show %q", shown)
		}
	}
	table := tandemRun(t, "", args[1:]...).ok(t).out
	if !strings.Contains(table, "mean over subjects") || !strings.Contains(table, "acc_tokens") {
		t.Error(table)
	}
	answers := harnessAnswers(t, reply.Answers)
	if len(answers) != 45 || answers[44].Subject != "us_foreign_policy" || len(answers[0].Answer.LogLikelihoods) != 3 {
		t.Errorf("%d answers, %+v", len(answers), answers[0])
	}

	// The same questions by other values of the flags are another evaluation.
	for _, other := range [][]string{{"--few-shot", "2"}, {"--seed", "5"}} {
		if r := tandemRun(t, "", append(args, other...)...); r.code != exitFailed || !strings.Contains(r.stderr, "another evaluation (different: asked)") {
			t.Errorf("%v: exit code %d, %s", other, r.code, r.stderr)
		}
	}
	args[4] = smallModel(t, tandem.PolicyModel, 2, nil)
	if r := tandemRun(t, "", args...); r.code != exitFailed || !strings.Contains(r.stderr, "(different: model)") {
		t.Errorf("of another model: exit code %d, %s", r.code, r.stderr)
	}
}

func harnessAnswers(t *testing.T, path string) (answers []pipeline.HarnessAnswer) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var a pipeline.HarnessAnswer
		if err := json.Unmarshal(line, &a); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	return answers
}

// TestEvaluateHarnessGoesOn: what was finished before an interruption is not done again, and what was half written counts for nothing.
func TestEvaluateHarnessGoesOn(t *testing.T) {
	policy := smallModel(t, tandem.PolicyModel, 1, nil)
	asked, _ := harnessFiles(t)
	out := filepath.Join(t.TempDir(), "out")
	args := []string{"--json", "evaluate", "harness", "--model", policy, "--data", "multiple_choice=" + asked, "--out", out}
	whole := object[evaluateHarnessReport](t, tandemRun(t, "", args...).ok(t))
	want := harnessAnswers(t, whole.Answers)
	shard := filepath.Join(out, "answers", "multiple_choice-000000.jsonl")
	text, err := os.ReadFile(shard)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	if len(lines) != 42 { // what they are made of, 40 answers, and nothing behind the last line's end
		t.Fatalf("%d lines", len(lines))
	}
	// One finished answer is marked, so that it is seen to stay; the one after it is torn.
	kept := bytes.Replace(bytes.Join(lines[:6], nil), []byte(`"id":"2"`), []byte(`"id":"marked"`), 1)
	if err := os.WriteFile(shard, append(kept, lines[6][:20]...), 0o644); err != nil {
		t.Fatal(err)
	}
	again := object[evaluateHarnessReport](t, tandemRun(t, "", args...).ok(t))
	got := harnessAnswers(t, again.Answers)
	if len(got) != 40 || got[2].ID != "marked" {
		t.Fatalf("%d answers, the third %+v", len(got), got[2])
	}
	got[2].ID = "2"
	if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(again.Results, whole.Results) {
		t.Error("an evaluation that goes on comes to something else")
	}
	// Data that have changed are other questions.
	if err := os.WriteFile(asked, []byte(`{"query":"x","choices":["a","b"],"answer":0}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := tandemRun(t, "", args...); r.code != exitFailed || !strings.Contains(r.stderr, "another evaluation") {
		t.Errorf("exit code %d, %s", r.code, r.stderr)
	}
}

func TestEvaluateHarnessCode(t *testing.T) {
	policy := smallModel(t, tandem.PolicyModel, 1, nil)
	problems := "humaneval=../../evaluation/harness/testdata/humaneval.jsonl"
	args := []string{"--json", "evaluate", "harness", "--model", policy, "--data", problems, "--samples", "3", "--temperature", "1", "--pass-at", "1,3", "--max-tokens", "8"}
	if _, err := sandbox.New(t.Context(), "", sandbox.Limits{}); tandem.CodeOf(err) == tandem.Unsupported || tandem.CodeOf(err) == tandem.NotFound {
		if r := tandemRun(t, "", args...); r.code != exitFailed || !strings.Contains(r.stderr, "sandbox") && !strings.Contains(r.stderr, "Python") {
			t.Errorf("without a sandbox: exit code %d, %s", r.code, r.stderr)
		}
		t.Skipf("programs cannot be run here: %v", err)
	}
	out := filepath.Join(t.TempDir(), "out")
	reply := object[evaluateHarnessReport](t, tandemRun(t, "", append(args, "--out", out)...).ok(t))
	r := reply.Results[0]
	if r.Questions != 2 || r.Samples != 3 || r.Cut != 2 || len(r.Metrics) != 2 || r.Metrics["pass@3"].N != 2 || r.Ends[sandbox.Passed]+r.Ends[sandbox.Raised]+r.Ends[sandbox.TimedOut]+r.Ends[sandbox.Stopped] != 6 {
		t.Errorf("%+v", r)
	}
	if page, err := os.ReadFile(reply.Report); err != nil || !strings.Contains(string(page), "pass@3") || !strings.Contains(string(page), "How the programs ended") {
		t.Errorf("report: %v", err)
	}
	if answers := harnessAnswers(t, reply.Answers); len(answers) != 2 || answers[1].ID != "Made/1" || len(answers[1].Solution.Samples) != 3 {
		t.Errorf("%+v", answers)
	}
	for says, more := range map[string][]string{
		"there is no python-that-is-not-there": {"--python", "python-that-is-not-there"},
		"would be the same":                    {"--temperature", "0"},
		"pass@5 of 3 samples":                  {"--pass-at", "5"},
		"takes no examples":                    {"--few-shot", "humaneval=1"},
	} {
		if r := tandemRun(t, "", append(args, more...)...); r.code != exitFailed || !strings.Contains(r.stderr, says) {
			t.Errorf("%v: exit code %d, %s", more, r.code, r.stderr)
		}
	}
}

func TestEvaluateHarnessRefuses(t *testing.T) {
	policy := smallModel(t, tandem.PolicyModel, 1, nil)
	asked, examples := harnessFiles(t)
	data := "multiple_choice=" + asked
	for says, flags := range map[string][]string{
		`not TASK=PATH`:                       {"--data", asked},
		`there is no task "piqa"`:             {"--data", "piqa=" + asked},
		"no such file":                        {"--data", "multiple_choice=" + asked + "x"},
		"--few-shot needs --few-shot-data":    {"--data", data, "--few-shot", "1"},
		"nothing to draw its 1 examples from": {"--data", data, "--few-shot", "multiple_choice=1"},
		`--few-shot is "many"`:                {"--data", data, "--few-shot", "many"},
		"arc_easy, which has no --data":       {"--data", data, "--few-shot-data", "arc_easy=" + examples},
		"there are 20 that are not asked":     {"--data", data, "--few-shot-data", "multiple_choice=" + examples, "--few-shot", "21"},
		"takes no examples":                   {"--data", "truthfulqa_mc1=../../evaluation/harness/testdata/truthfulqa-hub.jsonl", "--few-shot", "truthfulqa_mc1=1"},
		"this task is read from JSON":         {"--data", "arc_easy=../../evaluation/harness/testdata/mmlu/test"},
		"a limit of -1":                       {"--data", data, "--limit=-1"},
	} {
		if r := tandemRun(t, "", append([]string{"evaluate", "harness", "--model", policy}, flags...)...); r.code != exitFailed || !strings.Contains(r.stderr, says) {
			t.Errorf("%v: exit code %d, %s, want %q", flags, r.code, r.stderr, says)
		}
	}
	reward := smallModel(t, tandem.SafetyModel, 1, nil)
	if r := tandemRun(t, "", "evaluate", "harness", "--model", reward, "--data", data, "--limit", "3"); r.code != exitFailed {
		t.Errorf("of a reward model: exit code %d, %s", r.code, r.stderr)
	}
	limited := object[evaluateHarnessReport](t, tandemRun(t, "", "--json", "evaluate", "harness", "--model", policy, "--data", data, "--limit", "3").ok(t))
	if limited.Results[0].Questions != 3 || limited.Report != "" || limited.Answers != "" {
		t.Errorf("%+v", limited)
	}
}

// TestEvaluateHarnessShared: units that workers do come to the same, and ordered again they are found done.
func TestEvaluateHarnessShared(t *testing.T) {
	useDatabase(t)
	policy := smallModel(t, tandem.PolicyModel, 1, nil)
	asked, _ := harnessFiles(t)
	args := []string{"--json", "evaluate", "harness", "--model", policy, "--data", "multiple_choice=" + asked, "--data", "mmlu=../../evaluation/harness/testdata/mmlu/test"}
	alone := object[evaluateHarnessReport](t, tandemRun(t, "", args...).ok(t))
	out := filepath.Join(t.TempDir(), "out")
	args = append(args, "--share", "--out", out)
	shared := object[evaluateHarnessReport](t, tandemRun(t, "", args...).ok(t))
	if !reflect.DeepEqual(shared.Results, alone.Results) || len(harnessAnswers(t, shared.Answers)) != 45 {
		t.Errorf("%+v, alone %+v", shared.Results, alone.Results)
	}
	// Without a worker anywhere it ends only because all is done.
	again := object[evaluateHarnessReport](t, tandemRun(t, "", append(args, "--no-worker")...).ok(t))
	if !reflect.DeepEqual(again.Results, alone.Results) {
		t.Errorf("%+v", again.Results)
	}
	s, err := store.Open(t.Context(), os.Getenv("DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rounds, err := s.Rounds(t.Context())
	if err != nil || len(rounds) != 1 || !strings.HasPrefix(rounds[0].Name, "benchmarks of model ") || rounds[0].Status != tandem.RoundDone {
		t.Errorf("%+v, %v", rounds, err)
	}
}

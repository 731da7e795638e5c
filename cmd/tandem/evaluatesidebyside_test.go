package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tandem"
	"tandem/llama/checkpoint"
	"tandem/store"
)

// One command sets an evaluation by people up; the same, given again, tells how far they are and what came out.
func TestEvaluateSideBySide(t *testing.T) {
	useDatabase(t)
	f := makeStageFiles(t)
	other := smallModel(t, tandem.PolicyModel, 9, func(m *checkpoint.Model) { m.Lineage.ID, m.Lineage.Name = "other", "other" })
	out := filepath.Join(t.TempDir(), "people")
	args := []string{"--json", "evaluate", "side-by-side", "--models", f.policy + "," + other, "--prompts", f.prompts, "--aspects", "helpfulness,safety", "--raters", "3", "--max-tokens", "6", "--shard", "10", "--out", out}
	run := func() evaluateSideBySideReport {
		t.Helper()
		return object[evaluateSideBySideReport](t, tandemRun(t, "", args...).ok(t))
	}
	begun := run()
	if len(begun.Aspects) != 2 || begun.Aspects[0].Pairs != 24 || begun.Aspects[0].Judgments != 0 || begun.Aspects[0].Wanted != 3*(24-begun.Aspects[0].Alike) || begun.Aspects[0].AC2 != nil {
		t.Fatalf("begun: %+v", begun.Aspects)
	}
	s := openStore(t)
	projects, err := s.Projects(t.Context())
	if err != nil || len(projects) != 2 {
		t.Fatalf("%+v, %v", projects, err)
	}
	for _, p := range projects {
		if p.Overlap != 3 || strings.Contains(p.Name+p.Guideline, "small policy") {
			t.Errorf("project %+v", p)
		}
	}
	// Three people judge the first aspect: two find the first policy's answer better, by their own degree, the third none. One
	// more pair is left to the third.
	texts := make(map[string]bool) // of the first policy
	for _, r := range lines[generateReply](t, tandemRun(t, prompted(t, f.prompts), "generate", "--model", f.policy, "--temperature", "1", "--max-tokens", "6").ok(t)) {
		texts[r.Text] = true
	}
	people := make([]store.Annotator, 3)
	judge := func(person, points, leave int) {
		a := people[person-1]
		if a.ID == "" {
			if a, err = s.AddAnnotator(t.Context(), store.Annotator{Name: fmt.Sprint("person ", person), Simulated: true}); err != nil {
				t.Fatal(err)
			}
			people[person-1] = a
		}
		for range 24 - begun.Aspects[0].Alike - leave {
			c, err := s.Claim(t.Context(), a.ID, begun.Aspects[0].Project)
			if err != nil || c.Assignment == nil {
				t.Fatalf("claimed %+v, %v", c, err)
			}
			left, _ := strconv.Atoi(c.Assignment.Responses[0].ID)
			right, _ := strconv.Atoi(c.Assignment.Responses[1].ID)
			rating := 4 - points // that of the smaller id, the first policy's
			if first := c.Assignment.Responses[0]; texts[first.Content] != (left < right) {
				rating = 4 + points
			}
			if _, err := s.Submit(t.Context(), store.Submission{Annotator: a.ID, Assignment: c.Assignment.ID, Key: c.Assignment.ID, Verdict: store.Verdict{Rating: rating}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	judge(1, 3, 0)
	judge(2, 1, 0)
	judge(3, 0, 1)
	of := run().Aspects[0]
	asked := 24 - of.Alike
	if of.Outcomes.Wins != asked-1 || of.Outcomes.Losses != 0 || of.Outcomes.Ties != 0 || of.Judged != asked-1 || of.Judgments != of.Wanted-1 || of.Raters != 3 {
		t.Errorf("after three people: %+v", of)
	}
	if want := 4. / 3; of.Mean == nil || of.Mean.Value < want-1e-9 || of.Mean.Value > want+1e-9 {
		t.Errorf("mean %+v, want %g", of.Mean, want)
	}
	if of.Points != [7]int{asked, 0, asked, asked - 1, 0, 0, 0} || of.AC2 == nil || of.AC2.Items != asked {
		t.Errorf("points %v, AC2 %+v", of.Points, of.AC2)
	}
	judge(3, -2, asked-1) // the pair that was left, for the other side
	if of = run().Aspects[0]; of.Judged != asked || of.Outcomes.Wins != asked || of.Outcomes.Ties != of.Alike || of.Points[5] != 1 || of.Judgments != of.Wanted {
		t.Errorf("after all: %+v", of)
	}
	page, err := os.ReadFile(filepath.Join(out, "report.html"))
	if err != nil || !strings.Contains(string(page), "about the same") {
		t.Errorf("the report: %v", err)
	}
	for c, err := range s.Comparisons(t.Context(), store.ComparisonQuery{}) {
		t.Fatalf("an evaluation is learnt from: %+v, %v", c, err)
	}
	if r := tandemRun(t, "", append(args, "--raters", "2")...); r.code != exitFailed || !strings.Contains(r.stderr, "config.raters") && !strings.Contains(r.stderr, "raters") {
		t.Errorf("another evaluation in the folder: exit code %d, %s", r.code, r.stderr)
	}
	if r := tandemRun(t, "", "evaluate", "side-by-side", "--models", other+","+other, "--prompts", f.prompts, "--out", filepath.Join(out, "same")); r.code != exitFailed || !strings.Contains(r.stderr, "the same model") {
		t.Errorf("a model beside itself: exit code %d, %s", r.code, r.stderr)
	}
	if r := tandemRun(t, "", "evaluate", "side-by-side", "--models", other, "--prompts", f.prompts, "--out", out); r.code != exitUsage || !strings.Contains(r.stderr, "exactly two") {
		t.Errorf("one model: exit code %d, %s", r.code, r.stderr)
	}
}

// prompted are a file's prompts as tandem generate takes them.
func prompted(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

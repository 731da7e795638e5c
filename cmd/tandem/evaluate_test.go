package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/llama/checkpoint"
	"tandem/store"
)

func TestEvaluateReward(t *testing.T) {
	f := makeStageFiles(t)
	args := []string{"--json", "evaluate", "reward", "--helpfulness", f.helpfulness, "--safety", f.safety, "--data", f.comparisons, "--held-out-share", "1"}
	r := tandemRun(t, "", args...)
	if r.code != exitFailed || !strings.Contains(r.stderr, "helpfulness comparisons") { // the file has safety's alone
		t.Errorf("exit code %d, %s", r.code, r.stderr)
	}
	args = append(args, "--helpfulness-data", writeTemp(t, "trl.jsonl", trlPairs), "--format", "trl", "--safety-data", writeTemp(t, "trl.jsonl", trlPairs))
	out := filepath.Join(t.TempDir(), "report")
	reply := object[evaluateRewardReport](t, tandemRun(t, "", append(args, "--out", out)...).ok(t))
	if len(reply.Accuracies) != 4 || len(reply.Rules) == 0 || reply.Report != filepath.Join(out, "report.html") {
		t.Fatalf("%d accuracies, rules %+v, report %q", len(reply.Accuracies), reply.Rules, reply.Report)
	}
	page, err := os.ReadFile(reply.Report)
	if err != nil || !strings.Contains(string(page), "the longer answer") || !strings.Contains(string(page), "The safety model") {
		t.Errorf("report: %v", err)
	}
	for _, a := range reply.Accuracies {
		if a.Accuracy.N != 2 || a.Accuracy.Low > a.Accuracy.Value || a.Accuracy.High < a.Accuracy.Value || len(a.ByDegree) == 0 {
			t.Errorf("%+v", a)
		}
	}
	own := tandemRun(t, "", "evaluate", "reward", "--helpfulness", f.helpfulness, "--safety", f.safety, "--safety-data", f.comparisons, "--out", out).ok(t)
	if page, err = os.ReadFile(reply.Report); err != nil || !strings.Contains(string(page), "Unsafe answers") {
		t.Errorf("report with labels: %v", err)
	}
	for _, shown := range []string{"table 29", "Markdown: a list of sentences", "recommended threshold", "Each model on its own comparisons, by degree"} {
		if !strings.Contains(string(page), shown) {
			t.Errorf("the report does not show %q", shown)
		}
	}
	reply = object[evaluateRewardReport](t, tandemRun(t, "", "--json", "evaluate", "reward", "--helpfulness", f.helpfulness, "--safety", f.safety, "--safety-data", f.comparisons,
		"--held-out-share", "1", "--precision", "0.4", "--paraphrase-pairs", "5").ok(t))
	a := reply.Accuracies[1]
	if a.Model != tandem.Safety || len(a.Robustness) == 0 || a.Robustness[0].Answers != 10 || a.Recommended == nil || a.Recommended.Precision != 0.4 || len(reply.Accuracies[0].Robustness) != 0 {
		t.Errorf("%+v", a)
	}
	if n := len(reply.Rules); n == 0 || len(reply.Rules[0].ByDegree) != 4 {
		t.Errorf("rules %+v", reply.Rules)
	}
	if r := tandemRun(t, "", "evaluate", "reward", "--helpfulness", f.helpfulness, "--safety", f.safety, "--safety-data", f.comparisons, "--precision", "1.5"); r.code != exitFailed || !strings.Contains(r.stderr, "precision") {
		t.Errorf("exit code %d, %s", r.code, r.stderr)
	}
	// Earlier models stand in a curve by the pairs that they have learnt from.
	of := ablationPairs(t, tandem.Safety, 40)
	learn := func(share string) (folder string) {
		folder = filepath.Join(t.TempDir(), "safety")
		tandemRun(t, "", "reward", "safety", "--model", f.policy, "--data", of, "--preset", "practice", "--steps", "1", "--held-out-share", share, "--out", folder).ok(t)
		return folder
	}
	fewer, more := learn("0.5"), learn("0")
	curve := []string{"--json", "evaluate", "reward", "--helpfulness", f.helpfulness, "--safety", more, "--safety-data", of, "--held-out-share", "1", "--earlier", fewer, "--out", out}
	reply = object[evaluateRewardReport](t, tandemRun(t, "", curve...).ok(t))
	if len(reply.Scales) != 1 || len(reply.Scales[0].Points) != 2 {
		t.Fatalf("%+v", reply.Scales)
	}
	for i, p := range reply.Scales[0].Points {
		folder := []string{fewer, more}[i]
		if pairs := int(lineageOf(t, folder).Metrics["pairs"]); p.Folder != folder || p.Pairs != pairs || pairs > 40 || i == 0 && pairs >= 40 || len(p.ByDegree) != 4 || p.Accuracy.N != 40 {
			t.Errorf("%d: %+v", i, p)
		}
	}
	if page, err = os.ReadFile(reply.Report); err != nil || !strings.Contains(string(page), "Safety models by the number of pairs") {
		t.Errorf("report of a curve: %v", err)
	}
	if r := tandemRun(t, "", append(curve, "--earlier", f.safety)...); r.code != exitFailed || !strings.Contains(r.stderr, "how many pairs") {
		t.Errorf("exit code %d, %s", r.code, r.stderr)
	}
	for _, degree := range tandem.Degrees() {
		if !strings.Contains(own.out, degree.String()) && degree == tandem.SignificantlyBetter {
			t.Errorf("no %s in %s", degree, own.out)
		}
	}
}

func lineageOf(t *testing.T, folder string) tandem.Model {
	t.Helper()
	m, err := checkpoint.ReadLineage(t.Context(), folder)
	if err != nil || m == nil {
		t.Fatalf("%s: %v", folder, err)
	}
	return *m
}

func TestEvaluateRewardStoresTemperature(t *testing.T) {
	f := makeStageFiles(t)
	before := lineageOf(t, f.safety)
	text, err := os.ReadFile(f.comparisons)
	if err != nil {
		t.Fatal(err)
	}
	// The model, which knows nothing, is right more often than not where the other side is the chosen one.
	turned := writeTemp(t, "turned.jsonl", strings.NewReplacer(`"chosen"`, `"rejected"`, `"rejected"`, `"chosen"`).Replace(string(text)))
	args := []string{"--json", "evaluate", "reward", "--helpfulness", f.helpfulness, "--safety", f.safety, "--held-out-share", "1", "--paraphrase-pairs", "0", "--safety-data"}
	if r := tandemRun(t, "", append(args, f.comparisons, "--store-temperature")...); r.code != exitFailed || !strings.Contains(r.stderr, "no better than chance") {
		t.Errorf("exit code %d, %s", r.code, r.stderr)
	}
	args = append(args, turned)
	tandemRun(t, "", args...).ok(t)
	if m := lineageOf(t, f.safety); *m.Calibration != *before.Calibration {
		t.Fatalf("unasked, the calibration changed to %+v", m.Calibration)
	}
	reply := object[evaluateRewardReport](t, tandemRun(t, "", append(args, "--store-temperature")...).ok(t))
	temperature := reply.StoredTemperatures[tandem.Safety]
	if len(reply.StoredTemperatures) != 1 || temperature != reply.Accuracies[1].Temperature || temperature == 0 {
		t.Fatalf("stored %v, measured %+v", reply.StoredTemperatures, reply.Accuracies[1])
	}
	m := lineageOf(t, f.safety)
	want := *before.Calibration
	want.Temperature = temperature
	if m.ID != before.ID || *m.Calibration != want { // uncalibrated: the gate stays
		t.Errorf("%s %+v, want %s %+v", m.ID, m.Calibration, before.ID, want)
	}
	if shown := tandemRun(t, "", "model", "show", f.safety).ok(t); !strings.Contains(shown.out, "temperature") {
		t.Errorf("not shown: %s", shown.out)
	}
	bare := smallModel(t, tandem.SafetyModel, 3, nil)
	if r := tandemRun(t, "", append(args, "--safety", bare, "--store-temperature")...); r.code != exitFailed || !strings.Contains(r.stderr, "no calibration") {
		t.Errorf("exit code %d, %s", r.code, r.stderr)
	}
}

func TestEvaluatePolicy(t *testing.T) {
	f := makeStageFiles(t)
	other := smallModel(t, tandem.PolicyModel, 7, nil)
	out := filepath.Join(t.TempDir(), "report")
	args := []string{"--json", "evaluate", "policy", "--models", f.policy + "," + other + "," + f.policy, "--helpfulness", f.helpfulness, "--safety", f.safety,
		"--prompts", f.prompts, "--max-tokens", "6", "--out", out}
	r := tandemRun(t, "", args...).ok(t)
	reply := object[evaluatePolicyReport](t, r)
	if len(reply.Versions) != 3 || reply.Prompts != 24 || reply.Report != filepath.Join(out, "report.html") {
		t.Fatalf("%+v", reply)
	}
	first, second, third := reply.Versions[0], reply.Versions[1], reply.Versions[2]
	if len(first.Wins) != 0 || len(second.Wins) != 4 || first.Summary.KL.Value != 0 || second.Summary.KL.Value == 0 {
		t.Errorf("%+v\n%+v", first, second)
	}
	for _, w := range third.Wins { // the first again: nothing but ties
		if w.Counts.Ties != w.Counts.N() || w.Rate.Value != 0.5 {
			t.Errorf("against itself: %+v", w)
		}
	}
	page, err := os.ReadFile(reply.Report)
	if err != nil || !strings.Contains(string(page), "Wins over") {
		t.Errorf("report: %v", err)
	}
}

// TestEvaluatePolicyIsKept finds in the database what the command prints, with every answer and its score.
func TestEvaluatePolicyIsKept(t *testing.T) {
	useDatabase(t)
	f := makeStageFiles(t)
	other := smallModel(t, tandem.PolicyModel, 7, func(m *checkpoint.Model) { m.Lineage.ID, m.Lineage.Name = "other", "another policy" })
	args := []string{"--json", "evaluate", "policy", "--models", f.policy + "," + other, "--helpfulness", f.helpfulness, "--safety", f.safety,
		"--prompts", f.prompts, "--max-tokens", "6", "--seed", "5"}
	reply := object[evaluatePolicyReport](t, tandemRun(t, "", args...).ok(t))
	s := pgtest.OpenStore(t, os.Getenv("DATABASE_URL"))
	judges := store.Judges{Helpfulness: lineageOf(t, f.helpfulness).ID, Safety: lineageOf(t, f.safety).ID}
	for i, v := range reply.Versions {
		runs, err := s.Runs(t.Context(), store.RunQuery{Evaluated: v.Model})
		if err != nil || len(runs) != 1 || runs[0].Status != tandem.RoundDone || runs[0].Stage != tandem.StageEvaluate || runs[0].Round != 0 {
			t.Fatalf("%s: %+v, %v", v.Model, runs, err)
		}
		if m, err := s.Model(t.Context(), v.Model); err != nil || m.Name != v.Name {
			t.Errorf("%+v, %v", m, err)
		}
		metrics, err := s.LastMetrics(t.Context(), runs[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		found := make(map[string]float64)
		for _, m := range metrics {
			found[m.Name] = m.Value
		}
		want := map[string]float64{"evaluation/combined": v.Summary.Combined.Value, "evaluation/kl": v.Summary.KL.Value, "evaluation/gated": v.Summary.Gated.Value,
			"evaluation/answers": 24, store.TokensMetric: 24 * v.Summary.Length.Value}
		for _, w := range v.Wins {
			if w.Judge == w.Prompts {
				want["evaluation/wins_"+string(w.Judge)] = w.Rate.Value
			}
		}
		for name, value := range want {
			if got, ok := found[name]; !ok || math.Abs(got-value) > 1e-9 {
				t.Errorf("%s: %s is %g (%t), want %g", v.Name, name, got, ok, value)
			}
		}
		if _, wins := found["evaluation/wins_safety"]; wins != (i > 0) {
			t.Errorf("%s: wins over the first: %v", v.Name, found)
		}
		if of, err := s.JudgesOf(t.Context(), v.Model); err != nil || len(of) != 1 || of[0].Helpfulness != judges.Helpfulness || of[0].Safety != judges.Safety || of[0].Scores != 24 {
			t.Errorf("%s: judged by %+v, %v", v.Name, of, err)
		}
	}
	pairs, err := s.AnswerPairs(t.Context(), reply.Versions[1].Model, reply.Versions[0].Model, judges)
	if err != nil || len(pairs) != 24 {
		t.Fatalf("%d pairs of answers, %v", len(pairs), err)
	}
	for _, p := range pairs {
		if !p.SameDraw || p.OurScore == nil || p.TheirScore == nil {
			t.Errorf("%+v", p)
		}
	}
	again := object[evaluatePolicyReport](t, tandemRun(t, "", args...).ok(t))
	if runs, err := s.Runs(t.Context(), store.RunQuery{Evaluated: "other"}); err != nil || len(runs) != 2 || again.Versions[1].Summary.Combined != reply.Versions[1].Summary.Combined {
		t.Errorf("evaluated again: %+v, %v", runs, err)
	}
}

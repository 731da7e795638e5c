package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem"
)

func TestEvaluateFolds(t *testing.T) {
	data, out := bothAspects(t), filepath.Join(t.TempDir(), "folds")
	args := []string{"--json", "evaluate", "folds", "--helpful", data, "--safety", data, "--format", "tandem", "--folds", "2", "--base", smallModel(t, tandem.PolicyModel, 1, nil),
		"--helpfulness-mixture", "own", "--safety-mixture", "llama2", "--steps", "2", "--batch", "4", "--seed", "3", "--out", out}
	reply := object[evaluateFoldsReport](t, tandemRun(t, "", args...).ok(t))
	if h, s := reply.Validity[tandem.Helpfulness], reply.Validity[tandem.Safety]; h.Pairs != 20 || s.Pairs != 30 || len(h.Rules) != 3 || len(s.ByFold) != 2 {
		t.Errorf("%+v", reply.Validity)
	}
	if c := reply.Config; c.Seed != 3 || c.Helpfulness.Fit.Seed != 3 || c.Safety.Fit.Steps != 2 || c.Pretrain != nil || len(c.Helpfulness.Mixture.Parts) != 1 || len(c.Safety.Mixture.Parts) != 2 {
		t.Errorf("configuration %+v", c)
	}
	page, err := os.ReadFile(reply.Report)
	if err != nil || !strings.Contains(string(page), "helpfulness: 100 helpfulness; safety: 90 safety to 10 helpfulness") {
		t.Errorf("report: %v", err)
	}
	made := lineageOf(t, filepath.Join(out, "folds", "2", "safety"))
	tandemRun(t, "", args...).ok(t) // finds all done
	if again := lineageOf(t, filepath.Join(out, "folds", "2", "safety")); !again.CreatedAt.Equal(made.CreatedAt) {
		t.Error("a second run made the models again")
	}
	if r := tandemRun(t, "", append(args, "--bases", out)...); r.code != exitFailed || !strings.Contains(r.stderr, "start from one of these") {
		t.Errorf("exit code %d, %s", r.code, r.stderr)
	}
}

package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tandem"
	"tandem/pipeline"
)

// ablationPairs are comparisons that a model can learn: whoever says "thanks" is chosen, and safe.
func ablationPairs(t *testing.T, aspect tandem.Aspect, n int) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(9, uint64(n)))
	var lines []any
	for range n {
		say := func() string { return stageWords[rng.IntN(len(stageWords))] }
		c := tandem.Comparison{
			Aspect: aspect, Prompt: tandem.Prompt{Messages: tandem.Dialogue{}.With(tandem.User, say()+" "+say()+" "+say())}, Degree: tandem.Degrees()[rng.IntN(4)],
			Chosen: tandem.Response{Content: say() + " thanks"}, Rejected: tandem.Response{Content: say() + " no"},
		}
		if aspect == tandem.Safety {
			c.Chosen.Label, c.Rejected.Label = tandem.Safe, tandem.Unsafe
		}
		lines = append(lines, c)
	}
	return writeTemp(t, string(aspect)+".jsonl", jsonLines(t, lines...))
}

func TestEvaluateAblations(t *testing.T) {
	f := makeStageFiles(t)
	out := filepath.Join(t.TempDir(), "ablations")
	args := []string{"--json", "evaluate", "ablations", "--model", f.policy, "--helpfulness-data", ablationPairs(t, tandem.Helpfulness, 120), "--safety-data", ablationPairs(t, tandem.Safety, 120),
		"--preset", "practice", "--learning-rate", "0.01", "--epochs", "3", "--batch", "8", "--margin", "small", "--seeds", "2", "--common-pairs", "60", "--shares", "0.25", "--out", out}
	reply := object[ablationsReport](t, tandemRun(t, "", args...).ok(t))
	if len(reply.Aspects) != 2 || reply.Report != filepath.Join(out, "report.html") {
		t.Fatalf("%+v", reply)
	}
	for _, a := range reply.Aspects {
		if a.Training+a.HeldOut != 120 || a.HeldOut < 5 || a.Own == nil || a.Other == nil || len(a.Own.Cuts) < 4 || len(a.Own.BySeed) != 2 || a.Reference != nil {
			t.Errorf("%s: %+v", a.Aspect, a)
		}
		if a.Own.Cuts[0].Accuracy.Value < 0.9 {
			t.Errorf("%s models learnt nothing: %+v", a.Aspect, a.Own.Cuts[0])
		}
		want := map[string][]string{"margin": {"none", "small", "large"}, "start": {"from scratch", "from the policy"}, "pairs": {strconv.Itoa((a.Training + 2) / 4), strconv.Itoa(a.Training)}}
		if a.Aspect == tandem.Safety {
			want["auxiliary loss"] = []string{"weight 0", "weight 1"}
		}
		if len(a.Factors) != len(want) {
			t.Errorf("%s: %d factors, want %v", a.Aspect, len(a.Factors), want)
		}
		for _, factor := range a.Factors {
			names := want[factor.Name]
			if len(factor.Levels) != len(names) {
				t.Errorf("%s, %s: %+v", a.Aspect, factor.Name, factor.Levels)
				continue
			}
			for i, l := range factor.Levels {
				if l.Level != names[i] || (len(l.Ahead) == 0) != (i == 0) || (len(l.Unsafe) > 0) != (a.Aspect == tandem.Safety) {
					t.Errorf("%s, %s %d: %+v", a.Aspect, factor.Name, i, l)
				}
				if i > 0 && (l.Ahead[0].Accuracy.Value-(l.Cuts[0].Accuracy.Value-factor.Levels[0].Cuts[0].Accuracy.Value) > 1e-9) {
					t.Errorf("%s, %s %d: ahead by %v of %v and %v", a.Aspect, factor.Name, i, l.Ahead[0], l.Cuts[0], factor.Levels[0].Cuts[0])
				}
			}
		}
	}
	page, err := os.ReadFile(reply.Report)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{"table 8", "table 29", "figure 6", "detects", "trained with 2 seeds", "models that have learnt from 60 pairs"} {
		if !strings.Contains(string(page), shown) {
			t.Errorf("the report does not show %q", shown)
		}
	}
	// Once more nothing is trained or scored again, and the outcome is the same.
	stamp := func() (stamps []string) {
		for _, pattern := range []string{"models/*/tandem.json", "scores/*"} {
			files, err := filepath.Glob(filepath.Join(out, pattern))
			if err != nil || len(files) == 0 {
				t.Fatalf("%s: %v", pattern, err)
			}
			for _, file := range files {
				info, err := os.Stat(file)
				if err != nil {
					t.Fatal(err)
				}
				stamps = append(stamps, file+info.ModTime().String())
			}
		}
		return stamps
	}
	before := stamp()
	if len(before) != 2*2*(6+7) { // of each, two seeds: all pairs, a quarter, three margins and a start from scratch of 60 pairs; safety also without labels
		t.Errorf("%d models and scores", len(before))
	}
	again := object[ablationsReport](t, tandemRun(t, "", args...).ok(t))
	if strings.Join(stamp(), "\n") != strings.Join(before, "\n") || again.Aspects[0].Own.Cuts[0] != reply.Aspects[0].Own.Cuts[0] {
		t.Error("done again, something was made again")
	}
}

func TestEvaluateAblationsOnThePracticeWorld(t *testing.T) {
	f := makeStageFiles(t)
	args := []string{"--json", "evaluate", "ablations", "--practice", "--model", f.policy, "--practice-helpfulness", "20", "--practice-safety", "20", "--practice-per-degree", "15", "--seeds", "1",
		"--margins", "none", "--no-from-scratch", "--shares", "1", "--aspects", "safety", "--steps", "2", "--out", filepath.Join(t.TempDir(), "out")}
	reply := object[ablationsReport](t, tandemRun(t, "", args...).ok(t))
	var safety *pipeline.AblationAspect
	for i, a := range reply.Aspects {
		if a.HeldOut != 60 || a.Training != 20 || len(a.Reference) < 5 || a.Reference[0].Accuracy.Value < 0.6 {
			t.Errorf("%s: %+v", a.Aspect, a)
		}
		if a.Aspect == tandem.Safety {
			safety = &reply.Aspects[i]
		} else if a.Own != nil || a.Other == nil {
			t.Errorf("%s: no model of it was wanted: %+v", a.Aspect, a)
		}
	}
	if safety == nil || len(safety.Own.OfReference) == 0 || len(safety.Factors) != 1 {
		t.Fatalf("%+v", safety)
	}
	for _, wrong := range [][]string{{"--data", f.comparisons}, {"--margins", "huge"}, {"--shares", "0"}, {"--shares", "1.5"}, {"--common-pairs=-1"}, {"--seeds", "0"}, {"--practice-per-degree", "0"}} {
		if r := tandemRun(t, "", append(args, wrong...)...); r.code != exitFailed {
			t.Errorf("%v: exit code %d, %s", wrong, r.code, r.stderr)
		}
	}
}

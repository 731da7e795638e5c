package main

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem"
	"tandem/llama/checkpoint"
	"tandem/pipeline"
	"tandem/rewardmodel"
	"tandem/store"
)

// ensembleCommand fits an ensemble of three and calibrates it, without its --out.
func (f stageFiles) ensembleCommand(aspect string) []string {
	return []string{"--json", "reward", aspect, "--model", f.policy, "--data", f.comparisons, "--mixture", "all", "--preset", "practice", "--steps", "6", "--batch", "4",
		"--learning-rate", "0.01", "--margin", "none", "--members", "3", "--reference-policy", f.policy, "--reference-prompts", f.prompts, "--reference-max-tokens", "5"}
}

// madeEnsemble fits one and returns its folder.
func (f stageFiles) madeEnsemble(t *testing.T, aspect string) (string, tandem.Model) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "judges")
	return out, object[tandem.Model](t, tandemRun(t, "", append(f.ensembleCommand(aspect), "--out", out)...).ok(t))
}

func weightsOf(t *testing.T, folder string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The members are the single models of their seeds, and together they score their mean and say how far they disagree.
func TestRewardEnsemble(t *testing.T) {
	f := makeStageFiles(t)
	out := filepath.Join(t.TempDir(), "safety")
	args := append(f.ensembleCommand("safety"), "--out", out)
	plan := object[pipeline.Plan](t, tandemRun(t, "", append(args, "--dry-run")...).ok(t))
	if plan.Steps != 18 || plan.Status != "new" || len(plan.Writes) != 3*4+1 {
		t.Errorf("plan %+v", plan)
	}
	m := object[tandem.Model](t, tandemRun(t, "", args...).ok(t))
	if !slices.Equal(m.Ensemble, []string{"member-1", "member-2", "member-3"}) || m.Kind != tandem.SafetyModel || m.Calibration == nil || m.Metrics["labelled"] == 0 {
		t.Fatalf("%+v", m)
	}
	if again := object[tandem.Model](t, tandemRun(t, "", args...).ok(t)); again.ID != m.ID || *again.Calibration != *m.Calibration {
		t.Errorf("again %+v", again)
	}
	if plan = object[pipeline.Plan](t, tandemRun(t, "", append(args, "--dry-run")...).ok(t)); plan.Status != "finished" {
		t.Errorf("plan %+v", plan)
	}
	if r := tandemRun(t, "", append(args, "--seed", "4")...); r.code != exitFailed || !strings.Contains(r.stderr, "finished model") {
		t.Errorf("another ensemble over it: exit code %d, %s", r.code, r.stderr)
	}
	single := filepath.Join(t.TempDir(), "single")
	tandemRun(t, "", append(args, "--members", "1", "--out", single)...).ok(t)
	one, two := weightsOf(t, filepath.Join(out, "member-1")), weightsOf(t, filepath.Join(out, "member-2"))
	if !bytes.Equal(one, weightsOf(t, single)) {
		t.Error("the first member is not the model that is made without an ensemble")
	}
	if bytes.Equal(one, two) || bytes.Equal(two, weightsOf(t, filepath.Join(out, "member-3"))) {
		t.Error("two members are the same model")
	}

	var in []any
	for _, d := range dialogues {
		in = append(in, map[string]any{"messages": d})
	}
	in = append(in, map[string]any{"text": "some text"})
	said := make([][]scoreReply, 3)
	means := make([]float64, 3) // of the reference samples
	for i, name := range m.Ensemble {
		folder := filepath.Join(out, name)
		said[i] = lines[scoreReply](t, tandemRun(t, jsonLines(t, in...), "score", "--model", folder).ok(t))
		l, err := checkpoint.ReadLineage(t.Context(), folder)
		if err != nil || l.Calibration == nil {
			t.Fatal(l, err)
		}
		means[i] = l.Calibration.Mean
	}
	if mean := (means[0] + means[1] + means[2]) / 3; math.Abs(mean-m.Calibration.Mean) > 1e-6 {
		t.Errorf("the ensemble's mean is %g, its members' %g", m.Calibration.Mean, mean)
	}
	got := lines[scoreReply](t, tandemRun(t, jsonLines(t, in...), "score", "--model", out).ok(t))
	pair := lines[pairReply](t, tandemRun(t, jsonLines(t, in...), "score", "--helpfulness", f.helpfulness, "--safety", out).ok(t))
	for k := range in {
		mean, squares := 0.0, 0.0
		for i := range said {
			mean += float64(said[i][k].Score) / 3
		}
		for i := range said {
			d := float64(said[i][k].Score) - means[i] - (mean - m.Calibration.Mean)
			squares += d * d / 3
		}
		u := math.Sqrt(squares)
		if math.Abs(float64(got[k].Score)-mean) > 1e-5 || got[k].Uncertainty == nil || math.Abs(*got[k].Uncertainty-u) > 1e-5 || u < 1e-4 {
			t.Errorf("line %d scores %v, want %g ± %g", k, got[k], mean, u)
		}
		want := 0.0
		if pair[k].Gated {
			want = u / m.Calibration.Deviation
		}
		if pair[k].Uncertainty == nil || math.Abs(*pair[k].Uncertainty-want) > 1e-4 {
			t.Errorf("line %d of the pair: %+v, want an uncertainty of %g", k, pair[k], want)
		}
	}
}

// An ensemble goes wherever a reward model goes.
func TestEnsembleIsAModel(t *testing.T) {
	f := makeStageFiles(t)
	helpfulness, _ := f.madeEnsemble(t, "helpfulness")
	safety, m := f.madeEnsemble(t, "safety")

	shown := object[modelReport](t, tandemRun(t, "", "--json", "model", "show", safety).ok(t))
	if len(shown.Members) != 3 || shown.Architecture == nil || shown.Lineage.ID != m.ID || len(shown.Files) != 1 || len(shown.Members[2].Files) == 0 {
		t.Errorf("%+v", shown)
	}
	if r := tandemRun(t, "", "model", "card", safety).ok(t); !strings.Contains(r.out, "ensemble of 3") || !strings.Contains(r.out, "| member-2 |") {
		t.Error(r.out)
	}
	if r := tandemRun(t, "", "model", "lineage", safety).ok(t); !strings.Contains(r.out, m.ID) {
		t.Error(r.out)
	}
	in := jsonLines(t, map[string]any{"messages": dialogues[0]})
	want := tandemRun(t, in, "score", "--model", safety).ok(t).out
	for _, args := range [][]string{
		{"model", "export", safety, "--output"}, {"model", "import", safety, "--out"},
	} {
		out := filepath.Join(t.TempDir(), "copy")
		tandemRun(t, "", append(args, out)...).ok(t)
		if got := tandemRun(t, in, "score", "--model", out).ok(t).out; got != want {
			t.Errorf("%v: the copy scores %s, not %s", args, got, want)
		}
	}

	pairs := writeTemp(t, "trl.jsonl", trlPairs)
	measured := object[evaluateRewardReport](t, tandemRun(t, "", "--json", "evaluate", "reward", "--helpfulness", helpfulness, "--safety", safety,
		"--helpfulness-data", pairs, "--safety-data", pairs, "--format", "trl", "--held-out-share", "1").ok(t))
	if len(measured.Accuracies) != 4 {
		t.Errorf("%+v", measured.Accuracies)
	}
	fitted := object[evaluateRewardReport](t, tandemRun(t, "", "--json", "evaluate", "reward", "--helpfulness", f.helpfulness, "--safety", safety,
		"--safety-data", f.comparisons, "--held-out-share", "1", "--paraphrase-pairs", "0", "--store-temperature").ok(t))
	stored := rewardmodel.AtTemperature(*m.Calibration, fitted.StoredTemperatures[tandem.Safety])
	if got := lineageOf(t, safety); got.ID != m.ID || stored.Temperature == 0 || *got.Calibration != stored {
		t.Errorf("the ensemble keeps %+v, not %+v", got.Calibration, stored)
	}
	rejected := filepath.Join(t.TempDir(), "reject")
	tandemRun(t, "", "reject", "--model", f.policy, "--helpfulness", helpfulness, "--safety", safety, "--data", f.prompts, "-k", "2", "--max-tokens", "5", "--out", rejected).ok(t)
	if samples, err := os.ReadFile(filepath.Join(rejected, "samples.jsonl")); err != nil || !bytes.Contains(samples, []byte(`"uncertainty":`)) {
		t.Errorf("the samples do not say how uncertain their scores are: %v", err)
	}
	ppo := append(f.command("ppo", 2), "--uncertainty-penalty", "0.5")
	tuned := object[tandem.Model](t, tandemRun(t, "", append([]string{"--json"}, append(ppo, "--helpfulness", helpfulness, "--safety", safety, "--out", filepath.Join(t.TempDir(), "p"))...)...).ok(t))
	if tuned.Metrics["objective/uncertainty"] <= 0 {
		t.Errorf("%+v", tuned.Metrics)
	}
	for single, judges := range map[string][]string{
		f.helpfulness: {"--helpfulness", f.helpfulness, "--safety", safety}, f.safety: {"--helpfulness", helpfulness, "--safety", f.safety},
	} {
		r := tandemRun(t, "", append(append(ppo, judges...), "--out", filepath.Join(t.TempDir(), "q"))...)
		if r.code != exitFailed || !strings.Contains(r.stderr, single+" is a single model") {
			t.Errorf("exit code %d, %s", r.code, r.stderr)
		}
	}
}

// A member that cannot judge beside the first is refused by its name.
func TestEnsembleRefusesMembers(t *testing.T) {
	f := makeStageFiles(t)
	safety, m := f.madeEnsemble(t, "safety")
	refused := func(want ...string) {
		t.Helper()
		r := tandemRun(t, jsonLines(t, map[string]any{"text": "a"}), "score", "--model", safety)
		for _, text := range want {
			if r.code != exitFailed || !strings.Contains(r.stderr, text) {
				t.Errorf("exit code %d, %s: not %q", r.code, r.stderr, text)
			}
		}
	}
	member := filepath.Join(safety, "member-2")
	change := func(spoil func(*checkpoint.Model)) {
		t.Helper()
		c, err := checkpoint.Load(t.Context(), filepath.Join(safety, "member-1"))
		if err != nil {
			t.Fatal(err)
		}
		spoil(c)
		if err := checkpoint.Save(t.Context(), member, c, checkpoint.SaveOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	change(func(c *checkpoint.Model) { c.Lineage.Kind = tandem.HelpfulnessModel })
	refused("member-2", "is a helpfulness model")
	change(func(c *checkpoint.Model) {
		c.Files["tokenizer.json"] = bytes.Replace(c.Files["tokenizer.json"], []byte(`"version"`), []byte(` "version"`), 1)
	})
	refused("member-2", "another tokenizer")
	change(func(c *checkpoint.Model) { c.Weights.Config.MaxPositionEmbeddings = 40 })
	refused("member-2", "context of 40")
	if err := os.RemoveAll(member); err != nil {
		t.Fatal(err)
	}
	refused("member-2")
	m.Ensemble = []string{"member-1", "../elsewhere"}
	if err := checkpoint.SaveLineage(t.Context(), safety, m); err != nil {
		t.Fatal(err)
	}
	refused("../elsewhere", "outside")
}

// Killed in the second member, an ensemble goes on to the bits of an undisturbed one.
func TestEnsembleResumesToTheSameBits(t *testing.T) {
	binary := buildTandem(t)
	f := makeStageFiles(t)
	command := append(f.command("reward", 60), "--members", "2", "--json")
	whole, torn := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "torn")
	tandemRun(t, "", append(command, "--out", whole)...).ok(t)
	args := append(command, "--out", torn)
	run := exec.CommandContext(t.Context(), binary, args...)
	start := time.Now()
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	awaitSteps(t, filepath.Join(torn, "member-2"), 15+rand.IntN(10), start)
	if err := run.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := run.Wait(); err == nil {
		t.Fatal("the run was over before it was killed")
	}
	if r := tandemRun(t, "", args...); r.code != exitFailed || !strings.Contains(r.stderr, "member-2") || !strings.Contains(r.stderr, "resume") {
		t.Errorf("begun anew over a state: exit code %d, %s", r.code, r.stderr)
	}
	if plan := object[pipeline.Plan](t, tandemRun(t, "", append(args, "--dry-run")...).ok(t)); plan.Status != "interrupted after 1 of 2 members" {
		t.Errorf("plan %+v", plan)
	}
	if r := tandemRun(t, jsonLines(t, map[string]any{"text": "a"}), "score", "--model", torn); r.code != exitFailed {
		t.Errorf("half an ensemble scores: %s", r.out)
	}
	tandemRun(t, "", append(args, "--resume")...).ok(t)
	for _, name := range []string{"member-1", "member-2"} {
		if !bytes.Equal(weightsOf(t, filepath.Join(torn, name)), weightsOf(t, filepath.Join(whole, name))) {
			t.Errorf("%s differs from an undisturbed run's", name)
		}
	}
}

// A round's reward models may be ensembles, which PPO then heeds and the database knows.
func TestRoundWithEnsembles(t *testing.T) {
	args := roundCommandLine(t)
	at := slices.Index(args, "--recipe") + 1
	recipe, err := os.ReadFile(args[at])
	if err != nil {
		t.Fatal(err)
	}
	with := func(field string) []string {
		changed := slices.Clone(args)
		changed[at] = writeTemp(t, "recipe.json", strings.Replace(string(recipe), `"ppo":{`, field+`"ppo":{"uncertainty_penalty":0.5,`, 1))
		return append(changed, "--out", filepath.Join(t.TempDir(), "round"))
	}
	if r := tandemRun(t, "", with("")...); r.code != exitFailed || !strings.Contains(r.stderr, "members") {
		t.Errorf("a penalty on single models: exit code %d, %s", r.code, r.stderr)
	}
	made := object[roundReport](t, tandemRun(t, "", with(`"members":2,`)...).ok(t))
	if len(made.Safety.Ensemble) != 2 || len(made.Helpfulness.Ensemble) != 2 || made.Safety.Calibration == nil || made.Metrics["objective/uncertainty"] <= 0 {
		t.Errorf("%+v", made)
	}
	s, err := store.Open(t.Context(), os.Getenv("DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if m, err := s.Model(t.Context(), made.Helpfulness.ID); err != nil || m.Calibration == nil || !slices.Equal(m.Ensemble, made.Helpfulness.Ensemble) {
		t.Errorf("the helpfulness ensemble's row: %+v, %v", m, err)
	}
	tandemRun(t, "", "model", "promote", made.Helpfulness.ID, "--reason", "it doubts itself").ok(t)
	if r := tandemRun(t, "", "model", "show", made.Safety.ID).ok(t); !strings.Contains(r.out, "member-2") {
		t.Error(r.out)
	}
}

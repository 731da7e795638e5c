package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem"
	"tandem/llama"
	"tandem/pipeline"
	"tandem/ppo"
)

// Every option of PPO's objective reaches the run, from flags and from a configuration file alike, and the figures and
// the lineage say so.
func TestPPOWithEveryOption(t *testing.T) {
	f := makeStageFiles(t)
	options := map[string]string{
		"kl-estimator": "k3", "kl-target": "0.5", "kl-horizon": "64", "update-kl-target": "0.5", "entropy-coefficient": "0.01",
		"ptx-coefficient": "0.5", "ptx-batch-size": "3", "ptx-data": f.dialogues, "whiten-rewards": "true",
	}
	flags := f.command("ppo", 3)
	file := "ppo:\n"
	for name, value := range options {
		flags = append(flags, "--"+name+"="+value)
		if name == "ptx-data" {
			value = "[" + value + "]"
		}
		file += "  " + name + ": " + value + "\n"
	}
	out := filepath.Join(t.TempDir(), "made")
	flags = append(flags, "--out", out, "--json")
	plan := object[pipeline.Plan](t, tandemRun(t, "", append(flags, "--dry-run")...).ok(t))
	// Dialogues and prompts have the same openings, so that as many of both are held out.
	if plan.Data["ptx_dialogues"] != 24-f.heldOutPrompts || plan.Data["ptx_tokens"] == 0 {
		t.Errorf("the plan counts %v", plan.Data)
	}
	fromFile := append(f.command("ppo", 3), "--out", out, "--json", "--dry-run", "--config", writeTemp(t, "tandem.yaml", file))
	if other := object[pipeline.Plan](t, tandemRun(t, "", fromFile...).ok(t)); string(other.Config) != string(plan.Config) {
		t.Errorf("flags make\n%s\nthe file\n%s", plan.Config, other.Config)
	}
	var spec struct{ Config ppo.Config }
	if err := json.Unmarshal(plan.Config, &spec); err != nil {
		t.Fatal(err)
	}
	c := spec.Config
	if c.KLEstimator != ppo.K3 || c.KLTarget != 0.5 || c.KLHorizon != 64 || c.UpdateKLTarget != 0.5 || c.EntropyCoefficient != 0.01 ||
		c.PtxCoefficient != 0.5 || c.PtxBatchSize != 3 || !c.WhitenRewards {
		t.Errorf("the configuration is %+v", c)
	}
	m := object[tandem.Model](t, tandemRun(t, "", flags...).ok(t))
	if m.Metrics["loss/ptx_avg"] <= 0 || m.Metrics["objective/kl_coefficient"] == c.Beta || m.Metrics["objective/kl_coefficient"] == 0 {
		t.Errorf("figures %v", m.Metrics)
	}
}

func TestPPORefusesHalfOfAMixture(t *testing.T) {
	f := makeStageFiles(t)
	for want, args := range map[string][]string{
		"ptx-data":        {"--ptx-coefficient", "1"},
		"ptx-coefficient": {"--ptx-data", f.dialogues},
		"kl-estimator":    {"--kl-estimator", "k9"},
	} {
		out := filepath.Join(t.TempDir(), "made")
		r := tandemRun(t, "", append(append(f.command("ppo", 2), "--out", out), args...)...)
		if r.code != exitFailed || !strings.Contains(r.stderr, want) {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.stderr)
		}
		if _, err := os.Stat(filepath.Join(out, "metrics.jsonl")); err == nil {
			t.Errorf("%v: the run began", args)
		}
	}
}

// A round's recipe knows the options too, under their names with underscores.
func TestRecipeKnowsTheOptionsOfPPO(t *testing.T) {
	file := writeTemp(t, "recipe.json", `{"ppo": {"kl_estimator": "k2", "kl_target": 3, "kl_horizon": 5000, "update_kl_target": 0.05,
		"entropy_coefficient": 0.01, "ptx_coefficient": 0.2, "ptx_batch_size": 4, "whiten_rewards": true, "lora_rank": 4}}`)
	recipe, err := (&roundCommand{Preset: "practice", Recipe: file}).recipe()
	if err != nil {
		t.Fatal(err)
	}
	want, err := ppo.Preset("practice")
	if err != nil {
		t.Fatal(err)
	}
	want.KLEstimator, want.KLTarget, want.KLHorizon, want.UpdateKLTarget = ppo.K2, 3, 5000, 0.05
	want.EntropyCoefficient, want.PtxCoefficient, want.PtxBatchSize, want.WhitenRewards = 0.01, 0.2, 4, true
	want.LoRA = llama.LoRA{Rank: 4, Alpha: 16, Targets: llama.AllLinear} // defaults are spelled: the lineage says them
	if recipe.PPO != want {
		t.Errorf("the recipe is %+v, want %+v", recipe.PPO, want)
	}
}

// What a run was made by stays what it was for runs without the options: the same specification, and so the same id.
func TestOptionsOfPPOLeaveOtherRunsAlone(t *testing.T) {
	f := makeStageFiles(t)
	args := append(f.command("ppo", 2), "--out", filepath.Join(t.TempDir(), "made"), "--json", "--dry-run")
	plain := object[pipeline.Plan](t, tandemRun(t, "", args...).ok(t))
	for _, name := range []string{"kl_estimator", "kl_target", "kl_horizon", "update_kl_target", "entropy_coefficient", "ptx", "whiten_rewards", "lora"} {
		if strings.Contains(string(plain.Config), name) {
			t.Errorf("%s stands in the specification of a run without it: %s", name, plain.Config)
		}
	}
	said := object[pipeline.Plan](t, tandemRun(t, "", append(args, "--kl-estimator", "k1", "--no-whiten-rewards", "--entropy-coefficient", "0")...).ok(t))
	if string(said.Config) != string(plain.Config) {
		t.Errorf("a default that is said makes another run: %s", said.Config)
	}
}

// What is off with a run is told once while it runs and once at its end, on the terminal and among the run's events; with
// two tokens a small model's answers do not end.
func TestPPOTellsWhatIsOff(t *testing.T) {
	useDatabase(t)
	f := makeStageFiles(t)
	args := append(f.command("ppo", 9), "--max-tokens", "2", "--out", filepath.Join(t.TempDir(), "made"), "--json",
		"--held-out-helpfulness", f.helpfulness, "--held-out-safety", f.safety)
	r := tandemRun(t, "", args...).ok(t)
	m := object[tandem.Model](t, r)
	const what = "most answers do not end (iteration 2:"
	if n := strings.Count(r.stderr, what); n != 2 || !strings.Contains(r.stderr, "missing-eos-penalty") || !strings.Contains(r.stderr, "something was off with this run") {
		t.Errorf("%q is told %d times, want 2: %s", what, n, r.stderr)
	}
	if m.Metrics["troubles"] < 1 {
		t.Errorf("figures %v", m.Metrics)
	}
	// The held-out judges here are those that the policy is trained against.
	if second, ok := m.Metrics["eval/objective/second_scores"]; !ok || second != m.Metrics["eval/objective/scores"] {
		t.Errorf("the second judge says %g, the first %g", second, m.Metrics["eval/objective/scores"])
	}
	list := object[struct{ Runs []runReport }](t, tandemRun(t, "", "--json", "runs", "list").ok(t))
	if len(list.Runs) != 1 {
		t.Fatalf("runs %+v", list.Runs)
	}
	run := object[runReport](t, tandemRun(t, "", "--json", "runs", "show", list.Runs[0].ID).ok(t))
	told, diagnosed := 0, 0
	for _, e := range run.Events {
		if e.Kind == "warning" && strings.HasPrefix(e.Message, what) {
			told++
		}
		if e.Kind == "warning" && strings.HasPrefix(e.Message, "diagnosis: "+what) {
			diagnosed++
		}
	}
	if told != 1 || diagnosed != 1 {
		t.Errorf("events %+v", run.Events)
	}
}

func TestPPORefusesHalfOfASecondJudge(t *testing.T) {
	f := makeStageFiles(t)
	for want, args := range map[string][]string{
		"are a pair":     {"--held-out-helpfulness", f.helpfulness},
		"evaluate-every": {"--held-out-helpfulness", f.helpfulness, "--held-out-safety", f.safety, "--evaluate-every", "0"},
	} {
		r := tandemRun(t, "", append(append(f.command("ppo", 2), "--out", filepath.Join(t.TempDir(), "made")), args...)...)
		if r.code != exitFailed || !strings.Contains(r.stderr, want) {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.stderr)
		}
	}
}

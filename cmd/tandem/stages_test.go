package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
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

// stageFiles are small inputs of every stage.
type stageFiles struct {
	policy, helpfulness, safety string // models
	dialogues, comparisons      string
	prompts                     string
	// Of 24 each: held out by their opening, and with the prompts that are marked.
	heldOut, heldOutPrompts int
}

var stageWords = strings.Fields("hello good day how are you fine thanks and the a of to cat dog")

func makeStageFiles(t *testing.T) stageFiles {
	t.Helper()
	rng := rand.New(rand.NewPCG(5, 0))
	say := func() string {
		words := make([]string, 1+rng.IntN(3))
		for i := range words {
			words[i] = stageWords[rng.IntN(len(stageWords))]
		}
		return strings.Join(words, " ")
	}
	var dialogues, comparisons, prompts []any
	heldOut, heldOutPrompts := 0, 0
	for i := range 24 {
		question := tandem.Dialogue{{Role: tandem.User, Content: fmt.Sprintf("%s %d", say(), i)}}
		dialogues = append(dialogues, map[string]any{"messages": question.With(tandem.Assistant, say())})
		comparisons = append(comparisons, tandem.Comparison{
			Aspect: tandem.Safety, Prompt: tandem.Prompt{Messages: question}, Degree: tandem.Degrees()[i%4],
			Chosen: tandem.Response{Content: say(), Label: tandem.Safe}, Rejected: tandem.Response{Content: "no " + say(), Label: tandem.Unsafe},
		})
		prompts = append(prompts, tandem.Prompt{Messages: question, Safety: i%3 == 0, HeldOut: i%8 == 7})
		byRule := tandem.HeldOut(question.Opening(), tandem.HeldOutShare)
		if byRule {
			heldOut++
		}
		if byRule || i%8 == 7 {
			heldOutPrompts++
		}
	}
	calibration := calibrated(tandem.Calibration{Gate: -1, Mean: .1, Deviation: 1, Samples: 10})
	return stageFiles{
		policy:      smallModel(t, tandem.PolicyModel, 1, nil),
		helpfulness: smallModel(t, tandem.HelpfulnessModel, 2, calibration), safety: smallModel(t, tandem.SafetyModel, 3, calibration),
		dialogues:   writeTemp(t, "dialogues.jsonl", jsonLines(t, dialogues...)),
		comparisons: writeTemp(t, "comparisons.jsonl", jsonLines(t, comparisons...)),
		prompts:     writeTemp(t, "prompts.jsonl", jsonLines(t, prompts...)),
		heldOut:     heldOut, heldOutPrompts: heldOutPrompts,
	}
}

// taught are the files with a policy that has learnt to end its answers.
func (f stageFiles) taught(t *testing.T, seed string) stageFiles {
	t.Helper()
	policy := filepath.Join(t.TempDir(), "policy-"+seed)
	tandemRun(t, "", "sft", "--model", f.policy, "--data", f.dialogues, "--held-out-share", "0", "--preset", "practice", "--learning-rate", "0.01", "--steps", "80", "--batch", "8", "--seed", seed,
		"--out", policy).ok(t)
	f.policy = policy
	return f
}

// command is the command line of a stage without its --out, with at least so many steps.
func (f stageFiles) command(stage string, steps int) []string {
	n := fmt.Sprint(steps)
	switch stage {
	case "sft":
		return []string{"sft", "--model", f.policy, "--data", f.dialogues, "--preset", "practice", "--steps", n, "--batch", "4", "--checkpoint-every", "7"}
	case "reward":
		return []string{"reward", "safety", "--model", f.policy, "--data", f.comparisons, "--preset", "practice", "--steps", n, "--batch", "4", "--checkpoint-every", "7", "--evaluate-every", "5", "--patience", "12"}
	case "ppo":
		return []string{"ppo", "--model", f.policy, "--helpfulness", f.helpfulness, "--safety", f.safety, "--data", f.prompts, "--preset", "practice",
			"--iterations", n, "--batch-size", "8", "--minibatch-size", "4", "--max-tokens", "6", "--critic-warmup", "1", "--evaluate-every", "3", "--checkpoint-every", "2"}
	case "pretrain":
		return []string{"pretrain", "--data", f.dialogues, "--texts-format", "text", "--vocab-size", "300", "--hidden-size", "16", "--intermediate-size", "24",
			"--layers", "1", "--heads", "2", "--key-value-heads", "1", "--positions", "48", "--context", "32", "--steps", n, "--batch", "4"}
	}
	panic(stage)
}

// Stages that are not told otherwise hold the same openings out.
func TestStagesDryRunAndRun(t *testing.T) {
	f := makeStageFiles(t)
	if f.heldOut == 0 || f.heldOutPrompts == f.heldOut {
		t.Fatalf("%d openings are held out by the rule and %d with those marked, which tells nothing", f.heldOut, f.heldOutPrompts)
	}
	for stage, want := range map[string]map[string]int{
		"sft":      {"dialogues": 24 - f.heldOut, "held_out": f.heldOut},
		"reward":   {"pairs": 24 - f.heldOut, "held_out": f.heldOut},
		"ppo":      {"prompts": 24 - f.heldOutPrompts, "held_out": f.heldOutPrompts},
		"pretrain": {},
	} {
		t.Run(stage, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "made")
			args := append(f.command(stage, 3), "--out", out, "--json")
			plan := object[pipeline.Plan](t, tandemRun(t, "", append(args, "--dry-run")...).ok(t))
			if plan.Steps != 3 || plan.Status != "new" || len(plan.Writes) == 0 || !json.Valid(plan.Config) {
				t.Errorf("plan %+v", plan)
			}
			for name, n := range want {
				if plan.Data[name] != n {
					t.Errorf("%s: %d, want %d (%v)", name, plan.Data[name], n, plan.Data)
				}
			}
			if _, err := os.Stat(out); err == nil {
				t.Fatal("a dry run wrote")
			}
			r := tandemRun(t, "", args...).ok(t)
			m := object[tandem.Model](t, r)
			if m.ID == "" || m.URL != out || m.Seed != 0 || len(m.Metrics) == 0 {
				t.Errorf("lineage %+v", m)
			}
			if stage == "reward" && (!strings.Contains(r.stderr, "not calibrated yet") || m.Kind != tandem.SafetyModel) {
				t.Errorf("%s\n%s", m.Kind, r.stderr)
			}
			if _, err := checkpoint.Verify(t.Context(), out); err != nil {
				t.Error(err)
			}
			expectedAsRun(t, plan.Expected, out, stage == "ppo")
			if steps := metricSteps(t, out); len(steps) < 3 || steps[len(steps)-1] != 3 {
				t.Errorf("metrics of steps %v", steps)
			}
			// Done again it is found done; done otherwise it is refused, and nothing is lost.
			again := object[tandem.Model](t, tandemRun(t, "", args...).ok(t))
			if done := object[pipeline.Plan](t, tandemRun(t, "", append(args, "--dry-run")...).ok(t)); done.Status != "finished" || done.Expected != nil {
				t.Errorf("the plan of what is done %+v", done)
			}
			if again.ID != m.ID || !again.CreatedAt.Equal(m.CreatedAt) {
				t.Errorf("again %+v", again)
			}
			other := tandemRun(t, "", append(args, "--seed", "9")...)
			if other.code != exitFailed || !strings.Contains(other.stderr, "finished model") || !strings.Contains(other.stderr, "seed") {
				t.Errorf("exit code %d, %s", other.code, other.stderr)
			}
			if _, err := checkpoint.Verify(t.Context(), out); err != nil {
				t.Error(err)
			}
		})
	}
}

// expectedAsRun compares what a plan said with what the run in a folder did. Evaluations, which the run does not count, are forward
// passes over fewer examples than its steps take; answers are shorter than they may be.
func expectedAsRun(t *testing.T, e *pipeline.Expectation, out string, atMost bool) {
	t.Helper()
	if e == nil {
		t.Fatal("nothing was expected")
	}
	text, err := os.ReadFile(filepath.Join(out, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	flops := 0.0
	for line := range strings.Lines(string(text)) {
		var figures map[string]*float64
		if err := json.Unmarshal([]byte(line), &figures); err != nil {
			t.Fatal(err)
		}
		if f := figures[store.FlopsMetric]; f != nil {
			flops += *f
		}
	}
	most := 1.6
	if atMost {
		most = 4
	}
	if flops == 0 || e.Flops < 0.99*flops || e.Flops > most*flops || e.AtMost != atMost {
		t.Errorf("%g floating point operations were made of the expected %+v", flops, e)
	}
	if e.Seconds < 0.999*e.Flops/e.FlopsPerSecond || e.MemoryBytes < 1<<20 {
		t.Errorf("expected %+v", e)
	}
}

// metricSteps lists the steps of metrics.jsonl, those of evaluations of PPO's left out.
func metricSteps(t *testing.T, out string) (steps []int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(out, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var figures map[string]*float64
		if err := json.Unmarshal([]byte(line), &figures); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(figures)), func(name string) bool { return strings.HasPrefix(name, "eval/") }) {
			steps = append(steps, int(*figures["step"]))
		}
	}
	return steps
}

func TestStagesRefuseFoldersOfOthers(t *testing.T) {
	f := makeStageFiles(t)
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "thesis.txt"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	file := writeTemp(t, "file", "x")
	copied := filepath.Join(t.TempDir(), "copied")
	if err := os.CopyFS(copied, os.DirFS(golden("untied"))); err != nil {
		t.Fatal(err)
	}
	for out, want := range map[string]string{
		foreign: "thesis.txt", file: "is a file", copied: "tandem has not made", f.helpfulness: "finished model",
	} {
		r := tandemRun(t, "", append(f.command("sft", 2), "--out", out)...)
		if r.code != exitFailed || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: exit code %d, %s", out, r.code, r.stderr)
		}
	}
	if entries, err := os.ReadDir(foreign); err != nil || len(entries) != 1 {
		t.Errorf("left in the folder: %v, %v", entries, err)
	}
	for _, args := range [][]string{
		{"sft", "--data", f.dialogues, "--out", "x"}, {"reward", "taste", "--model", f.policy, "--data", f.comparisons, "--out", "x"},
		{"sft", "--model", f.policy, "--data", f.dialogues, "--out", "x", "--format", "nonsense"},
	} {
		if r := tandemRun(t, "", args...); r.code != exitUsage {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.stderr)
		}
	}
	wrong := tandemRun(t, "", "reward", "safety", "--model", f.policy, "--data", f.dialogues, "--out", filepath.Join(t.TempDir(), "o"))
	if wrong.code != exitFailed || !strings.Contains(wrong.stderr, "another format") {
		t.Errorf("exit code %d, %s", wrong.code, wrong.stderr)
	}
	if r := tandemRun(t, "", "sft", "--model", f.policy, "--data", f.dialogues, "--out", filepath.Join(t.TempDir(), "o"), "--preset", "nonsense"); r.code != exitFailed || !strings.Contains(r.stderr, "nonsense") {
		t.Errorf("exit code %d, %s", r.code, r.stderr)
	}
}

// TestRewardCalibrates runs reward twice: the second run finds the model and calibrates it.
func TestRewardCalibrates(t *testing.T) {
	f := makeStageFiles(t)
	out := filepath.Join(t.TempDir(), "rm")
	args := append(f.command("reward", 2), "--out", out, "--json")
	plain := object[tandem.Model](t, tandemRun(t, "", args...).ok(t))
	calibrated := object[tandem.Model](t, tandemRun(t, "", append(args, "--reference-policy", f.policy, "--reference-prompts", f.prompts, "--reference-max-tokens", "5")...).ok(t))
	if plain.Calibration != nil || calibrated.Calibration == nil || calibrated.ID != plain.ID || calibrated.Calibration.Samples != 24 || !calibrated.Calibration.Calibrated {
		t.Errorf("%+v, then %+v", plain.Calibration, calibrated.Calibration)
	}
	tandemRun(t, "", append(f.command("ppo", 2), "--safety", out, "--out", filepath.Join(t.TempDir(), "p"))...).ok(t)
}

// buildTandem builds the command once for a test.
func buildTandem(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("building the command takes seconds")
	}
	path := filepath.Join(t.TempDir(), "tandem")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// TestStagesResumeToTheSameBits interrupts every stage by SIGINT and by SIGKILL at random moments, resumes
// it until it is done, and compares the weights with an undisturbed run's.
func TestStagesResumeToTheSameBits(t *testing.T) {
	binary := buildTandem(t)
	f := makeStageFiles(t)
	adapters := []string{"--lora-rank", "3", "--learning-rate", "0.01"}
	for _, c := range []struct {
		stage string
		steps int
		flags []string
	}{{"sft", 60, nil}, {"reward", 60, nil}, {"ppo", 12, nil}, {"reward", 60, adapters}, {"ppo", 12, adapters}} {
		stage, steps := c.stage, c.steps
		if c.flags != nil {
			stage += " by adapters"
		}
		command := append(f.command(c.stage, steps), c.flags...)
		whole := filepath.Join(t.TempDir(), "whole")
		tandemRun(t, "", append(command, "--out", whole)...).ok(t)
		want, err := os.ReadFile(filepath.Join(whole, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
			t.Run(stage+" "+signal.String(), func(t *testing.T) {
				out := filepath.Join(t.TempDir(), "torn")
				args := append(slices.Clone(command), "--out", out, "--json")
				interrupted := 0
				for try := 0; ; try++ {
					if try == 1 {
						if len(stateSteps(t, out)) > 0 {
							if r := tandemRun(t, "", args...); r.code != exitFailed || !strings.Contains(r.stderr, "resume") {
								t.Errorf("begun anew over a state: exit code %d, %s", r.code, r.stderr)
							}
						}
						args = append(args, "--resume")
					}
					var stderr bytes.Buffer
					run := exec.CommandContext(t.Context(), binary, args...)
					run.Stderr = &stderr
					start := time.Now()
					if err := run.Start(); err != nil {
						t.Fatal(err)
					}
					if try < 3 {
						awaitSteps(t, out, (try+1)*steps/4+rand.IntN(3), start)
						if err := run.Process.Signal(signal); err != nil {
							t.Fatal(err)
						}
					}
					err := run.Wait()
					if err == nil {
						break
					}
					code := run.ProcessState.ExitCode()
					if signal != syscall.SIGKILL && code != exitInterrupted || try >= 3 {
						t.Fatalf("try %d: exit code %d, %s", try, code, stderr.String())
					}
					interrupted++
				}
				got, err := os.ReadFile(filepath.Join(out, "model.safetensors"))
				if err != nil {
					t.Fatal(err)
				}
				if interrupted == 0 {
					t.Error("never interrupted")
				}
				if !bytes.Equal(got, want) {
					t.Errorf("after %d interruptions the weights differ from an undisturbed run's", interrupted)
				}
				if got, want := metricSteps(t, out), metricSteps(t, whole); !slices.Equal(got, want) {
					t.Errorf("metrics of steps %v, want %v", got, want)
				}
			})
		}
	}
}

func stateSteps(t *testing.T, out string) []int64 {
	t.Helper()
	steps, err := checkpoint.NewStates(checkpoint.Folder(out), "states", 2).Steps(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

// awaitSteps waits until the run that was started then has so many steps behind it.
func awaitSteps(t *testing.T, out string, n int, start time.Time) {
	t.Helper()
	path := filepath.Join(out, "metrics.jsonl")
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(500 * time.Microsecond) {
		if info, err := os.Stat(path); err != nil || info.ModTime().Before(start) {
			continue // an earlier run's
		}
		if text, err := os.ReadFile(path); err == nil && bytes.Count(text, []byte("\n")) >= n {
			return
		}
	}
	t.Fatalf("%s: no %d steps in 30 s", out, n)
}

// A safety model that was trained on prompts of both kinds keeps what tells them apart.
func TestSafetyModelKeepsItsPromptHead(t *testing.T) {
	f := makeStageFiles(t)
	var comparisons []any
	for i := range 100 {
		question := tandem.Dialogue{{Role: tandem.User, Content: fmt.Sprintf("%s %d", []string{"hello good day", "cat dog and dog"}[i%2], i)}}
		comparisons = append(comparisons, tandem.Comparison{
			Aspect: tandem.Safety, Prompt: tandem.Prompt{Messages: question, Safety: i%2 == 1},
			Chosen: tandem.Response{Content: "fine", Label: tandem.Safe}, Rejected: tandem.Response{Content: "no", Label: tandem.Unsafe},
		})
	}
	f.comparisons = writeTemp(t, "both.jsonl", jsonLines(t, comparisons...))
	out := filepath.Join(t.TempDir(), "safety")
	m := object[tandem.Model](t, tandemRun(t, "", append(f.command("reward", 3), "--out", out, "--json")...).ok(t))
	if accuracy := m.Metrics["prompt_head_accuracy"]; accuracy < 0.95 {
		t.Errorf("of two kinds of prompts that share no word %.2f are told right", accuracy)
	}
	model, err := checkpoint.Load(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rewardmodel.ParsePromptHead(model.Files[rewardmodel.PromptHeadFile], model.Weights.Config.HiddenSize); err != nil {
		t.Error(err)
	}
}

// A reward model from scratch has the policy's shape and tokenizer, and nothing of its weights.
func TestRewardFromScratch(t *testing.T) {
	f := makeStageFiles(t)
	policy, err := checkpoint.Load(t.Context(), f.policy)
	if err != nil {
		t.Fatal(err)
	}
	distance := func(more ...string) (d float64) {
		out := filepath.Join(t.TempDir(), "made")
		tandemRun(t, "", append(append(f.command("reward", 1), "--out", out), more...)...).ok(t)
		m, err := checkpoint.Load(t.Context(), out)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.Files["tokenizer.json"], policy.Files["tokenizer.json"]) || !m.Weights.IsClassifier() {
			t.Error("it is no reward model with the policy's tokenizer")
		}
		for i, v := range m.Weights.Embed {
			d += math.Abs(float64(v - policy.Weights.Embed[i]))
		}
		return d / float64(len(m.Weights.Embed))
	}
	// One step moves a weight by at most the rate; weights of deviation 0.02 are some 0.02 apart.
	if near, far := distance(), distance("--from-scratch"); near > 2e-3 || far < 1e-2 {
		t.Errorf("after a step the embedding is %.4f from the policy's, and %.4f from scratch", near, far)
	}
}

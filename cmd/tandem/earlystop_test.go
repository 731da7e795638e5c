package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem"
)

// overfitting is a reward run whose held-out comparisons first agree with those that it learns from and then, as it
// learns them by heart at a high rate, no longer do: it stops early.
func (f stageFiles) overfitting(t *testing.T) []string {
	t.Helper()
	comparison := func(i int, chosen, rejected string) tandem.Comparison {
		return tandem.Comparison{
			Aspect: tandem.Helpfulness, Prompt: tandem.Prompt{Messages: tandem.Dialogue{{Role: tandem.User, Content: fmt.Sprintf("hello %d", i)}}},
			Chosen: tandem.Response{Content: chosen}, Rejected: tandem.Response{Content: rejected},
		}
	}
	var training, heldOut []any
	for i := range 16 {
		training = append(training, comparison(i, "good day", "no cat"))
		if i%8 < 5 {
			heldOut = append(heldOut, comparison(100+i, "good day", "no cat"))
		} else { // the surer the model, the more these cost
			heldOut = append(heldOut, comparison(100+i, "no cat", "good day"))
		}
	}
	return []string{"reward", "helpfulness", "--model", f.policy, "--preset", "practice", "--mixture", "all", "--margin", "none",
		"--data", writeTemp(t, "training.jsonl", jsonLines(t, training...)), "--held-out", writeTemp(t, "heldout.jsonl", jsonLines(t, heldOut...)),
		"--batch", "4", "--steps", "400", "--learning-rate", "0.002", "--warmup-share", "0", "--evaluate-every", "2", "--patience", "4", "--keep-best", "loss", "--checkpoint-every", "3"}
}

// evaluations are the held-out losses of metrics.jsonl, by step, and the last step.
func evaluations(t *testing.T, out string) (losses map[int]float64, last int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(out, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	losses = make(map[int]float64)
	for line := range strings.Lines(string(text)) {
		var figures struct {
			Step int
			Loss *float64 `json:"eval_loss"`
		}
		if err := json.Unmarshal([]byte(line), &figures); err != nil {
			t.Fatal(err)
		}
		if last = figures.Step; figures.Loss != nil {
			losses[last] = *figures.Loss
		}
	}
	return losses, last
}

// The command stops when patience is over, says so, and keeps the weights of the best evaluation: those that a run has
// which ends there.
func TestRewardStopsEarly(t *testing.T) {
	f := makeStageFiles(t)
	command := f.overfitting(t)
	out := filepath.Join(t.TempDir(), "stopped")
	r := tandemRun(t, "", append(command, "--out", out, "--json")...).ok(t)
	m := object[tandem.Model](t, r)
	losses, last := evaluations(t, out)
	best := 0
	for step, loss := range losses {
		if best == 0 || loss < losses[best] || loss == losses[best] && step < best {
			best = step
		}
	}
	if best < 4 || last != best+8 || last >= 400 {
		t.Fatalf("the best evaluation is after step %d, the last step is %d of 400: %v", best, last, losses)
	}
	if m.Metrics["kept_step"] != float64(best) || m.Metrics["steps"] != float64(last) || m.Metrics["eval_loss"] != losses[best] {
		t.Errorf("the lineage says %v, not step %d of %d with %g", m.Metrics, best, last, losses[best])
	}
	if !strings.Contains(r.stderr, "stopped early") || !strings.Contains(r.stderr, fmt.Sprintf("kept=%d", best)) {
		t.Errorf("it does not say so: %s", r.stderr)
	}
	// Without patience the same steps are taken, and the same weights are the best ones; without a choice the last ones stay.
	patient, stubborn := filepath.Join(t.TempDir(), "patient"), filepath.Join(t.TempDir(), "stubborn")
	more := fmt.Sprint(last + 6)
	tandemRun(t, "", append(command, "--schedule", "constant", "--patience", "0", "--steps", more, "--out", patient)...).ok(t)
	tandemRun(t, "", append(command, "--schedule", "constant", "--patience", "0", "--keep-best", "last", "--steps", more, "--out", stubborn)...).ok(t)
	if bytes.Equal(weightsOf(t, patient), weightsOf(t, stubborn)) {
		t.Error("the best weights are the last ones: this shows nothing")
	}
	constant := filepath.Join(t.TempDir(), "constant")
	tandemRun(t, "", append(command, "--schedule", "constant", "--out", constant)...).ok(t)
	if !bytes.Equal(weightsOf(t, constant), weightsOf(t, patient)) {
		t.Error("the weights that were kept depend on when the run stopped")
	}
}

// Killed on its way, it stops at the same step with the same bits.
func TestRewardStopsEarlyAfterAKill(t *testing.T) {
	binary := buildTandem(t)
	f := makeStageFiles(t)
	command := f.overfitting(t)
	whole, torn := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "torn")
	tandemRun(t, "", append(command, "--out", whole)...).ok(t)
	losses, last := evaluations(t, whole)
	args := append(command, "--out", torn)
	for _, at := range []int{1 + rand.IntN(4), last - 5} { // before the best evaluation and while patience runs out
		run := exec.CommandContext(t.Context(), binary, args...)
		start := time.Now()
		if err := run.Start(); err != nil {
			t.Fatal(err)
		}
		awaitSteps(t, torn, at, start)
		if err := run.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := run.Wait(); err == nil {
			t.Fatal("the run was over before it was killed")
		}
		args = append(command, "--out", torn, "--resume")
	}
	if r := tandemRun(t, "", args...).ok(t); !strings.Contains(r.stderr, "stopped early") {
		t.Errorf("it does not say that it stopped: %s", r.stderr)
	}
	again, lastAgain := evaluations(t, torn)
	if lastAgain != last || fmt.Sprint(again) != fmt.Sprint(losses) {
		t.Errorf("stopped after step %d with %v, undisturbed after step %d with %v", lastAgain, again, last, losses)
	}
	if !bytes.Equal(weightsOf(t, torn), weightsOf(t, whole)) {
		t.Error("the weights differ from an undisturbed run's")
	}
}

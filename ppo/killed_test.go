package ppo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem"
	"tandem/llama/checkpoint"
)

// killedIn is the iteration, from 0, in which a process of TestKilledInAnIteration kills itself.
const killedIn = 3

// deadly is lively, says what an iteration is at, and kills the process in one of its phases.
type deadly struct {
	lively
	phase     string // sampling, scoring, updates, or "" for none
	iteration *int
	last      *Stats // of the iteration before
}

func (d deadly) Questions(iteration, n int) ([]Question, error) {
	*d.iteration = iteration
	d.say("sampling", iteration)
	if d.phase == "sampling" && iteration == killedIn {
		killIn(d.last.Phases.Sampling.Seconds / 2)
	}
	return d.lively.Questions(iteration, n)
}

func (d deadly) Score(ctx context.Context, answers []Answer) ([]tandem.Score, error) {
	d.say("scoring", *d.iteration)
	// The answers to held-out questions are fewer.
	if *d.iteration == killedIn && len(answers) == bigRun().BatchSize {
		switch d.phase {
		case "scoring":
			killIn(0)
			select {}
		case "updates":
			killIn(d.last.Phases.Forward.Seconds + d.last.Phases.Updates.Seconds/2)
		}
	}
	return d.lively.Score(ctx, answers)
}

// say tells the process that waits for this one's death.
func (d deadly) say(what string, iteration int) {
	if d.phase != "" {
		fmt.Println(what, iteration)
	}
}

// killIn kills the process after so many seconds.
func killIn(seconds float64) {
	go func() {
		time.Sleep(time.Duration(seconds * float64(time.Second)))
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // nobody is left to look
	}()
}

// bigRun is a short run whose phases take long enough to be hit.
func bigRun() Config {
	c := shortRun()
	c.BatchSize, c.MinibatchSize = 512, 64
	return c
}

// runDeadly runs bigRun in a folder, or goes on with it, and tells of each iteration.
func runDeadly(ctx context.Context, t *testing.T, states *checkpoint.States, phase string) Models {
	t.Helper()
	var iteration int
	var last Stats
	trainer, models := newRun(t, bigRun())
	environment := deadly{lively{toy{lengthReward}}, phase, &iteration, &last}
	trainer.environment = environment
	if _, err := trainer.Resume(ctx, states); err != nil {
		t.Fatal(err)
	}
	if err := trainer.Run(ctx, states, Observer{Iteration: func(s Stats) { last = s; environment.say("done", s.Iteration-1) }}); err != nil {
		t.Fatal(err)
	}
	return models
}

// A process that is killed in the middle of an iteration, whatever it is at, loses that iteration alone: resumed, the
// run ends in the bits of one that nobody killed.
func TestKilledInAnIteration(t *testing.T) {
	const phaseVariable, folderVariable = "TEST_KILLED_PHASE", "TEST_KILLED_FOLDER"
	if phase := os.Getenv(phaseVariable); phase != "" {
		runDeadly(t.Context(), t, checkpoint.NewStates(checkpoint.Folder(os.Getenv(folderVariable)), "states", 2), phase)
		return
	}
	whole := func() *checkpoint.States { return checkpoint.NewStates(checkpoint.Folder(t.TempDir()), "states", 2) }
	want := runDeadly(t.Context(), t, whole(), "")
	for phase, begun := range map[string]string{"sampling": "sampling", "scoring": "scoring", "updates": "scoring"} {
		t.Run(phase, func(t *testing.T) {
			for try := 0; ; try++ {
				folder := t.TempDir()
				child := exec.Command(os.Args[0], "-test.run=^"+t.Name()[:strings.Index(t.Name(), "/")]+"$")
				child.Env = append(os.Environ(), phaseVariable+"="+phase, folderVariable+"="+folder)
				out, err := child.Output()
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
					t.Fatalf("not killed: %v, %s", err, out)
				}
				said := strings.Split(strings.TrimSpace(string(out)), "\n")
				if said[len(said)-1] != fmt.Sprint(begun, " ", killedIn) {
					if try == 9 { // the phases are as long as the machine lets them be
						t.Fatalf("killed after %q, not in the middle of %s", said[len(said)-1], phase)
					}
					continue
				}
				states := checkpoint.NewStates(checkpoint.Folder(folder), "states", 2)
				if steps, err := states.Steps(t.Context()); err != nil || steps[len(steps)-1] != killedIn {
					t.Fatalf("the states after %v, %v", steps, err)
				}
				got := runDeadly(t.Context(), t, states, "")
				if name := firstDifference(want.Policy, got.Policy); name != "" {
					t.Errorf("the policy differs in %s", name)
				}
				if name := firstDifference(want.Critic, got.Critic); name != "" {
					t.Errorf("the critic differs in %s", name)
				}
				return
			}
		})
	}
}

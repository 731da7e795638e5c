package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

// chaosWorkers is how many worker processes share a round.
const chaosWorkers = 3

// schedule is how often workers are disturbed, by how long an undisturbed round takes on this machine now.
type schedule struct {
	every time.Duration // between two disturbances, on the mean
	lease time.Duration // of the workers
}

func newSchedule(undisturbed time.Duration, size int) schedule {
	undisturbed = min(undisturbed, time.Duration(size)*12*time.Second) // a slow spell may be over
	return schedule{undisturbed / time.Duration(18*size), max(undisturbed/time.Duration(8*size), time.Second)}
}

// TestRoundAmongFailingWorkers goes through a whole round of a small practice world twice, from the base model to the
// evaluation: once undisturbed, and once with workers that are killed, stopped, woken up too late and ended at random,
// and a command that is interrupted. Both come to the same in every bit. TANDEM_CHAOS is how many seeds to disturb a
// larger round by; the suite disturbs a small one by one.
func TestRoundAmongFailingWorkers(t *testing.T) {
	if testing.Short() {
		t.Skip("two rounds take half a minute")
	}
	seeds, size := 1, 1
	if text := os.Getenv("TANDEM_CHAOS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("TANDEM_CHAOS is %q", text)
		}
		seeds, size = n, 4
	}
	want, took := undisturbed(t, size)
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint("seed ", seed+1), func(t *testing.T) {
			got := disturbed(t, size, seed+1, newSchedule(took, size))
			for _, name := range slices.Sorted(maps.Keys(want)) {
				if got[name] != want[name] {
					t.Errorf("%s: not as in the undisturbed round:\n%s\nmissing:\n%s", name, without(got[name], want[name]), without(want[name], got[name]))
				}
			}
			for name := range got {
				if _, ok := want[name]; !ok {
					t.Errorf("%s is not of the undisturbed round", name)
				}
			}
		})
	}
}

// without lists the first lines of a text that are not in another.
func without(text, other string) string {
	lines := strings.Split(other, "\n")
	rest := slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return slices.Contains(lines, line) })
	return strings.Join(rest[:min(len(rest), 10)], "\n")
}

// undisturbed goes through the round with workers whom nobody disturbs, and returns what it came to and how long it took.
func undisturbed(t *testing.T, size int) (map[string]string, time.Duration) {
	t.Helper()
	r := newChaosRound(t, size)
	workers := newChaosWorkers(t, r.url)
	for i := range chaosWorkers {
		workers.start(i, store.AliveTime)
	}
	began := time.Now()
	if err := r.run(t.Context()); err != nil {
		t.Fatalf("the undisturbed round: %v\n%s", err, workers.said())
	}
	took := time.Since(began)
	t.Logf("undisturbed: %.1f s", took.Seconds())
	for i := range chaosWorkers {
		workers.end(i)
	}
	return r.results(t), took
}

// disturbed goes through the round while a schedule, drawn by the seed, has it in for the workers.
func disturbed(t *testing.T, size int, seed uint64, plan schedule) map[string]string {
	t.Helper()
	r := newChaosRound(t, size)
	workers := newChaosWorkers(t, r.url)
	for i := range chaosWorkers {
		workers.start(i, plan.lease)
	}
	ended := make(chan error, 1)
	done, finish := context.WithCancel(t.Context())
	defer finish()
	interrupt := make(chan struct{})
	go func() { // the command that orders the round, which is interrupted and begun again
		for {
			ctx, stop := context.WithCancel(done)
			go func() {
				select {
				case <-interrupt:
					stop()
				case <-ctx.Done():
				}
			}()
			err := r.run(ctx)
			interrupted := ctx.Err() != nil && done.Err() == nil
			stop()
			if !interrupted {
				ended <- err
				return
			}
		}
	}()
	rng := rand.New(rand.NewPCG(seed, 1))
	counts := make(map[string]int)
	began := time.Now()
	var late sync.WaitGroup // workers that will be woken up
	asleep := make([]bool, chaosWorkers)
	var mu sync.Mutex
	for going := true; going; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("the disturbed round: %v\n%s", err, workers.said())
			}
			going = false
			continue
		case <-time.After(time.Duration(rng.Int64N(int64(2 * plan.every)))):
		}
		if time.Since(began) > 60*time.Duration(size)*plan.every+2*time.Minute { // three times and more what is undisturbed
			t.Fatalf("the disturbed round does not end: %v\n%s\n%s", counts, r.standing(t), workers.said())
		}
		i := rng.IntN(chaosWorkers)
		if busy := workers.busy(r.holders(t)); len(busy) > 0 && rng.IntN(4) > 0 {
			i = busy[rng.IntN(len(busy))]
		}
		mu.Lock()
		sleeps := asleep[i]
		mu.Unlock()
		what := []string{"killed", "killed", "stopped", "stopped", "stopped", "ended", "interrupted"}[rng.IntN(7)]
		pause := plan.lease/2 + time.Duration(rng.Int64N(int64(5*plan.lease/2)))
		switch {
		case what == "interrupted":
			select {
			case interrupt <- struct{}{}:
			default:
				continue
			}
		case sleeps:
			continue
		case what == "killed":
			workers.signal(i, syscall.SIGKILL)
			workers.wait(i)
			workers.start(i, plan.lease)
		case what == "ended":
			workers.end(i)
			workers.start(i, plan.lease)
		case what == "stopped":
			workers.signal(i, syscall.SIGSTOP)
			asleep[i] = true
			late.Go(func() {
				time.Sleep(pause)
				workers.signal(i, syscall.SIGCONT)
				mu.Lock()
				defer mu.Unlock()
				asleep[i] = false
			})
		}
		counts[what]++
	}
	late.Wait()
	time.Sleep(plan.lease / 2) // whoever woke up too late has had time to do harm
	for i := range chaosWorkers {
		workers.end(i)
	}
	took, taken := time.Since(began).Seconds(), r.takenUp(t)
	t.Logf("disturbed: %.1f s, %v, %d units taken up again", took, counts, taken)
	if counts["killed"]+counts["stopped"] < 5 || taken == 0 {
		t.Errorf("%v in %.1f s, with %d units taken up again, is no trial", counts, took, taken)
	}
	return r.results(t)
}

// chaosProcesses are worker processes of this test.
type chaosProcesses struct {
	t         *testing.T
	url       string
	processes [chaosWorkers]*exec.Cmd
	log       lockedBuffer
}

func newChaosWorkers(t *testing.T, url string) *chaosProcesses {
	w := &chaosProcesses{t: t, url: url}
	t.Cleanup(func() {
		for i := range w.processes {
			if w.processes[i] != nil {
				w.signal(i, syscall.SIGKILL)
				w.wait(i)
			}
		}
		if t.Failed() {
			t.Log(w.said())
		}
	})
	return w
}

func (w *chaosProcesses) start(i int, lease time.Duration, flags ...string) {
	w.t.Helper()
	p := exec.Command(os.Args[0], append([]string{"worker", "--lease", lease.String()}, flags...)...)
	p.Env = append(os.Environ(), asProgram+"=1", "DATABASE_URL="+w.url)
	p.Stdout, p.Stderr = &w.log, &w.log
	if err := p.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.processes[i] = p
}

func (w *chaosProcesses) signal(i int, s syscall.Signal) {
	if err := w.processes[i].Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		w.t.Error(err)
	}
}

// wait waits for a process that was killed.
func (w *chaosProcesses) wait(i int) {
	_ = w.processes[i].Wait() // says that it was
	w.processes[i] = nil
}

// end has a worker stop as it should.
func (w *chaosProcesses) end(i int) {
	w.t.Helper()
	w.signal(i, syscall.SIGTERM)
	_ = w.processes[i].Wait() // looked at below
	// It may have been told before it took any work, or before it listened.
	state := w.processes[i].ProcessState
	if early := state.Sys().(syscall.WaitStatus); state.ExitCode() != exitDone && state.ExitCode() != exitInterrupted && !(early.Signaled() && early.Signal() == syscall.SIGTERM) {
		w.t.Errorf("a worker that was told to stop: %v", state)
	}
	w.processes[i] = nil
}

// busy are the workers that hold a unit.
func (w *chaosProcesses) busy(holders []string) (busy []int) {
	for i, p := range w.processes {
		if slices.ContainsFunc(holders, func(h string) bool { return strings.HasSuffix(h, ":"+strconv.Itoa(p.Process.Pid)) }) {
			busy = append(busy, i)
		}
	}
	return busy
}

func (w *chaosProcesses) said() string { return w.log.String() }

// lockedBuffer takes what several processes say.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// contentAnnotator is an annotator whose judgments depend on what is said alone.
type contentAnnotator struct {
	store *store.Store
	id    string
}

func (a contentAnnotator) Annotate(ctx context.Context, project string) error {
	for n := 0; ; n++ {
		claimed, err := a.store.Claim(ctx, a.id, project)
		if err != nil {
			return err
		}
		if claimed.Assignment == nil {
			return nil
		}
		task := claimed.Assignment
		labels := make(map[string]tandem.SafetyLabel)
		slices.SortFunc(task.Responses, func(a, b tandem.Response) int { return strings.Compare(digest(b.Content), digest(a.Content)) })
		for _, r := range task.Responses {
			labels[r.ID] = tandem.Safe
			if digest(r.Content) < "8" {
				labels[r.ID] = tandem.Unsafe
			}
		}
		verdict := store.Verdict{Chosen: task.Responses[0].ID, Rejected: task.Responses[1].ID, Labels: labels,
			Degree: tandem.Degrees()[len(digest(task.Responses[0].Content+task.Responses[1].Content))%4]}
		_, err = a.store.Submit(ctx, store.Submission{Annotator: a.id, Assignment: task.ID, Key: task.ID, Duration: time.Second, Verdict: verdict})
		if err != nil && tandem.CodeOf(err) != tandem.Conflict { // submitted just before the interruption
			return err
		}
	}
}

// digest orders texts by nothing that they say.
func digest(text string) string {
	h := fnv.New64a()
	h.Write([]byte(text))
	return strconv.FormatUint(h.Sum64(), 16)
}

// chaosStore opens the database that a round's processes share.
func chaosStore(t *testing.T) (url string, s *store.Store) {
	t.Helper()
	url = postgres.Database(t).URL
	return url, pgtest.OpenStore(t, url)
}

// folderOf is where a round lies.
func folderOf(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "round")
}

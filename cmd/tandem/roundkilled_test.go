package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tandem"
	"tandem/internal/pgtest"
)

// TestRoundsCommandIsKilled kills a round's command by SIGKILL: the round runs as long as the command says that it does,
// is interrupted soon after, and runs again while it is gone on with.
func TestRoundsCommandIsKilled(t *testing.T) {
	args := append(roundCommandLine(t), "--out", filepath.Join(t.TempDir(), "round"))
	s := pgtest.OpenStore(t, os.Getenv("DATABASE_URL"))
	var log lockedBuffer
	command := exec.Command(os.Args[0], append(args, "--no-worker")...) // waits for a worker that there is not
	command.Env = append(os.Environ(), asProgram+"=1")
	command.Stdout, command.Stderr = &log, &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		_ = command.Wait() // says that it was killed
		close(gone)
	}()
	kill := func() {
		_ = command.Process.Kill() // it may be gone
		<-gone
	}
	t.Cleanup(kill)
	becomes := func(want tandem.RoundStatus) {
		t.Helper()
		var last []tandem.Round
		for limit := time.Now().Add(30 * time.Second); time.Now().Before(limit); time.Sleep(10 * time.Millisecond) {
			var err error
			if last, err = s.Rounds(t.Context()); err != nil {
				t.Fatal(err)
			}
			if len(last) == 1 && last[0].Status == want {
				return
			}
		}
		t.Fatalf("the round does not become %s: %+v\n%s", want, last, log.String())
	}
	// hasSaidNothing lets the command have been silent for nearly as long as it may.
	hasSaidNothing := func() {
		t.Helper()
		if _, err := s.Pool().Exec(t.Context(), `UPDATE rounds SET alive_until = clock_timestamp() + interval '2 seconds'`); err != nil {
			t.Fatal(err)
		}
	}
	becomes(tandem.RoundRunning)
	hasSaidNothing()
	time.Sleep(3 * time.Second)
	if r, err := s.Round(t.Context(), 1); err != nil || r.Status != tandem.RoundRunning {
		t.Errorf("while its command lives the round is %+v, %v", r, err)
	}
	kill()
	hasSaidNothing()
	if r, err := s.Round(t.Context(), 1); err != nil || r.Status != tandem.RoundRunning {
		t.Errorf("just after the command was killed the round is %+v, %v", r, err)
	}
	becomes(tandem.RoundInterrupted)

	ended := make(chan result, 1)
	go func() { ended <- tandemRun(t, "", append(args, "--resume")...) }()
	becomes(tandem.RoundRunning)
	object[roundReport](t, (<-ended).ok(t))
	becomes(tandem.RoundDone)
}

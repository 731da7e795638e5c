package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

// A run whose process was killed is shown as interrupted, goes on as the same run when it is resumed, and the attempt
// before may write no more.
func TestRunIsResumed(t *testing.T) {
	db := postgres.Database(t)
	s := pgtest.OpenStore(t, db.URL)
	ctx := t.Context()
	work := store.Run{Stage: tandem.StagePPO, Seed: 7, Kernel: "k", Host: "first", Config: json.RawMessage(`{"out": "a", "beta": 0.01}`)}
	first := must(s.StartRun(ctx, work, 0))(t)
	measure := func(run store.Run, steps ...int64) error {
		return s.WithRun(ctx, run, func(s *store.Store) error {
			var metrics []store.Metric
			for _, step := range steps {
				metrics = append(metrics, store.Metric{Name: "loss", Step: step, Value: float64(run.Attempt)})
			}
			return errors.Join(s.AddMetrics(ctx, run.ID, metrics), s.AddEvent(ctx, run.ID, "note", "measured"))
		})
	}
	if err := errors.Join(measure(first, 1, 2, 3, 4), s.KeepRun(ctx, first)); err != nil {
		t.Fatal(err)
	}
	if run := must(s.Run(ctx, first.ID))(t); run.Status != tandem.RoundRunning || run.Attempt != 1 {
		t.Errorf("%+v", run)
	}
	// Its process is killed, and an hour passes.
	if _, err := connect(t, db.URL).Exec(ctx, `UPDATE runs SET started_at = started_at - interval '2 hours', alive_until = clock_timestamp() - interval '1 hour'`); err != nil {
		t.Fatal(err)
	}
	killed := must(s.Run(ctx, first.ID))(t)
	if took := killed.Took(time.Now()); killed.Status != tandem.RoundInterrupted || took < 59*time.Minute || took > 61*time.Minute {
		t.Errorf("killed: %s after %v", killed.Status, took)
	}
	for status, want := range map[tandem.RoundStatus]int{tandem.RoundInterrupted: 1, tandem.RoundRunning: 0} {
		if runs := must(s.Runs(ctx, store.RunQuery{Status: status}))(t); len(runs) != want {
			t.Errorf("%d runs are %s, want %d", len(runs), status, want)
		}
	}

	work.Host, work.Config = "second", json.RawMessage(`{"beta":0.01,"out":"a"}`)
	second := must(s.StartRun(ctx, work, 2))(t)
	if second.ID != first.ID || second.Attempt != 2 || second.Status != tandem.RoundRunning || second.Host != "second" {
		t.Errorf("resumed as %+v", second)
	}
	if took := second.Took(time.Now()); took < 59*time.Minute || took > 61*time.Minute {
		t.Errorf("the resumed run took %v, with the time in which nobody worked on it", took)
	}
	for name, err := range map[string]error{"metrics": measure(first, 3), "a beat": s.KeepRun(ctx, first), "an end": s.WithRun(ctx, first, func(s *store.Store) error {
		return s.FinishRun(ctx, first.ID, "", context.Canceled)
	})} {
		wantCode(t, name+" of the first attempt", err, tandem.Stale)
	}
	if err := measure(second, 3); err != nil {
		t.Fatal(err)
	}
	if got := must(s.Metrics(ctx, first.ID, 0))(t); !slices.Equal(got, []store.Metric{{"loss", 1, 1}, {"loss", 2, 1}, {"loss", 3, 2}}) {
		t.Errorf("metrics %+v", got)
	}
	events := must(s.Events(ctx, first.ID, ""))(t)
	if len(events) != 3 || events[1].Kind != "resume" || !strings.Contains(events[1].Message, "attempt 2, on second; the last one was interrupted") {
		t.Errorf("events %+v", events)
	}

	// One that failed or was cancelled goes on too; one that is done is done, and other work is another run.
	if err := s.FinishRun(ctx, second.ID, "", errors.New("the disk is full")); err != nil {
		t.Fatal(err)
	}
	third := must(s.StartRun(ctx, work, 3))(t)
	if third.ID != first.ID || third.Attempt != 3 || third.Error != "" {
		t.Errorf("after a failure %+v", third)
	}
	if events := must(s.Events(ctx, first.ID, events[2].ID))(t); len(events) != 1 || !strings.Contains(events[0].Message, "failed: the disk is full") {
		t.Errorf("events %+v", events)
	}
	if err := s.FinishRun(ctx, third.ID, "", nil); err != nil {
		t.Fatal(err)
	}
	other := work
	other.Config = json.RawMessage(`{"out": "b", "beta": 0.01}`)
	for what, w := range map[string]store.Run{"done before": work, "other work": other} {
		if run := must(s.StartRun(ctx, w, 0))(t); run.ID == first.ID || run.Attempt != 1 {
			t.Errorf("%s: %+v", what, run)
		}
	}
}

// A process that is stopped in the middle of the transaction that completes its unit keeps nobody from it.
func TestStoppedInTheMiddleOfAWrite(t *testing.T) {
	s := postgres.Store(t)
	unit := addUnits(t, s, 1)[0]
	stopped := must(s.LeaseUnit(t.Context(), unit, "stopped", time.Second))(t)
	held, goOn := make(chan struct{}), make(chan struct{})
	ended := make(chan error)
	go func() {
		ended <- s.WithLease(context.Background(), stopped, func(s *store.Store) error {
			close(held)
			<-goOn
			return s.Complete(context.Background(), stopped, json.RawMessage(`"stopped"`))
		})
	}()
	<-held
	var other *store.Lease
	for began := time.Now(); other == nil; {
		if time.Since(began) > 10*time.Second {
			t.Fatal("nobody took the unit over")
		}
		time.Sleep(50 * time.Millisecond)
		other = must(s.LeaseUnit(t.Context(), unit, "other", time.Minute))(t)
	}
	close(goOn)
	if err := <-ended; err == nil {
		t.Error("the stopped worker completed the unit")
	}
	if err := s.Complete(t.Context(), other, json.RawMessage(`"other"`)); err != nil {
		t.Fatal(err)
	}
	if states := must(s.Units(t.Context(), 0, tandem.StageReject))(t); string(states[0].Result) != `"other"` {
		t.Errorf("units %+v", states)
	}
}

// A round that runs, and of which nobody says so any more, was interrupted, until somebody goes on with it.
func TestInterruptedRound(t *testing.T) {
	db := postgres.Database(t)
	s := pgtest.OpenStore(t, db.URL)
	ctx := t.Context()
	round := must(s.CreateRound(ctx, ""))(t).Number
	silence := func() {
		t.Helper()
		if _, err := connect(t, db.URL).Exec(ctx, `UPDATE rounds SET alive_until = clock_timestamp() - interval '1 second'`); err != nil {
			t.Fatal(err)
		}
	}
	stands := func(want tandem.RoundStatus) {
		t.Helper()
		if r, all := must(s.Round(ctx, round))(t), must(s.Rounds(ctx))(t); r.Status != want || all[0] != r {
			t.Errorf("%+v, in the list %+v, want %s", r, all, want)
		}
	}
	silence()
	stands(tandem.RoundOpen) // nobody has begun it
	if err := s.SetRoundStatus(ctx, round, tandem.RoundRunning); err != nil {
		t.Fatal(err)
	}
	stands(tandem.RoundRunning)
	silence()
	stands(tandem.RoundInterrupted)
	if err := s.KeepRound(ctx, round); err != nil { // a process that had been stopped
		t.Fatal(err)
	}
	stands(tandem.RoundRunning)
	silence()
	if err := s.SetRoundStatus(ctx, round, tandem.RoundRunning); err != nil { // another that goes on
		t.Fatal(err)
	}
	stands(tandem.RoundRunning)
	for _, status := range []tandem.RoundStatus{tandem.RoundFailed, tandem.RoundDone} {
		if err := s.SetRoundStatus(ctx, round, status); err != nil {
			t.Fatal(err)
		}
		silence()
		stands(status)
	}
	wantCode(t, "no such round", s.KeepRound(ctx, 9), tandem.NotFound)
}

// Nobody works on a round that was cancelled, until it is gone on with.
func TestCancelledRound(t *testing.T) {
	s := postgres.Store(t)
	ctx := t.Context()
	round := must(s.CreateRound(ctx, ""))(t).Number
	units := []tandem.Unit{{Round: round, Stage: tandem.StageReject}, {Round: round, Stage: tandem.StageReject, Shard: 1}}
	if err := s.AddUnits(ctx, units, make([]json.RawMessage, 2)); err != nil {
		t.Fatal(err)
	}
	lease := must(s.LeaseUnit(ctx, units[0], "w", time.Minute))(t)
	wantCode(t, "no such round", s.CancelRound(ctx, 9, "test"), tandem.NotFound)
	for range 2 {
		if err := s.CancelRound(ctx, round, "test"); err != nil {
			t.Fatal(err)
		}
	}
	if told := must(s.Audit(ctx, store.RoundSubject(round)))(t); len(told) != 1 || told[0].Action != "round.cancel" || told[0].Actor != "test" {
		t.Errorf("audit %+v", told)
	}
	if err := s.Heartbeat(ctx, lease, time.Minute); !errors.Is(err, store.ErrCancelled) {
		t.Errorf("a heartbeat in a cancelled round: %v", err)
	}
	if err := s.KeepRound(ctx, round); !errors.Is(err, store.ErrCancelled) || must(s.Round(ctx, round))(t).Status != tandem.RoundCancelled {
		t.Errorf("a cancelled round is kept: %v", err)
	}
	if err := s.Release(ctx, lease, context.Canceled); err != nil {
		t.Error(err)
	}
	if open := must(s.OpenUnits(ctx, 3, time.Minute))(t); len(open) != 0 {
		t.Errorf("open units of a cancelled round: %+v", open)
	}
	if l := must(s.LeaseUnit(ctx, units[1], "w", time.Minute))(t); l != nil {
		t.Errorf("leased %+v", l)
	}
	if err := s.SetRoundStatus(ctx, round, tandem.RoundRunning); err != nil {
		t.Fatal(err)
	}
	if open := must(s.OpenUnits(ctx, 3, time.Minute))(t); len(open) != 2 {
		t.Errorf("open units: %+v", open)
	}
	if lease := must(s.LeaseUnit(ctx, units[0], "w", time.Minute))(t); lease == nil {
		t.Error("a round that goes on has nothing to do")
	}
	if err := s.SetRoundStatus(ctx, round, tandem.RoundDone); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "a round that is done", s.CancelRound(ctx, round, "test"), tandem.Conflict)
}

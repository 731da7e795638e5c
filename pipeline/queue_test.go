package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/pipeline"
	"tandem/store"
)

var server pgtest.Server

func TestMain(m *testing.M) { os.Exit(server.Run(m)) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// start runs a worker until the test ends or the returned function is called.
func start(t *testing.T, w *pipeline.Worker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.Run(ctx); err != nil {
			t.Errorf("worker %s: %v", w.Name, err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return stop
}

func queue(t *testing.T, s *store.Store) (*pipeline.Queue, int) {
	t.Helper()
	q, err := pipeline.NewQueue(s, quiet())
	if err != nil {
		t.Fatal(err)
	}
	round, err := s.CreateRound(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	return q, round.Number
}

// within bounds a wait, so that a hanging queue is a failure with a name.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestWorkersShareAStage(t *testing.T) {
	s := server.Store(t)
	q, round := queue(t, s)
	var did [20]atomic.Int32
	handler := func(_ context.Context, u tandem.Unit, spec json.RawMessage) (pipeline.Result, error) {
		did[u.Shard].Add(1)
		return pipeline.Result{Value: map[string]string{"got": string(spec)}}, nil
	}
	for i := range 3 {
		start(t, &pipeline.Worker{
			Store: s, Name: fmt.Sprint("worker ", i), Parallel: 2, Log: quiet(),
			Handlers: map[tandem.Stage]pipeline.Handler{tandem.StageReject: handler},
		})
	}
	specs := make([]any, len(did))
	for i := range specs {
		specs[i] = i * i
	}
	for range 2 { // planning again changes nothing
		if err := q.Plan(t.Context(), round, tandem.StageReject, specs...); err != nil {
			t.Fatal(err)
		}
	}
	type asked struct{ K int }
	if err := q.Plan(t.Context(), round, tandem.StageSFT, asked{3}); err != nil {
		t.Fatal(err)
	}
	if err := q.Plan(t.Context(), round, tandem.StageSFT, asked{4}); tandem.CodeOf(err) != tandem.Conflict || !strings.Contains(err.Error(), "different: K") {
		t.Errorf("planned otherwise: %v", err)
	}
	if err := q.Plan(t.Context(), round, tandem.StageReject, specs[1:]...); tandem.CodeOf(err) != tandem.Conflict {
		t.Errorf("planned as fewer units: %v", err)
	}
	units, err := q.Await(within(t), round, tandem.StageReject, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, u := range units {
		var result map[string]string
		if err := json.Unmarshal(u.Result, &result); err != nil || result["got"] != fmt.Sprint(i*i) {
			t.Errorf("shard %d: result %s (%v)", i, u.Result, err)
		}
		if n := did[i].Load(); n != 1 {
			t.Errorf("shard %d was done %d times", i, n)
		}
	}
}

// A unit whose worker dies is taken up by another; the dead one, when it wakes, writes nothing.
func TestDeadWorkersUnitIsTakenUp(t *testing.T) {
	s := server.Store(t)
	q, round := queue(t, s)
	if err := q.Plan(t.Context(), round, tandem.StagePPO, "work"); err != nil {
		t.Fatal(err)
	}
	// The dead worker: it took the unit and will never renew its lease.
	dead, err := s.LeaseUnit(t.Context(), tandem.Unit{Round: round, Stage: tandem.StagePPO}, "dead", 500*time.Millisecond)
	if err != nil || dead == nil {
		t.Fatal(dead, err)
	}
	start(t, &pipeline.Worker{
		Store: s, Name: "alive", Log: quiet(),
		Handlers: map[tandem.Stage]pipeline.Handler{
			tandem.StagePPO: func(context.Context, tandem.Unit, json.RawMessage) (pipeline.Result, error) {
				return pipeline.Result{Value: "alive"}, nil
			},
		},
	})
	units, err := q.Await(within(t), round, tandem.StagePPO, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(units[0].Result); got != `"alive"` {
		t.Errorf("result %s", got)
	}
	if err := s.Complete(t.Context(), dead, json.RawMessage(`"dead"`)); tandem.CodeOf(err) != tandem.Stale {
		t.Errorf("the dead worker wrote: %v", err)
	}
}

// A stopped worker gives its unit back at once, and rows that it meant to write do not exist.
func TestStoppedWorkerGivesBack(t *testing.T) {
	s := server.Store(t)
	q, round := queue(t, s)
	begun := make(chan struct{})
	stop := start(t, &pipeline.Worker{
		Store: s, Name: "first", Log: quiet(),
		Handlers: map[tandem.Stage]pipeline.Handler{
			tandem.StageSFT: func(ctx context.Context, _ tandem.Unit, _ json.RawMessage) (pipeline.Result, error) {
				close(begun)
				<-ctx.Done()
				return pipeline.Result{}, ctx.Err()
			},
		},
	})
	if err := q.Plan(t.Context(), round, tandem.StageSFT, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(within(t))
	var waiting sync.WaitGroup
	waiting.Go(func() { _, _ = q.Await(ctx, round, tandem.StageSFT, nil) }) // delivers; its end is not what is tested
	<-begun
	cancel()
	waiting.Wait()
	stop()
	units, err := s.Units(t.Context(), round, tandem.StageSFT)
	if err != nil {
		t.Fatal(err)
	}
	if u := units[0]; u.Done || u.Holder != "" || u.Failures != 0 {
		t.Errorf("after the stop: %+v, want a free unit without a failure", u)
	}
}

func TestFailingUnitEndsItsStage(t *testing.T) {
	for how, fail := range map[string]func() error{
		"an error": func() error { return errors.New("the dog ate it") },
		"a panic":  func() error { panic("the dog ate it") },
	} {
		t.Run(how, func(t *testing.T) {
			s := server.Store(t)
			q, round := queue(t, s)
			start(t, &pipeline.Worker{
				Store: s, Name: "clumsy", Log: quiet(),
				Handlers: map[tandem.Stage]pipeline.Handler{
					tandem.StageEvaluate: func(context.Context, tandem.Unit, json.RawMessage) (pipeline.Result, error) {
						return pipeline.Result{}, fail()
					},
				},
			})
			if err := q.Plan(t.Context(), round, tandem.StageEvaluate, nil); err != nil {
				t.Fatal(err)
			}
			_, err := q.Await(within(t), round, tandem.StageEvaluate, nil)
			if err == nil || !strings.Contains(err.Error(), "the dog ate it") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A delivery whose worker died before it took the lease is made again.
func TestLostDelivery(t *testing.T) {
	s := server.Store(t)
	q, round := queue(t, s)
	if err := q.Plan(t.Context(), round, tandem.StageSFT, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(within(t))
	var waiting sync.WaitGroup
	waiting.Go(func() { _, _ = q.Await(ctx, round, tandem.StageSFT, nil) }) // delivers; its end is not what is tested
	for lost := int64(0); lost == 0; time.Sleep(10 * time.Millisecond) {
		tag, err := s.Pool().Exec(t.Context(), `UPDATE river.river_job SET state = 'running', attempt = 1, attempted_by = '{dead}', attempted_at = clock_timestamp() - interval '5 seconds'`)
		if err != nil {
			t.Fatal(err)
		}
		lost = tag.RowsAffected()
	}
	cancel()
	waiting.Wait()
	start(t, &pipeline.Worker{Store: s, Name: "alive", Lease: time.Second, Log: quiet(), Handlers: map[tandem.Stage]pipeline.Handler{
		tandem.StageSFT: func(context.Context, tandem.Unit, json.RawMessage) (pipeline.Result, error) {
			return pipeline.Result{Value: "alive"}, nil
		},
	}})
	if _, err := q.Await(within(t), round, tandem.StageSFT, nil); err != nil {
		t.Fatal(err)
	}
}

// A worker that was silent for a while holds on to its unit when nobody has taken it yet, so that the unit's delivery
// came too early; and then it dies.
func TestDeliveryThatCameTooEarly(t *testing.T) {
	s := server.Store(t)
	q, round := queue(t, s)
	if err := q.Plan(t.Context(), round, tandem.StageSFT, nil); err != nil {
		t.Fatal(err)
	}
	unit := tandem.Unit{Round: round, Stage: tandem.StageSFT}
	slow, err := s.LeaseUnit(t.Context(), unit, "slow", time.Millisecond)
	if err != nil || slow == nil {
		t.Fatal(slow, err)
	}
	time.Sleep(10 * time.Millisecond)
	ctx, cancel := context.WithCancel(within(t))
	var waiting sync.WaitGroup
	waiting.Go(func() { _, _ = q.Await(ctx, round, tandem.StageSFT, nil) }) // delivers; its end is not what is tested
	jobs := func(states string) (n int) {
		t.Helper()
		if err := s.Pool().QueryRow(t.Context(), `SELECT count(*) FROM river.river_job WHERE state::text ~ $1`, states).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for jobs("available") == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	waiting.Wait()
	if err := s.Heartbeat(t.Context(), slow, 3*time.Second); err != nil {
		t.Fatal(err)
	}
	start(t, &pipeline.Worker{Store: s, Name: "alive", Lease: time.Second, Log: quiet(), Handlers: map[tandem.Stage]pipeline.Handler{
		tandem.StageSFT: func(context.Context, tandem.Unit, json.RawMessage) (pipeline.Result, error) {
			return pipeline.Result{Value: "alive"}, nil
		},
	}})
	for jobs("completed|cancelled") == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	if units, err := s.Units(t.Context(), round, tandem.StageSFT); err != nil || units[0].Holder != "slow" {
		t.Fatalf("the delivery came too late: %+v, %v", units, err)
	}
	if _, err := q.Await(within(t), round, tandem.StageSFT, nil); err != nil {
		t.Fatal(err)
	}
}

// Whoever is at a unit of a round that is cancelled stops, without a failure.
func TestCancelledUnitIsGivenBack(t *testing.T) {
	s := server.Store(t)
	q, round := queue(t, s)
	begun := make(chan struct{})
	start(t, &pipeline.Worker{Store: s, Name: "worker", Lease: time.Second, Log: quiet(), Handlers: map[tandem.Stage]pipeline.Handler{
		tandem.StageSFT: func(ctx context.Context, _ tandem.Unit, _ json.RawMessage) (pipeline.Result, error) {
			close(begun)
			<-ctx.Done()
			return pipeline.Result{}, ctx.Err()
		},
	}})
	if err := q.Plan(t.Context(), round, tandem.StageSFT, nil); err != nil {
		t.Fatal(err)
	}
	ctx := within(t)
	go func() { _, _ = q.Await(ctx, round, tandem.StageSFT, nil) }() // delivers
	<-begun
	if err := s.CancelRound(t.Context(), round, "test"); err != nil {
		t.Fatal(err)
	}
	for {
		units, err := s.Units(ctx, round, tandem.StageSFT)
		if err != nil {
			t.Fatal(err)
		}
		if u := units[0]; u.Holder == "" {
			if u.Done || u.Failures != 0 {
				t.Errorf("given back as %+v", u)
			}
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

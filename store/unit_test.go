package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

// runOut lets the leases of all units run out.
func runOut(t *testing.T, db pgtest.Database) {
	t.Helper()
	if _, err := connect(t, db.URL).Exec(t.Context(), `UPDATE units SET lease_until = clock_timestamp() WHERE holder IS NOT NULL`); err != nil {
		t.Fatal(err)
	}
}

func addUnits(t *testing.T, s *store.Store, n int) []tandem.Unit {
	t.Helper()
	units := make([]tandem.Unit, n)
	specs := make([]json.RawMessage, n)
	for i := range units {
		units[i] = tandem.Unit{Stage: tandem.StageReject, Shard: i}
		specs[i] = json.RawMessage(fmt.Sprintf(`{"from": %d}`, 100*i))
	}
	for range 2 { // planning again changes nothing
		if err := s.AddUnits(t.Context(), units, specs); err != nil {
			t.Fatal(err)
		}
	}
	return units
}

// Whoever lost the unit may write nothing, however late they notice.
func TestFencing(t *testing.T) {
	db := postgres.Database(t)
	s := pgtest.OpenStore(t, db.URL)
	unit := addUnits(t, s, 1)[0]
	ctx := t.Context()
	slow := must(s.NextUnit(ctx, 0, tandem.StageReject, "slow", time.Minute))(t)
	if slow == nil || slow.Fence != 1 || string(slow.Spec) != `{"from": 0}` {
		t.Fatalf("lease %+v", slow)
	}
	if other := must(s.NextUnit(ctx, 0, tandem.StageReject, "quick", time.Minute))(t); other != nil {
		t.Fatalf("a held unit was leased: %+v", other)
	}
	runOut(t, db)
	if err := s.Heartbeat(ctx, slow, time.Minute); err != nil {
		t.Errorf("a lease that ran out and was not taken: %v", err)
	}
	runOut(t, db)
	quick := must(s.LeaseUnit(ctx, unit, "quick", time.Minute))(t)
	if quick == nil || quick.Fence <= slow.Fence {
		t.Fatalf("taken over with %+v", quick)
	}

	wrote := false
	addRound := func(s *store.Store) error {
		wrote = true
		_, err := s.CreateRound(ctx, "")
		return err
	}
	wantCode(t, "a late heartbeat", s.Heartbeat(ctx, slow, time.Minute), tandem.Stale)
	wantCode(t, "a late result", s.Complete(ctx, slow, json.RawMessage(`{"by": "slow"}`)), tandem.Stale)
	wantCode(t, "a late release", s.Release(ctx, slow, nil), tandem.Stale)
	wantCode(t, "a late write", s.WithLease(ctx, slow, addRound), tandem.Stale)
	if wrote {
		t.Error("what a lost lease wrote was begun")
	}

	// A write that fails leaves nothing; one that goes through is there with the result.
	failure := errors.New("disk")
	if err := s.WithLease(ctx, quick, func(s *store.Store) error { return errors.Join(addRound(s), failure) }); !errors.Is(err, failure) {
		t.Errorf("got %v", err)
	}
	if rounds := must(s.Rounds(ctx))(t); len(rounds) != 0 {
		t.Errorf("rounds of a write that failed: %+v", rounds)
	}
	if err := s.WithLease(ctx, quick, func(s *store.Store) error {
		for range 2 { // twice in one transaction, as a shard of several prompts does
			if _, err := s.AddPrompts(ctx, []tandem.Prompt{{Messages: tandem.Dialogue{{Role: tandem.User, Content: "Hi"}}}}); err != nil {
				return err
			}
		}
		if err := addRound(s); err != nil {
			return err
		}
		return s.Complete(ctx, quick, json.RawMessage(`{"by": "quick"}`))
	}); err != nil {
		t.Fatal(err)
	}
	states := must(s.Units(ctx, 0, tandem.StageReject))(t)
	if len(states) != 1 || !states[0].Done || string(states[0].Result) != `{"by": "quick"}` || states[0].Holder != "" {
		t.Errorf("units %+v", states)
	}
	if again := must(s.LeaseUnit(ctx, unit, "third", time.Minute))(t); again != nil {
		t.Errorf("a unit that is done was leased: %+v", again)
	}
	wantCode(t, "a result twice", s.Complete(ctx, quick, nil), tandem.Stale)
}

func TestReleaseCountsFailures(t *testing.T) {
	s := postgres.Store(t)
	addUnits(t, s, 2)
	l := must(s.NextUnit(t.Context(), 0, tandem.StageReject, "w", time.Minute))(t)
	if err := s.Release(t.Context(), l, errors.New("NaN in the loss")); err != nil {
		t.Fatal(err)
	}
	// What failed goes behind what has not been tried.
	next := must(s.NextUnit(t.Context(), 0, tandem.StageReject, "w", time.Minute))(t)
	if next.Shard != 1 {
		t.Errorf("leased %+v", next)
	}
	if err := s.Release(t.Context(), next, t.Context().Err()); err != nil {
		t.Fatal(err)
	}
	states := must(s.Units(t.Context(), 0, tandem.StageReject))(t)
	if states[0].Failures != 1 || states[0].Error != "NaN in the loss" || states[1].Failures != 0 || states[1].Holder != "" {
		t.Errorf("units %+v", states)
	}
}

// Workers that come together do every unit once.
func TestUnitsAreLeasedOnce(t *testing.T) {
	const units, workers = 40, 8
	s := postgres.Store(t)
	addUnits(t, s, units)
	var mu sync.Mutex
	done := map[int]int{}
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for {
				l, err := s.NextUnit(t.Context(), 0, tandem.StageReject, fmt.Sprint("worker ", worker), time.Minute)
				if err != nil || l == nil {
					if err != nil {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				done[l.Shard]++
				mu.Unlock()
				if err := s.Complete(t.Context(), l, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for shard := range units {
		if done[shard] != 1 {
			t.Errorf("shard %d was done %d times", shard, done[shard])
		}
	}
}

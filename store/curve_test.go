package store_test

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"tandem"
	"tandem/store"
)

func newRun(t *testing.T, s *store.Store) string {
	t.Helper()
	others := len(must(s.Runs(t.Context(), store.RunQuery{}))(t)) // the same work again would be the same run
	return must(s.StartRun(t.Context(), store.Run{Stage: tandem.StagePPO, Seed: uint64(others)}, 0))(t).ID
}

func add(t *testing.T, s *store.Store, run string, metrics ...store.Metric) {
	t.Helper()
	if err := s.AddMetrics(t.Context(), run, metrics); err != nil {
		t.Fatal(err)
	}
}

// A curve is whole as long as it is short; a long one keeps its ends, its range and what is not finite.
func TestCurves(t *testing.T) {
	s := postgres.Store(t)
	run, other := newRun(t, s), newRun(t, s)
	var metrics []store.Metric
	for step := int64(1); step <= 1000; step++ {
		value := float64(step)
		if step == 505 {
			value = math.NaN()
		}
		metrics = append(metrics, store.Metric{Name: "long", Step: step, Value: value})
		if step%100 == 0 {
			metrics = append(metrics, store.Metric{Name: "eval/rare", Step: step, Value: -value})
		}
	}
	add(t, s, run, metrics...)
	add(t, s, other, store.Metric{Name: "other", Step: 1, Value: 1})
	curves := must(s.Curves(t.Context(), run, 50))(t)
	if len(curves) != 2 || curves[0].Name != "eval/rare" || len(curves[0].Points) != 10 || curves[0].Points[9] != (store.CurvePoint{Step: 1000, Value: -1000, Low: -1000, High: -1000}) {
		t.Fatalf("got %+v", curves)
	}
	long := curves[1].Points
	if len(long) != 50 || long[0] != (store.CurvePoint{Step: 20, Value: 10.5, Low: 1, High: 20}) || long[49] != (store.CurvePoint{Step: 1000, Value: 990.5, Low: 981, High: 1000}) {
		t.Errorf("got %d points, from %+v to %+v", len(long), long[0], long[len(long)-1])
	}
	if p := long[25]; p.Step != 520 || !math.IsNaN(p.Value) {
		t.Errorf("the point that holds a NaN is %+v", p)
	}
	if whole := must(s.Curves(t.Context(), run, 1000))(t)[1].Points; len(whole) != 1000 || whole[6].Step != 7 {
		t.Errorf("%d points of 1000", len(whole))
	}
}

// What is new is found whatever its name, and only that.
func TestMetricsAfter(t *testing.T) {
	s := postgres.Store(t)
	run := newRun(t, s)
	if news := must(s.MetricsAfter(t.Context(), run, nil))(t); len(news) != 0 {
		t.Errorf("of nothing %+v is new", news)
	}
	add(t, s, run, store.Metric{Name: "b", Step: 0, Value: 1}, store.Metric{Name: "b", Step: 5, Value: 2}, store.Metric{Name: "a", Step: 5, Value: 3}, store.Metric{Name: "Z/c", Step: 2, Value: 4})
	if got := fmt.Sprint(must(s.MetricsAfter(t.Context(), run, map[string]int64{"b": 0, "a": 5, "gone": 9}))(t)); got != "[{b 5 2} {Z/c 2 4}]" && got != "[{Z/c 2 4} {b 5 2}]" {
		t.Errorf("got %s", got)
	}
	if got := len(must(s.MetricsAfter(t.Context(), run, nil))(t)); got != 4 {
		t.Errorf("%d of 4 are new to who has seen none", got)
	}
	last := make(map[string]float64)
	for _, m := range must(s.LastMetrics(t.Context(), run))(t) {
		last[m.Name] = m.Value
	}
	if fmt.Sprint(last) != "map[Z/c:4 a:3 b:2]" {
		t.Errorf("the last are %v", last)
	}
	_, err := s.MetricsAfter(t.Context(), "x", nil)
	wantCode(t, "no run", err, tandem.NotFound)
}

func TestSpentAndHeard(t *testing.T) {
	s := postgres.Store(t)
	run, silent := newRun(t, s), newRun(t, s)
	before := time.Now()
	add(t, s, run, store.Metric{Name: store.TokensMetric, Step: 1, Value: 100}, store.Metric{Name: store.TokensMetric, Step: 2, Value: 50},
		store.Metric{Name: store.FlopsMetric, Step: 1, Value: math.NaN()}, store.Metric{Name: store.FlopsMetric, Step: 2, Value: 1e12}, store.Metric{Name: "loss", Step: 1, Value: 7})
	spent := must(s.Spent(t.Context(), run, silent))(t)
	if got := spent[run]; *got.Tokens != 150 || *got.Flops != 1e12 || got.CPUSeconds != nil {
		t.Errorf("spent %v, %v, %v", *got.Tokens, *got.Flops, got.CPUSeconds)
	}
	if got := spent[silent]; got.Tokens != nil {
		t.Errorf("who measured nothing spent %v", *got.Tokens)
	}
	heard := must(s.Heard(t.Context(), run, silent))(t)
	if heard[silent].After(before) || heard[run].Before(heard[silent]) {
		t.Errorf("heard at %v and %v", heard[run], heard[silent])
	}
	if err := s.AddEvent(t.Context(), silent, "note", "here I am"); err != nil {
		t.Fatal(err)
	}
	if again := must(s.Heard(t.Context(), silent))(t); !again[silent].After(heard[run]) {
		t.Errorf("an event was not heard: %v", again)
	}
}

func TestStages(t *testing.T) {
	s := postgres.Store(t)
	ctx := t.Context()
	first, second := must(s.CreateRound(ctx, ""))(t).Number, must(s.CreateRound(ctx, ""))(t).Number
	plan := func(round int, stage tandem.Stage, units int) {
		t.Helper()
		var keys []tandem.Unit
		for i := range units {
			keys = append(keys, tandem.Unit{Round: round, Stage: stage, Shard: i})
		}
		if err := s.AddUnits(ctx, keys, make([]json.RawMessage, units)); err != nil {
			t.Fatal(err)
		}
	}
	plan(first, tandem.StageReject, 3)
	plan(first, tandem.StageCollect, 1)
	plan(second, tandem.StageReject, 1)
	plan(0, tandem.StageReject, 1) // outside any round
	lease := must(s.NextUnit(ctx, first, tandem.StageReject, "w", time.Minute))(t)
	if err := s.Complete(ctx, lease, nil); err != nil {
		t.Fatal(err)
	}
	lease = must(s.NextUnit(ctx, first, tandem.StageReject, "w", time.Minute))(t)
	if err := s.Release(ctx, lease, fmt.Errorf("the disk is full")); err != nil {
		t.Fatal(err)
	}
	must(s.NextUnit(ctx, first, tandem.StageReject, "w", time.Minute))(t)
	lease = must(s.NextUnit(ctx, first, tandem.StageCollect, "w", time.Minute))(t)
	if err := s.Complete(ctx, lease, nil); err != nil {
		t.Fatal(err)
	}
	stages := must(s.Stages(ctx, first))(t)
	if len(stages) != 2 || stages[0].Stage != tandem.StageReject || stages[1].Stage != tandem.StageCollect {
		t.Fatalf("stages %+v", stages)
	}
	if r := stages[0]; r.Units != 3 || r.Done != 1 || r.Held != 1 || r.Failures != 1 || r.Error != "the disk is full" || !r.Ended.IsZero() {
		t.Errorf("reject is %+v", r)
	}
	if c := stages[1]; c.Done != 1 || c.Ended.Before(c.Begun) {
		t.Errorf("collect is %+v", c)
	}
	if all := must(s.Stages(ctx, 0))(t); len(all) != 3 || all[2].Round != second {
		t.Errorf("all stages are %+v", all)
	}
}

package main

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"strings"
	"testing"

	"tandem"
	"tandem/store"
)

func TestRuns(t *testing.T) {
	useDatabase(t)
	s, err := store.Open(t.Context(), os.Getenv("DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var ids []string
	for i, config := range []string{`{"fit":{"learning_rate":0.1,"batch":4}}`, `{"fit":{"learning_rate":0.2,"batch":4}}`} {
		r, err := s.StartRun(t.Context(), store.Run{Stage: tandem.StageSFT, Config: json.RawMessage(config), Seed: uint64(i), Kernel: "k", Host: "h"}, 0)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.ID)
		metrics := []store.Metric{{Name: "loss", Step: 1, Value: 3}, {Name: "loss", Step: 2, Value: 2.5}, {Name: "lr", Step: 1, Value: math.NaN()}}
		if err := errors.Join(s.AddMetrics(t.Context(), r.ID, metrics), s.AddEvent(t.Context(), r.ID, "checkpoint", "step 2")); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.FinishRun(t.Context(), ids[0], "", nil), s.FinishRun(t.Context(), ids[1], "", errors.New("the disk is full"))); err != nil {
		t.Fatal(err)
	}

	list := tandemRun(t, "", "runs", "list").ok(t)
	if !strings.Contains(list.out, "the disk is full") || strings.Count(list.out, "\n") != 3 {
		t.Errorf("list: %s", list.out)
	}
	shown := tandemRun(t, "", "--json", "runs", "show", ids[0]).ok(t)
	for _, want := range []string{`{"name":"loss","step":2,"value":2.5}`, `"value":"NaN"`, `"status":"done"`, `"kind":"checkpoint"`} {
		if !strings.Contains(shown.out, want) {
			t.Errorf("show does not say %s: %s", want, shown.out)
		}
	}
	tail := tandemRun(t, "", "runs", "tail", ids[1]).ok(t)
	if want := "step 1  loss=3 lr=NaN\nstep 2  loss=2.5\n"; !strings.HasPrefix(tail.out, want) || !strings.HasSuffix(tail.out, "failed: the disk is full\n") {
		t.Errorf("tail: %s", tail.out)
	}
	compared := tandemRun(t, "", "runs", "compare", ids[0], ids[1]).ok(t)
	if !strings.Contains(compared.out, "learning_rate") || strings.Contains(compared.out, "batch") || !strings.Contains(compared.out, "metric loss") {
		t.Errorf("compare: %s", compared.out)
	}
	if r := tandemRun(t, "", "runs", "show", "999"); r.code != exitFailed {
		t.Errorf("no such run: exit code %d", r.code)
	}
	if r := tandemRun(t, "", "runs", "compare", ids[0]); r.code != exitUsage {
		t.Errorf("one run: exit code %d", r.code)
	}
}

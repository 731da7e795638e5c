package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"tandem"
)

var tinyShape = []string{"--blas", "gonum", "--layers", "1", "--hidden", "16", "--intermediate", "16", "--heads", "2", "--vocabulary", "32", "--workers", "1"}

// TestBenchReports measures tiny shapes: the figures of the contract stand in the JSON, and are positive.
func TestBenchReports(t *testing.T) {
	if testing.Short() {
		t.Skip("measuring the machine's peak takes seconds")
	}
	for name, args := range map[string][]string{
		"train":    {"bench", "train", "--sequences", "2", "--length", "8", "--steps", "2"},
		"generate": {"bench", "generate", "--batch", "1", "--prompt", "3", "--tokens", "5", "--runs", "1"},
		"score":    {"bench", "score", "--batch", "2", "--length", "8", "--runs", "1"},
	} {
		r := tandemRun(t, "", append(append([]string{"--json"}, args...), tinyShape...)...).ok(t)
		figures := object[map[string]json.RawMessage](t, r)
		for _, figure := range []string{"tokens_per_second", "flops_per_second", "peak_flops_per_second", "share_of_peak", "peak_memory_bytes"} {
			var value float64
			if err := json.Unmarshal(figures[figure], &value); err != nil || value <= 0 {
				t.Errorf("%s: %s is %s", name, figure, figures[figure])
			}
		}
		if !strings.Contains(string(figures["shape"]), `"layers":1`) {
			t.Errorf("%s: shape %s", name, figures["shape"])
		}
		if _, ok := figures["bandwidth"]; ok != (name == "generate") {
			t.Errorf("%s has %v", name, slices.Sorted(maps.Keys(figures)))
		}
	}
}

func TestBenchText(t *testing.T) {
	if testing.Short() {
		t.Skip("measuring the machine's peak takes seconds")
	}
	reward := smallModel(t, tandem.SafetyModel, 1, nil)
	r := tandemRun(t, "", "bench", "score", "--model", reward, "--batch", "1", "--length", "8", "--runs", "1", "--blas", "gonum").ok(t)
	for _, want := range []string{"scoring      2 layers, hidden 16", "GFLOP/s", "tokens       "} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %q in\n%s", want, r.out)
		}
	}
}

func TestBenchShapes(t *testing.T) {
	for _, test := range []struct {
		flags shapeFlags
		want  int64
	}{
		{shapeFlags{Shape: "stories260k"}, 260_032}, // as its author counts, embedding once
		{shapeFlags{Shape: "stories15m"}, 15_191_712},
		{shapeFlags{Shape: "stories110m"}, 109_529_856},
	} {
		c, err := test.flags.config(1)
		if err != nil {
			t.Fatal(err)
		}
		if got := architectureOf(c, false).Parameters; got != test.want {
			t.Errorf("%s has %d parameters, want %d", test.flags.Shape, got, test.want)
		}
	}
	if c, err := (shapeFlags{Shape: "prototype", Heads: 4, KvHeads: 2}).config(5000); err != nil || c.HeadDim != 72 || c.NumKeyValueHeads != 2 || c.MaxPositionEmbeddings != 5000 {
		t.Errorf("%+v, %v", c, err)
	}
	if r := tandemRun(t, "", "bench", "train", "--heads", "7"); r.code != exitFailed || !strings.Contains(r.stderr, "7 heads") {
		t.Errorf("heads that do not divide: exit code %d, %s", r.code, r.stderr)
	}
	if r := tandemRun(t, "", "bench", "train", "--shape", "gpt"); r.code != exitUsage {
		t.Errorf("an unknown shape: exit code %d", r.code)
	}
}

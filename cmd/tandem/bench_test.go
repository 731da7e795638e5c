package main

import (
	"encoding/json"
	"maps"
	"math"
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

// TestBenchPair measures the score API of a tiny pair: the rates and ratios stand in the JSON and in the table, and they
// fit each other.
func TestBenchPair(t *testing.T) {
	calibration := calibrated(tandem.Calibration{Deviation: 1, Samples: 10})
	pair := []string{"bench", "score", "--helpfulness", smallModel(t, tandem.HelpfulnessModel, 1, calibration), "--safety", smallModel(t, tandem.SafetyModel, 2, calibration),
		"--clients", "1,3", "--seconds", "0.1", "--runs", "1"}
	got := object[pairReport](t, tandemRun(t, "", append([]string{"--json"}, pair...)...).ok(t))
	if got.Texts.N != pairTexts || got.Texts.Shortest < 1 || got.Texts.Longest > 48 || got.Texts.Median <= got.Texts.Shortest || got.Shape.Layers != 2 {
		t.Errorf("%+v", got)
	}
	if len(got.Clients) != 2 || got.Clients[0].Clients != 1 || got.Clients[1].Clients != 3 || got.TokensPerSecond != got.Clients[1].TokensPerSecond || got.Bare.One.P50 <= 0 || got.PeakMemoryBytes <= 0 {
		t.Fatalf("%+v", got)
	}
	for _, c := range got.Clients {
		if c.RequestsPerSecond <= 0 || c.Latency.P50 <= 0 || c.Latency.P99 < c.Latency.P50 || math.Abs(c.ShareOfBatched-c.TokensPerSecond/got.Bare.Batched) > 1e-9 ||
			math.Abs(c.ShareOfOneByOne-c.TokensPerSecond/got.Bare.OneByOne) > 1e-9 || math.Abs(c.TimesBare-c.Latency.P50/got.Bare.One.P50) > 1e-9 {
			t.Errorf("%+v beside %+v", c, got.Bare)
		}
	}
	r := tandemRun(t, "", append(pair, "--ask-head", "--random-weights", "--shape", "stories260k")...).ok(t)
	for _, want := range []string{"5 layers, hidden 64", "one by one", "3 clients"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %q in\n%s", want, r.out)
		}
	}
	for _, args := range [][]string{{"--helpfulness", "h"}, {"--helpfulness", "h", "--safety", "s", "--model", "m"}, {"--helpfulness", "h", "--safety", "s", "--clients", "0"}, {"--helpfulness", "h", "--safety", "s", "--seconds", "0"}} {
		if r := tandemRun(t, "", append([]string{"bench", "score"}, args...)...); r.code != exitUsage {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.stderr)
		}
	}
}

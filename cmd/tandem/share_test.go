package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/internal/practice"
	"tandem/llama/checkpoint"
	"tandem/pipeline"
	"tandem/rejection"
	"tandem/store"
)

// TestTwoWorkersShareTheCores measures a stage of rejection sampling on the practice preset's shape, done by one worker
// process and by two on the same cores, in turns. TANDEM_SHARE is how often; the suite does without.
func TestTwoWorkersShareTheCores(t *testing.T) {
	times, _ := strconv.Atoi(os.Getenv("TANDEM_SHARE"))
	if times < 1 {
		t.Skip("a measurement, of some minutes: TANDEM_SHARE=3 takes it")
	}
	const shards, shardPrompts = 12, 16
	url, s := chaosStore(t)
	spec := shareModels(t, s, shards*shardPrompts)
	var specs []any
	for _, shard := range pipeline.Shards(shards*shardPrompts, shardPrompts) {
		spec.From, spec.To = shard[0], shard[1]
		specs = append(specs, spec)
	}
	ways := []struct {
		name  string
		flags [][]string // of each process
	}{
		{"one worker", [][]string{nil}},
		{"two workers", [][]string{nil, nil}},
		{"two workers of half the cores", [][]string{{"--workers", "1"}, {"--workers", "1"}}},
	}
	took, busy := make([][]float64, len(ways)), make([][]float64, len(ways))
	for range times {
		for i, way := range ways {
			seconds, cpu := shareStage(t, url, s, way.flags, specs)
			t.Logf("%s: %.2f s, %.2f s of processor time", way.name, seconds, cpu)
			took[i], busy[i] = append(took[i], seconds), append(busy[i], cpu)
		}
	}
	median := func(values []float64) float64 { return slices.Sorted(slices.Values(values))[len(values)/2] }
	for i, way := range ways {
		ratio := median(took[i]) / median(took[0])
		t.Logf("%s: median %.2f s, %.3f of one worker's time; processor time %.3f of one worker's", way.name, median(took[i]), ratio, median(busy[i])/median(busy[0]))
		if i == 1 && ratio > 1.1 {
			t.Errorf("two workers took %.3f of one worker's time, more than 1.1", ratio)
		}
	}
}

// shareStage has a stage done by fresh workers and returns how long they took from its planning to its end, and their
// processor time from beginning to end.
func shareStage(t *testing.T, url string, s *store.Store, flags [][]string, specs []any) (seconds, cpu float64) {
	t.Helper()
	round, err := s.CreateRound(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	queue, err := pipeline.NewQueue(s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	workers := newChaosWorkers(t, url)
	for i, f := range flags {
		workers.start(i, store.AliveTime, f...)
	}
	await := func(stage tandem.Stage, specs ...any) {
		t.Helper()
		if err := queue.Plan(t.Context(), round.Number, stage, specs...); err != nil {
			t.Fatal(err)
		}
		if _, err := queue.Await(t.Context(), round.Number, stage, nil); err != nil {
			t.Fatalf("%v\n%s", err, workers.said())
		}
	}
	for !strings.Contains(workers.said(), "taking work") || strings.Count(workers.said(), "taking work") < len(flags) {
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(2 * time.Second) // they say so before they listen
	began := time.Now()
	await(tandem.StageReject, specs...)
	seconds = time.Since(began).Seconds()
	for i := range flags {
		p := workers.processes[i]
		workers.end(i)
		cpu += (p.ProcessState.UserTime() + p.ProcessState.SystemTime()).Seconds()
	}
	return seconds, cpu
}

// shareModels makes a policy and two reward models of the practice preset's shape, and prompts.
func shareModels(t *testing.T, s *store.Store, prompts int) pipeline.Sample {
	t.Helper()
	folder := t.TempDir()
	w, err := practice.New(practice.DefaultConfig(1))
	if err != nil {
		t.Fatal(err)
	}
	var texts strings.Builder
	for i := range 400 {
		d := w.Demonstration(uint64(i))
		fmt.Fprintf(&texts, "%s\n", text(t, map[string]string{"text": d[0].Content + " " + d[len(d)-1].Content}))
	}
	policy := filepath.Join(folder, "policy")
	tandemRun(t, "", "pretrain", "--data", writeTemp(t, "texts.jsonl", texts.String()), "--preset", "practice", "--vocab-size", "1024", "--hidden-size", "128",
		"--intermediate-size", "352", "--layers", "4", "--heads", "4", "--key-value-heads", "4", "--positions", "1024", "--context", "128", "--steps", "1", "--out", policy).ok(t)
	judge := func(kind tandem.ModelKind, seed uint64) string {
		m, err := checkpoint.Load(context.Background(), policy)
		if err != nil {
			t.Fatal(err)
		}
		m.Weights = m.Weights.ToClassifier(rand.New(rand.NewPCG(seed, 0)))
		m.Lineage = &tandem.Model{ID: string(kind), Name: string(kind), Kind: kind, Stage: tandem.StageImport, Calibration: &tandem.Calibration{Deviation: 1, Samples: 10}}
		dir := filepath.Join(folder, string(kind))
		m.Lineage.URL = dir
		if err := errors.Join(checkpoint.Save(t.Context(), dir, m, checkpoint.SaveOptions{}), s.AddModel(t.Context(), *m.Lineage)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	row, err := pipeline.Adopt(t.Context(), s, policy)
	if err != nil {
		t.Fatal(err)
	}
	c := rejection.DefaultConfig()
	c.K, c.MaxTokens = 8, 48
	return pipeline.Sample{
		PolicyID: row.ID, HelpfulnessID: string(tandem.HelpfulnessModel), SafetyID: string(tandem.SafetyModel),
		Policy: policy, Helpfulness: judge(tandem.HelpfulnessModel, 1), Safety: judge(tandem.SafetyModel, 2), Config: c,
		Prompts: writeTemp(t, "prompts.jsonl", jsonLines(t, promptLines(t, w, practice.Train, practice.HelpfulFamilies(), prompts)...)),
	}
}

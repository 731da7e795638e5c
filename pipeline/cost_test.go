package pipeline

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"tandem/llama"
	"tandem/llama/train"
)

// A training step is counted as the benchmark of training counts it.
func TestStepFlopsAreTheBenchmarks(t *testing.T) {
	c := train.DefaultBenchConfig()
	w := llama.NewWeights(c.Model, false)
	got := stepFlops(w, train.Stats{Tokens: c.Sequences * c.Length, Sequences: c.Sequences})
	if want := c.FlopsPerStep(); math.Abs(got/want-1) > 1e-12 {
		t.Errorf("%g, and the benchmark says %g", got, want)
	}
	head := passFlops(llama.NewWeights(c.Model, true), 1, 1)
	if whole := passFlops(w, 1, 1); whole-head != 2*float64((c.Model.VocabSize-1)*c.Model.HiddenSize) {
		t.Errorf("a policy takes %g and a classifier %g", whole, head)
	}
	if n := stepFlops(w, train.Stats{}); n != 0 {
		t.Errorf("a step without examples takes %g", n)
	}
}

// With adapters, what is frozen has no gradient of its own: two thirds of a full step, and three times the adapters.
func TestTrainFlopsOfAdapters(t *testing.T) {
	for name, classifier := range map[string]bool{"policy": false, "classifier": true} {
		for _, tied := range []bool{true, false} {
			c := llama.Config{VocabSize: 30, HiddenSize: 8, IntermediateSize: 12, NumHiddenLayers: 2, NumAttentionHeads: 2, NumKeyValueHeads: 1, HeadDim: 4, MaxPositionEmbeddings: 8, TieWordEmbeddings: tied}
			base := llama.NewWeights(c, classifier)
			w, err := base.Adapt(llama.LoRA{Rank: 3, Targets: "k_proj,up_proj"}, rand.New(rand.NewPCG(1, 1)))
			if err != nil {
				t.Fatal(err)
			}
			const tokens, length = 10, 5
			layers := 2 * (8*(2+2)*4 + 8*8 + 3*8*12) // elements: qkv, o, gate, up and down
			head := 30 * 8
			trained := 0 // of the head
			if classifier {
				head, trained = 8, 8
			}
			attention := 2 * 2 * 8 * tokens * length // a forward pass
			adapters := 2 * 3 * ((8 + 4) + (8 + 12))
			if n := w.LoRA().Parameters(c); n != adapters {
				t.Errorf("%s: the adapters have %d parameters, want %d", name, n, adapters)
			}
			if got, want := graphFlops(w, tokens, length), float64(2*(layers+head+adapters)*tokens+attention); got != want {
				t.Errorf("%s, tied %t: forward %g, want %g", name, tied, got, want)
			}
			if got, want := trainFlops(w, tokens, length), float64((4*(layers+head)+2*trained+6*adapters)*tokens+3*attention); got != want {
				t.Errorf("%s, tied %t: a step %g, want %g", name, tied, got, want)
			}
			if got, want := trainFlops(base, tokens, length), 3*passFlops(base, tokens, length); got != want {
				t.Errorf("%s, tied %t: a full step %g, want %g", name, tied, got, want)
			}
		}
	}
}

// What a stage's log says before and after its run has begun is kept in order, in words; what is only for debugging is not.
func TestEventLog(t *testing.T) {
	var shown strings.Builder
	base := slog.NewTextHandler(&shown, &slog.HandlerOptions{Level: slog.LevelWarn})
	kept := &keptEvents{}
	log := slog.New(&eventLog{Handler: base, kept: kept})
	log.Info("dialogues were left out", "too_long", 3)
	log.Debug("nothing of interest")
	log.With("shard", 1).WithGroup("of").With("a", 2).Warn("the critic is dead", "iteration", 7, "error", errors.New("x"))
	log.Error("lost")
	var got []string
	for _, e := range kept.waiting {
		got = append(got, e.Kind+": "+e.Message)
	}
	want := "note: dialogues were left out (too_long 3)|warning: the critic is dead (shard 1, of.a 2, of.iteration 7, of.error x)|error: lost"
	if strings.Join(got, "|") != want {
		t.Errorf("got %q", got)
	}
	if text := shown.String(); strings.Contains(text, "left out") || !strings.Contains(text, "critic") {
		t.Errorf("the log itself shows %s", text)
	}
	if !log.Enabled(context.Background(), slog.LevelInfo) || slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelWarn})).Enabled(context.Background(), slog.LevelInfo) {
		t.Error("what is to be kept is not asked for")
	}
}

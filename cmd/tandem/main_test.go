package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/llama"
	"tandem/llama/checkpoint"
	"tandem/llama/tokenizer"
)

var postgres pgtest.Server

// asProgram is set in the environment of a test binary that is to be the program itself.
const asProgram = "TEST_AS_TANDEM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(postgres.Run(m))
}

// result is what a command line came to.
type result struct {
	code        int
	out, stderr string
}

// tandemRun runs a command line in this process.
func tandemRun(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	return tandemRunContext(t, t.Context(), stdin, args...)
}

func tandemRunContext(t *testing.T, ctx context.Context, stdin string, args ...string) result {
	t.Helper()
	var out, stderr bytes.Buffer
	code := run(ctx, args, world{in: strings.NewReader(stdin), out: &out, err: &stderr})
	return result{code, out.String(), stderr.String()}
}

// ok fails the test unless the command succeeded.
func (r result) ok(t *testing.T) result {
	t.Helper()
	if r.code != exitDone {
		t.Fatalf("exit code %d\nstdout: %s\nstderr: %s", r.code, r.out, r.stderr)
	}
	return r
}

// lines decodes the output's JSON lines.
func lines[T any](t *testing.T, r result) []T {
	t.Helper()
	var all []T
	for text := range strings.Lines(r.out) {
		var v T
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		all = append(all, v)
	}
	return all
}

// jsonLines encodes values, a line each.
func jsonLines(t *testing.T, values ...any) string {
	t.Helper()
	var b strings.Builder
	for _, v := range values {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
		b.WriteByte('\n')
	}
	return b.String()
}

// sharedData is a path in the folder of real data; the test is skipped where it is absent.
func sharedData(t *testing.T, path string) string {
	t.Helper()
	folder := os.Getenv("TANDEM_SHARED_DATA")
	if folder == "" {
		folder = "../../../shared/data"
	}
	path = filepath.Join(folder, path)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("real data is not there: %v", err)
	}
	return path
}

// golden is a golden model's folder.
func golden(name string) string { return filepath.Join("../../llama/testdata", name) }

// smallModel writes a model with random weights and a real tokenizer, and returns its folder.
func smallModel(t *testing.T, kind tandem.ModelKind, seed uint64, change func(*checkpoint.Model)) string {
	t.Helper()
	tok, err := tokenizer.Open("../../llama/tokenizer/testdata/tiny")
	if err != nil {
		t.Fatal(err)
	}
	c := llama.Config{
		VocabSize: tok.VocabSize(), HiddenSize: 16, IntermediateSize: 24, NumHiddenLayers: 2, NumAttentionHeads: 2, NumKeyValueHeads: 1,
		HeadDim: 8, MaxPositionEmbeddings: 48, RMSNormEps: 1e-5, RopeTheta: 10000,
		BOS: int(tok.Special().BOS), EOS: []int{int(tok.Special().EOS)}, PAD: int(tok.Special().PAD),
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	w := llama.NewWeights(c, kind != tandem.PolicyModel)
	w.Init(rng)
	for _, p := range w.Params() { // large enough that tokens and scores differ clearly
		if p.Decay {
			for i := range p.Data {
				p.Data[i] *= 8
			}
		}
	}
	m := &checkpoint.Model{Weights: w, Files: tok.Files(), Lineage: &tandem.Model{
		ID: "model-" + string(kind), Name: "small " + string(kind), Kind: kind, Stage: tandem.StageSFT, Seed: seed,
	}}
	if change != nil {
		change(m)
	}
	dir := filepath.Join(t.TempDir(), "model")
	if err := checkpoint.Save(t.Context(), dir, m, checkpoint.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	return dir
}

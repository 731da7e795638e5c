package checkpoint

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

const goldenFolder = "../testdata"

// goldenModels lists the model folders that golden.py has made.
func goldenModels(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(goldenFolder, "*", "golden.json"))
	if err != nil || len(paths) < 10 {
		t.Fatalf("the golden models are missing: %v, %v", paths, err)
	}
	var names []string
	for _, p := range paths {
		names = append(names, filepath.Base(filepath.Dir(p)))
	}
	return names
}

// golden are the values that transformers gave for one model; see testdata/README.md.
type golden struct {
	Sequences [][]int `json:"sequences"`
	Greedy    []int   `json:"greedy"`
	tensors   map[string]Tensor
}

func readGolden(t *testing.T, name string) golden {
	t.Helper()
	var g golden
	text, err := os.ReadFile(filepath.Join(goldenFolder, name, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(goldenFolder, name, "golden.safetensors")
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	tensors, _, err := ReadTensors(f, info.Size(), path)
	if err != nil {
		t.Fatal(err)
	}
	g.tensors = make(map[string]Tensor)
	for _, tensor := range tensors {
		g.tensors[tensor.Name] = tensor
	}
	return g
}

// TestGoldenLogits loads every model that transformers wrote and computes its logits or scores plainly.
func TestGoldenLogits(t *testing.T) {
	for _, name := range goldenModels(t) {
		t.Run(name, func(t *testing.T) {
			m, err := Load(context.Background(), filepath.Join(goldenFolder, name))
			if err != nil {
				t.Fatal(err)
			}
			g := readGolden(t, name)
			want := g.tensors["logits"].Data
			if m.Weights.IsClassifier() {
				want = g.tensors["scores"].Data
			}
			var got []float64
			for _, ids := range g.Sequences {
				for _, row := range reference(m.Weights, ids) {
					got = append(got, row...)
				}
			}
			if len(got) != len(want) {
				t.Fatalf("%d logits, want %d", len(got), len(want))
			}
			for i := range want {
				if d := math.Abs(got[i] - float64(want[i])); !(d <= 1e-4) {
					t.Fatalf("logit %d is %g, want %g", i, got[i], want[i])
				}
			}
			// Every gradient has its parameter, under the same name and shape.
			for _, p := range Tensors(m.Weights) {
				if g := g.tensors["grad."+p.Name]; !slices.Equal(g.Shape, p.Shape) {
					t.Errorf("the gradient of %s has shape %v, the parameter %v", p.Name, g.Shape, p.Shape)
				}
			}
			if g.Greedy != nil {
				ids := slices.Clone(g.Sequences[0])
				for range g.Greedy {
					rows := reference(m.Weights, ids)
					last := rows[len(rows)-1]
					ids = append(ids, slices.Index(last, slices.Max(last)))
				}
				if got := ids[len(g.Sequences[0]):]; !slices.Equal(got, g.Greedy) {
					t.Errorf("greedy %v, want %v", got, g.Greedy)
				}
			}
		})
	}
}

// TestTransformersReads writes every golden model as tandem does, in all types of number and in shards,
// and reads it back. With TANDEM_GOLDEN_OUT it writes them there, for golden.py --check to load in
// transformers; testdata/check.json records what that said.
func TestTransformersReads(t *testing.T) {
	ctx, out := context.Background(), os.Getenv("TANDEM_GOLDEN_OUT")
	if out == "" {
		out = t.TempDir()
	}
	for _, name := range goldenModels(t) {
		m, err := Load(ctx, filepath.Join(goldenFolder, name))
		if err != nil {
			t.Fatal(err)
		}
		for variant, o := range map[string]SaveOptions{
			"":      {DType: m.DType, MaxShardBytes: 9000},
			".F32":  {},
			".BF16": {DType: BF16},
			".F16":  {DType: F16},
		} {
			dir := filepath.Join(out, name+variant)
			if err := Save(ctx, dir, m, o); err != nil {
				t.Fatal(err)
			}
			back, err := Load(ctx, dir)
			if err != nil {
				t.Fatal(err)
			}
			if variant == "" || variant == ".F32" {
				equalWeights(t, back.Weights, m.Weights)
			}
		}
	}
	if os.Getenv("TANDEM_GOLDEN_OUT") != "" {
		return
	}
	var recorded map[string]struct {
		Results map[string]struct{ Passed bool }
	}
	text, err := os.ReadFile(filepath.Join(goldenFolder, "check.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatal(err)
	}
	for version, check := range recorded {
		for _, name := range goldenModels(t) {
			for _, variant := range []string{"", ".F32", ".BF16", ".F16"} {
				if !check.Results[name+variant].Passed {
					t.Errorf("transformers %s has not confirmed %s", version, name+variant)
				}
			}
		}
	}
	if len(recorded) < 2 {
		t.Errorf("check.json records %d versions of transformers, want one of 4 and one of 5", len(recorded))
	}
}

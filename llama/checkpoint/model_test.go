package checkpoint

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/llama"
)

// tiny is a configuration that tells every size from every other.
func tiny() llama.Config {
	return llama.Config{
		VocabSize: 11, HiddenSize: 8, IntermediateSize: 12, NumHiddenLayers: 2, NumAttentionHeads: 4,
		NumKeyValueHeads: 2, HeadDim: 6, MaxPositionEmbeddings: 32, RMSNormEps: 1e-5, RopeTheta: 5e5,
		BOS: 1, EOS: []int{2}, PAD: -1,
	}
}

func tinyModel(c llama.Config, classifier bool, seed uint64) *Model {
	w := llama.NewWeights(c, classifier)
	w.Init(rand.New(rand.NewPCG(seed, 0)))
	return &Model{Weights: w, Files: map[string][]byte{"tokenizer.json": []byte(`{"seed":` + string(rune('0'+seed)) + `}`)}}
}

func equalWeights(t *testing.T, got, want *llama.Weights) {
	t.Helper()
	g, w := got.Params(), want.Params()
	if len(g) != len(w) {
		t.Fatalf("%d parameters, want %d", len(g), len(w))
	}
	for i := range w {
		if g[i].Name != w[i].Name || !slices.Equal(g[i].Shape, w[i].Shape) || !slices.Equal(g[i].Data, w[i].Data) {
			t.Errorf("parameter %s differs", w[i].Name)
		}
	}
}

func TestSaveLoad(t *testing.T) {
	linear, llama3, tied := tiny(), tiny(), tiny()
	linear.RopeScaling = &llama.RopeScaling{Type: "linear", Factor: 2}
	llama3.RopeScaling = &llama.RopeScaling{Type: "llama3", Factor: 8, LowFreqFactor: 1, HighFreqFactor: 4, OriginalMaxPosition: 16}
	llama3.EOS, llama3.PAD, llama3.BOS = []int{2, 5}, 0, -1
	tied.TieWordEmbeddings = true
	for _, test := range []struct {
		name       string
		config     llama.Config
		classifier bool
		options    SaveOptions
	}{
		{"policy", tiny(), false, SaveOptions{}},
		{"tied", tied, false, SaveOptions{}},
		{"linear", linear, false, SaveOptions{}},
		{"llama3", llama3, false, SaveOptions{}},
		{"classifier", tiny(), true, SaveOptions{}},
		{"classifier_tied_sharded", tied, true, SaveOptions{MaxShardBytes: 1000}},
		{"sharded", tiny(), false, SaveOptions{MaxShardBytes: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, dir := context.Background(), filepath.Join(t.TempDir(), "out", "model")
			m := tinyModel(test.config, test.classifier, 1)
			m.Lineage = &tandem.Model{ID: "m1", Kind: tandem.PolicyModel, URL: "elsewhere", Seed: 1<<63 + 1,
				Metrics: map[string]float64{"loss": 0.5}, CreatedAt: time.Unix(1700000000, 0).UTC()}
			if err := Save(ctx, dir, m, test.options); err != nil {
				t.Fatal(err)
			}
			got, err := Load(ctx, "file://"+dir)
			if err != nil {
				t.Fatal(err)
			}
			equalWeights(t, got.Weights, m.Weights)
			a, _ := json.Marshal(got.Weights.Config)
			b, _ := json.Marshal(test.config)
			if string(a) != string(b) {
				t.Errorf("configuration\n%s, want\n%s", a, b)
			}
			if test.config.TieWordEmbeddings && !test.classifier && &got.Weights.Output[0] != &got.Weights.Embed[0] {
				t.Error("the output matrix of a tied model is not its embedding")
			}
			if l := got.Lineage; l == nil || l.ID != "m1" || l.URL != dir || l.Seed != 1<<63+1 || l.Metrics["loss"] != 0.5 {
				t.Errorf("lineage %+v", got.Lineage)
			}
			if string(got.Files["tokenizer.json"]) != `{"seed":1}` {
				t.Errorf("tokenizer.json is %q", got.Files["tokenizer.json"])
			}
			if _, err := Verify(ctx, dir); err != nil {
				t.Error(err)
			}
			shards, _ := filepath.Glob(filepath.Join(dir, "*.safetensors"))
			if sharded := len(shards) > 1; sharded != (test.options.MaxShardBytes > 0) {
				t.Errorf("shards %v", shards)
			}
			if stages, err := stagings(dir); err != nil || len(stages) > 0 {
				t.Errorf("%v is left (%v)", stages, err)
			}
		})
	}
}

// TestVerifyFindsFlippedBit flips one bit of every file in turn.
func TestVerifyFindsFlippedBit(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	if err := Save(ctx, dir, tinyModel(tiny(), false, 1), SaveOptions{MaxShardBytes: 2000}); err != nil {
		t.Fatal(err)
	}
	m, err := Verify(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Files) < 5 {
		t.Fatalf("the manifest lists %v", m.Files)
	}
	for _, f := range m.Files {
		path := filepath.Join(dir, f.Name)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bad := slices.Clone(good)
		bad[len(bad)/2] ^= 4
		if err := os.WriteFile(path, bad, 0o666); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{second(Verify(ctx, dir)), second(Load(ctx, dir))} {
			if tandem.CodeOf(err) != tandem.Corrupt || !strings.Contains(err.Error(), f.Name) {
				t.Errorf("%s with a flipped bit: %v", f.Name, err)
			}
		}
		if err := os.WriteFile(path, good, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Verify(ctx, dir); err != nil {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }

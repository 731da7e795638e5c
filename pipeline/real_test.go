package pipeline_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/internal/blas"
	"tandem/internal/parallel"
	"tandem/llama"
	"tandem/llama/chat"
	"tandem/llama/checkpoint"
	"tandem/llama/nn"
	"tandem/llama/nn/kernel"
	"tandem/llama/tokenizer"
	"tandem/pipeline"
	"tandem/pretrain"
	"tandem/report"
)

// studio computes with plain libraries, the same everywhere.
func studio(t *testing.T) *pipeline.Studio {
	t.Helper()
	library, err := blas.Load(blas.Options{Name: "gonum"})
	if err != nil {
		t.Fatal(err)
	}
	kernels, err := kernel.Select("")
	if err != nil {
		t.Fatal(err)
	}
	return &pipeline.Studio{Device: nn.NewCPU(library, kernels, parallel.New(2)), Kernels: kernels, Workers: 2, Kernel: "test", Log: quiet()}
}

// tinyTokenizer is of a handful of words.
func tinyTokenizer() tokenizer.TrainConfig {
	c := tokenizer.DefaultTrainConfig()
	c.VocabSize, c.ChatTemplate = 300, chat.Compact
	return c
}

var tinyShape = pipeline.Shape{HiddenSize: 16, IntermediateSize: 32, Layers: 1, Heads: 2, KeyValueHeads: 2, Context: 64, Tied: true}

// tinyBase saves an untrained model with a tokenizer.
func tinyBase(t *testing.T) string {
	t.Helper()
	texts := func(yield func(string) bool) { yield(strings.Repeat("tell me about good bad question answer ", 20)) }
	tok, err := tokenizer.Train(t.Context(), texts, tinyTokenizer())
	if err != nil {
		t.Fatal(err)
	}
	special := tok.Special()
	w := llama.NewWeights(llama.Config{
		VocabSize: tok.VocabSize(), HiddenSize: 16, IntermediateSize: 32, NumHiddenLayers: 1, NumAttentionHeads: 2, NumKeyValueHeads: 2, HeadDim: 8,
		MaxPositionEmbeddings: 64, RMSNormEps: 1e-5, RopeTheta: 10000, TieWordEmbeddings: true,
		BOS: int(special.BOS), EOS: []int{int(special.EOS)}, PAD: int(special.PAD),
	}, false)
	w.Init(rand.New(rand.NewPCG(1, 2)))
	folder := filepath.Join(t.TempDir(), "base")
	if err := checkpoint.Save(t.Context(), folder, &checkpoint.Model{Weights: w, Files: tok.Files()}, checkpoint.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	return folder
}

// hhPairs writes transcripts in which one word decides, two pairs to an opening, and some too long for the
// context of 64.
func hhPairs(t *testing.T, name, good, bad string, n int) string {
	t.Helper()
	var b bytes.Buffer
	for i := range n {
		prompt := fmt.Sprintf("\n\nHuman: %s %d?\n\nAssistant: ok\n\nHuman: and %d?\n\nAssistant: ", name, i/2, i)
		filler := strings.Repeat(" so", i%4)
		if i%20 == 0 {
			filler = strings.Repeat(" so", 60)
		}
		line, err := json.Marshal(map[string]string{"chosen": prompt + good + filler, "rejected": prompt + bad + filler})
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	path := filepath.Join(t.TempDir(), name+".jsonl")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// tinyReal is the smallest whole run.
func tinyReal(t *testing.T, s *pipeline.Studio) pipeline.Real {
	t.Helper()
	st := server.Store(t)
	q, err := pipeline.NewQueue(st, quiet())
	if err != nil {
		t.Fatal(err)
	}
	start(t, &pipeline.Worker{Store: st, Name: "real", Handlers: s.Handlers(), Log: quiet()})
	c := pipeline.DefaultRealConfig(1)
	c.Improve, c.Reference, c.HeldOut, c.Folds = 4, 4, 3, 2
	c.Recipe.FineTune.LearningRate, c.Recipe.FineTune.Epochs, c.Recipe.FineTune.Batch = 1e-2, 4, 8 // enough to end an answer
	c.Recipe.Rejection.K, c.Recipe.Rejection.MaxTokens, c.Recipe.ShardPrompts = 4, 24, 4
	c.Sampling.MaxTokens = 8
	p := &c.Recipe.PPO
	p.Iterations, p.BatchSize, p.MinibatchSize, p.CriticWarmup, p.MaxTokens = 2, 4, 2, 1, 4
	for _, fit := range []*float64{&c.Recipe.Helpfulness.Fit.LearningRate, &c.Recipe.Safety.Fit.LearningRate} {
		*fit = 1e-2
	}
	return pipeline.Real{
		Loop: &pipeline.Loop{Store: st, Queue: q, Log: quiet()}, Folder: t.TempDir(), Config: c,
		Helpful: []string{hhPairs(t, "help", "good", "bad", 120)}, Safety: []string{hhPairs(t, "harm", "kind", "mean", 120)},
	}
}

// Real pairs go through import, the whole loop and cross-validation; run again, everything is found done.
func TestReal(t *testing.T) {
	if testing.Short() {
		t.Skip("trains some twenty tiny models")
	}
	r := tinyReal(t, studio(t))
	r.Base = tinyBase(t)
	r.Config.Recipe.Helpfulness.Fit.Epochs, r.Config.Recipe.Safety.Fit.Epochs = 4, 4
	r.Config.Recipe.PPO.PtxCoefficient = 0.1 // mixes in the demonstrations
	o, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Versions) != 3 || len(o.Versions[1].Wins) != 4 || len(o.Versions[0].Wins) != 0 {
		t.Errorf("versions %+v", o.Versions)
	}
	if o.Judges.Safety.Calibration == nil || o.Judges.Safety.Calibration.Calibrated {
		t.Errorf("pairs without labels left the safety model with the calibration %+v", o.Judges.Safety.Calibration)
	}
	tuned, err := checkpoint.ReadLineage(t.Context(), filepath.Join(r.Folder, "v1", "ppo"))
	if err != nil || tuned == nil || tuned.Metrics["loss/ptx_avg"] <= 0 || !strings.Contains(string(tuned.Config), `"ptx_data"`) {
		t.Errorf("PPO mixed no demonstrations in: %+v, %v", tuned, err)
	}
	for _, aspect := range []tandem.Aspect{tandem.Helpfulness, tandem.Safety} {
		v := o.Validity[aspect]
		if v.Pairs != 120 || v.Openings != 60 || v.Cut != 6 || len(v.ByFold) != 2 || len(v.Rules) != 3 {
			t.Errorf("%s: %+v", aspect, v)
		}
		if v.Model.Value < 0.9 || v.Rules[0].Ahead.Low < 0.3 {
			t.Errorf("%s: one word decides, and the model is right on %v", aspect, v.Model)
		}
	}
	checkFolds(t, r.Folder)
	again, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(again.Validity) != fmt.Sprint(o.Validity) || fmt.Sprint(again.Versions) != fmt.Sprint(o.Versions) {
		t.Error("a second run came to something else")
	}
	folder := t.TempDir()
	if err := o.Report(r.Config, []report.Fact{{Name: "seed", Value: "1"}}, time.Unix(0, 0)).WriteFiles(folder); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(folder, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(page, []byte("beats the bag of words")) && !bytes.Contains(page, []byte("cannot be told apart from the bag of words")) &&
		!bytes.Contains(page, []byte("does not reach the bag of words")) {
		t.Error("the report does not say how the model compares with the bag of words")
	}
}

// checkFolds reads what a run left on disk: no opening that a fold is measured on stands in anything that
// the fold's models learnt from, and none of the held-out side in the loop's data.
func checkFolds(t *testing.T, folder string) {
	t.Helper()
	for _, n := range []string{"1", "2"} {
		measured := make(map[string]bool)
		for _, aspect := range []string{"helpfulness", "safety"} {
			for _, c := range lines[tandem.Comparison](t, filepath.Join(folder, "folds", n, aspect+"-measured.jsonl")) {
				measured[c.Prompt.Messages.Opening()] = true
			}
		}
		if len(measured) < 20 {
			t.Errorf("fold %s is measured on %d openings", n, len(measured))
		}
		learnt := lines[tandem.Comparison](t, filepath.Join(folder, "folds", n, "comparisons.jsonl"))
		if len(learnt) < 100 {
			t.Errorf("fold %s learns from %d comparisons", n, len(learnt))
		}
		for _, c := range learnt {
			if measured[c.Prompt.Messages.Opening()] {
				t.Errorf("fold %s learns from %q and is measured on it", n, c.Prompt.Messages.Opening())
			}
		}
	}
	type line struct {
		Messages tandem.Dialogue `json:"messages"`
	}
	held := func(d tandem.Dialogue) bool { return tandem.HeldOut(d.Opening(), tandem.HeldOutShare) }
	for _, name := range []string{"demonstrations.jsonl", "prompts-improve.jsonl", "prompts-reference.jsonl"} {
		for _, l := range lines[line](t, filepath.Join(folder, "data", name)) {
			if held(l.Messages) {
				t.Errorf("%s holds %q of the held-out side", name, l.Messages.Opening())
			}
		}
	}
	for _, l := range lines[line](t, filepath.Join(folder, "data", "prompts-held-out.jsonl")) {
		if !held(l.Messages) {
			t.Errorf("versions are evaluated on %q of the training side", l.Messages.Opening())
		}
	}
}

func lines[T any](t *testing.T, path string) []T {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var items []T
	for _, text := range bytes.Split(bytes.TrimSpace(data), []byte("\n")) {
		var item T
		if err := json.Unmarshal(text, &item); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		items = append(items, item)
	}
	return items
}

// Without a base model one is made of the dialogues, for the loop and for every fold; chat models stand
// between it and the folds' reward models.
func TestRealFromNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("trains some twenty tiny models")
	}
	r := tinyReal(t, studio(t))
	config, err := pretrain.Preset("practice")
	if err != nil {
		t.Fatal(err)
	}
	config.Context = 64
	r.Config.Pretrain = &pipeline.Pretrain{Tokenizer: tinyTokenizer(), Shape: tinyShape, Config: config}
	r.Config.FoldsFromChat = true
	o, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Validity) != 2 || o.Validity[tandem.Safety].Pairs != 120 {
		t.Errorf("%+v", o.Validity)
	}
	for _, folder := range []string{"base", "sft", "v1/ppo", "folds/1/base", "folds/2/sft", "folds/2/safety"} {
		if _, err := os.Stat(filepath.Join(r.Folder, folder, "config.json")); err != nil {
			t.Error(err)
		}
	}
}

func TestRealRefuses(t *testing.T) {
	good := pipeline.Real{Helpful: []string{"a"}, Safety: []string{"b"}, Base: "c", Config: pipeline.DefaultRealConfig(1)}
	for what, spoil := range map[string]func(*pipeline.Real){
		"no helpful file":  func(r *pipeline.Real) { r.Helpful = nil },
		"no safety file":   func(r *pipeline.Real) { r.Safety = nil },
		"no base":          func(r *pipeline.Real) { r.Base = "" },
		"one fold":         func(r *pipeline.Real) { r.Config.Folds = 1 },
		"nothing held out": func(r *pipeline.Real) { r.Config.HeldOut = 0 },
	} {
		bad := good
		spoil(&bad)
		if _, err := bad.Run(t.Context()); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%s: error %v", what, err)
		}
	}
}

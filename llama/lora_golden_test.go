package llama_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/llama"
	"tandem/llama/checkpoint"
	"tandem/llama/nn"
	"tandem/llama/nn/nntest"
)

// What PEFT computes with its adapters on the models of testdata, the training graph computes within 1e-4, gradients too,
// and the weights that the adapters are merged into do.
func TestAdaptersAgreeWithPEFT(t *testing.T) {
	folders, err := filepath.Glob("testdata/lora/*")
	if err != nil || len(folders) < 3 {
		t.Fatalf("the golden adapters are missing: %v, %v", folders, err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			base, _, _ := strings.Cut(filepath.Base(folder), ".")
			model, err := checkpoint.Load(t.Context(), filepath.Join("testdata", base))
			if err != nil {
				t.Fatal(err)
			}
			g := readGoldenValues(t, filepath.Join("testdata", base))
			g.tensors = readTensors(t, filepath.Join(folder, "golden.safetensors"))
			w := readAdapter(t, model.Weights, folder)
			if w.IsClassifier() {
				checkScores(t, w, g)
				checkScores(t, w.Merged(), g)
			} else {
				checkLogits(t, w, g)
				checkLogits(t, w.Merged(), g)
			}
			sums := make(map[string][]float32)
			for _, p := range w.Gradients().Params() {
				sums[p.Name] = p.Grad
			}
			trained := w.Trained()
			for i, tensor := range checkpoint.AdapterTensors(w) { // in the order of the parameters
				closeTo(t, "gradient of "+tensor.Name, sums[trained[i].Name], g.tensors["grad."+tensor.Name])
			}
			if len(sums) != len(trained) || len(trained) != len(checkpoint.AdapterTensors(w)) {
				t.Errorf("%d gradients, %d trained parameters, %d tensors", len(sums), len(trained), len(checkpoint.AdapterTensors(w)))
			}
		})
	}
}

// readAdapter puts an adapter of PEFT on the model that it was made for.
func readAdapter(t *testing.T, base *llama.Weights, folder string) *llama.Weights {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, checkpoint.AdapterConfigName))
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Rank    int      `json:"r"`
		Alpha   float64  `json:"lora_alpha"`
		Targets []string `json:"target_modules"`
	}
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	var targets []string // "model.layers.0.mlp.up_proj" where every linear layer is adapted, else "up_proj"
	for _, name := range config.Targets {
		if name = name[strings.LastIndex(name, ".")+1:]; !slices.Contains(targets, name) {
			targets = append(targets, name)
		}
	}
	w, err := base.Adapt(llama.LoRA{Rank: config.Rank, Alpha: config.Alpha, Targets: strings.Join(targets, ",")}, rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	saved := readTensors(t, filepath.Join(folder, checkpoint.AdapterName))
	tensors := checkpoint.AdapterTensors(w)
	if len(tensors) != len(saved) {
		t.Errorf("%d tensors, PEFT saved %d", len(tensors), len(saved))
	}
	for _, tensor := range tensors {
		if copy(tensor.Data, saved[tensor.Name]) != len(tensor.Data) {
			t.Errorf("PEFT saved %d numbers of %s", len(saved[tensor.Name]), tensor.Name)
		}
	}
	return w
}

// checkLogits computes a policy's loss with its gradients, and its logits.
func checkLogits(t *testing.T, w *llama.Weights, g goldenValues) {
	t.Helper()
	b := llama.NewBatch(g.Sequences...)
	b.Inputs = languageInputs(g)
	graph := llama.NewGraph(nntest.Fast(t), w, b.Shape())
	logits := graph.Logits()
	program, err := graph.Compile(nn.CrossEntropy(graph.LogProbs(1), graph.Input("weights", nn.PerToken), graph.Input("count", nn.Scalar)), logits)
	if err != nil {
		t.Fatal(err)
	}
	result, err := program.Run(b)
	if err != nil {
		t.Fatal(err)
	}
	closeTo(t, "logits", result.Outputs[0], g.tensors["logits"])
}

// checkScores computes a classifier's ranking loss with its gradients, and its scores, also without a graph.
func checkScores(t *testing.T, w *llama.Weights, g goldenValues) {
	t.Helper()
	rank(t, w, g)
	classifier, err := llama.NewClassifier(w, llama.ForwardConfig{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	scores, err := classifier.Scores(t.Context(), g.Sequences)
	if err != nil {
		t.Fatal(err)
	}
	closeTo(t, "scores of the classifier", scores, g.tensors["scores"])
}

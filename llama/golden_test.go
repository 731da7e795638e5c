package llama_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"tandem/llama"
	"tandem/llama/checkpoint"
	"tandem/llama/nn"
	"tandem/llama/nn/nntest"
)

// goldenValues are what PyTorch computed for one model; see testdata/README.md.
type goldenValues struct {
	Sequences   [][]int32   `json:"sequences"`
	Mask        [][]float32 `json:"mask"`
	Loss        float64     `json:"loss"`
	Temperature float64     `json:"temperature"`
	Greedy      []int32     `json:"greedy"`
	Pairs       []struct {
		Chosen   int     `json:"chosen"`
		Rejected int     `json:"rejected"`
		Margin   float32 `json:"margin"`
	} `json:"pairs"`
	tensors map[string][]float32
}

func readGoldenValues(t *testing.T, folder string) (g goldenValues) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	g.tensors = readTensors(t, filepath.Join(folder, "golden.safetensors"))
	return g
}

func readTensors(t *testing.T, path string) map[string][]float32 {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	tensors, _, err := checkpoint.ReadTensors(f, info.Size(), path)
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string][]float32)
	for _, tensor := range tensors {
		byName[tensor.Name] = tensor.Data
	}
	return byName
}

// The training graph's logits, log-probabilities, losses and gradients are PyTorch's within 1e-4.
func TestGraphAgreesWithPyTorch(t *testing.T) {
	folders, err := filepath.Glob("testdata/*/golden.json")
	if err != nil || len(folders) < 10 {
		t.Fatalf("the golden models are missing: %v, %v", folders, err)
	}
	for _, file := range folders {
		folder := filepath.Dir(file)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			model, err := checkpoint.Load(t.Context(), folder)
			if err != nil {
				t.Fatal(err)
			}
			w, g := model.Weights, readGoldenValues(t, folder)
			if w.IsClassifier() {
				checkRanking(t, w, g)
			} else {
				checkLanguage(t, w, g)
			}
			checkGoldenGradients(t, w, g)
		})
	}
}

func checkLanguage(t *testing.T, w *llama.Weights, g goldenValues) {
	t.Helper()
	b := llama.NewBatch(g.Sequences...)
	b.Inputs = languageInputs(g)
	graph := llama.NewGraph(nntest.Fast(t), w, b.Shape())
	loss := nn.CrossEntropy(graph.LogProbs(1), graph.Input("weights", nn.PerToken), graph.Input("count", nn.Scalar))
	program, err := graph.Compile(loss)
	if err != nil {
		t.Fatal(err)
	}
	result, err := program.Run(b)
	if err != nil {
		t.Fatal(err)
	}
	closeTo(t, "loss", []float32{float32(result.Loss)}, []float32{float32(g.Loss)})

	b.Inputs = nil
	graph = llama.NewGraph(nntest.Fast(t), w, b.Shape())
	if program, err = graph.Compile(nil, graph.Logits(), graph.LogProbs(g.Temperature)); err != nil {
		t.Fatal(err)
	}
	if result, err = program.Forward(b); err != nil {
		t.Fatal(err)
	}
	closeTo(t, "logits", result.Outputs[0], g.tensors["logits"])
	shifted := make([]float32, len(b.Tokens)) // golden log-probabilities stand at the predicted token
	for i, target := range b.Targets {
		if target >= 0 {
			shifted[i+1] = result.Outputs[1][i]
		}
	}
	closeTo(t, "log-probabilities", shifted, g.tensors["logprobs"])
}

// languageInputs are the weights of the sequences' tokens in the loss.
func languageInputs(g goldenValues) map[string][]float32 {
	var weights []float32
	count := float32(0)
	for _, mask := range g.Mask {
		for _, m := range mask[1:] { // row i predicts token i + 1
			weights = append(weights, m)
			count += m
		}
		weights = append(weights, 0)
	}
	return map[string][]float32{"weights": weights, "count": {count}}
}

func checkRanking(t *testing.T, w *llama.Weights, g goldenValues) {
	t.Helper()
	result := rank(t, w, g)
	closeTo(t, "loss", []float32{float32(result.Loss)}, []float32{float32(g.Loss)})
}

// rank computes the ranking loss with its gradients, and compares the scores.
func rank(t *testing.T, w *llama.Weights, g goldenValues) llama.Result {
	t.Helper()
	var sequences [][]int32
	var margins, want []float32
	for _, p := range g.Pairs {
		sequences = append(sequences, g.Sequences[p.Chosen], g.Sequences[p.Rejected])
		want = append(want, g.tensors["scores"][p.Chosen], g.tensors["scores"][p.Rejected])
		margins = append(margins, p.Margin)
	}
	b := llama.NewBatch(sequences...)
	b.Inputs = map[string][]float32{"margins": margins, "pairs": {float32(len(margins))}}
	graph := llama.NewGraph(nntest.Fast(t), w, b.Shape())
	scores := graph.Scores()
	program, err := graph.Compile(nn.RankingLoss(scores, graph.Input("margins", nn.PerPair), nil, graph.Input("pairs", nn.Scalar)), scores)
	if err != nil {
		t.Fatal(err)
	}
	result, err := program.Run(b)
	if err != nil {
		t.Fatal(err)
	}
	closeTo(t, "scores", result.Outputs[0], want)
	return result
}

// checkGoldenGradients lists the gradients under Hugging Face's names, as if they were weights.
func checkGoldenGradients(t *testing.T, w *llama.Weights, g goldenValues) {
	t.Helper()
	gradients := llama.NewWeights(w.Config, w.IsClassifier())
	sums := make(map[string][]float32)
	for _, p := range w.Gradients().Params() {
		sums[p.Name] = p.Grad
	}
	for _, p := range gradients.Params() {
		copy(p.Data, sums[p.Name])
	}
	tensors := checkpoint.Tensors(gradients)
	if len(tensors) < 10 {
		t.Fatalf("only %d gradients", len(tensors))
	}
	for _, tensor := range tensors {
		want, ok := g.tensors["grad."+tensor.Name]
		if !ok {
			t.Errorf("there is no golden gradient of %s", tensor.Name)
			continue
		}
		closeTo(t, "gradient of "+tensor.Name, tensor.Data, want)
	}
}

// closeTo demands 1e-4, absolute, and relative for values above 1.
func closeTo(t *testing.T, name string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, PyTorch has %d", name, len(got), len(want))
		return
	}
	for i := range got {
		a, b := float64(got[i]), float64(want[i])
		if !(math.Abs(a-b) <= 1e-4*max(1, math.Abs(b))) {
			t.Errorf("%s: %g at %d, PyTorch has %g", name, a, i, b)
			return
		}
	}
}

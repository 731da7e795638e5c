package llama_test

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem"
	"tandem/internal/sharedtest"
	"tandem/llama"
	"tandem/llama/checkpoint"
	"tandem/llama/tokenizer"
)

func loadModel(t *testing.T, path string) *llama.Weights {
	t.Helper()
	m, err := checkpoint.Load(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	return m.Weights
}

// greedy continues a prompt at temperature 0.
func greedy(t *testing.T, w *llama.Weights, prompt []int32, tokens int) []int32 {
	t.Helper()
	s, err := llama.NewSampler(w, llama.SamplerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	request := llama.Request{Prompt: prompt, Sampling: tandem.Sampling{MaxTokens: tokens}}
	for _, id := range w.Config.EOS {
		request.Stop = append(request.Stop, int32(id))
	}
	var out []int32
	for event, err := range s.Sample(context.Background(), []llama.Request{request}) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, event.Token)
	}
	return out
}

func openTokenizer(t *testing.T, path string) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestStories260K samples the text that the model's author publishes, word for word.
func TestStories260K(t *testing.T) {
	w := loadModel(t, sharedtest.Path(t, "stories260K/stories260K.bin"))
	tok := openTokenizer(t, sharedtest.Path(t, "stories260K/tok512.bin"))
	const want = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. " +
		"One day, she saw a big, red ball. She wanted to play with it, but it was too high.\n" +
		"Lily's mom said, \"Lily, let's go to the park.\" Lily was sad and didn't know what to do. " +
		"She said, \"I want to play with your ball, but"
	got := strings.TrimSpace(tok.Decode(greedy(t, w, []int32{1}, 256)))
	if !strings.HasPrefix(got, want) {
		t.Errorf("greedy text is %q, want %q", got, want)
	}
}

// TestTinyStories samples the ids and texts that transformers gives for tinystories-656k.
func TestTinyStories(t *testing.T) {
	dir := sharedtest.Path(t, "tinystories-656k")
	w, tok := loadModel(t, dir), openTokenizer(t, dir)
	ids := greedy(t, w, []int32{1}, 60)
	want := []int32{147, 201, 282, 215, 286, 598, 1662, 356, 499, 826, 1363, 1145, 1652, 615, 242, 1482, 951, 628, 499, 826}
	if !slices.Equal(ids[:len(want)], want) {
		t.Errorf("greedy ids are %v, want %v", ids[:len(want)], want)
	}
	const text = "Once upon a time, there was a little girl named Lily. She had a toy car that she loved very much. " +
		"One day, she went to the park to play with her toy car in the park."
	if got := strings.TrimSpace(tok.Decode(ids)); !strings.HasPrefix(got, text) {
		t.Errorf("greedy text is %q, want %q", got, text)
	}

	prompt, err := tok.Encode("Once upon a time, a dog", true)
	if err != nil {
		t.Fatal(err)
	}
	const continued = "and a dog were best friends. They were playing together in the park. " +
		"One day, they saw a big tree with many leaves."
	if got := strings.TrimSpace(tok.Decode(greedy(t, w, prompt, 60))); !strings.HasPrefix(got, continued) {
		t.Errorf("the prompt is continued by %q, want %q", got, continued)
	}
}

// near reports the first of got that is further than 1e-4 from want.
func near(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d %s, want %d", len(got), what, len(want))
		return
	}
	for i := range got {
		if !(math.Abs(float64(got[i]-want[i])) <= 1e-4) {
			t.Errorf("%s: number %d is %v, want %v", what, i, got[i], want[i])
			return
		}
	}
}

// TestGoldenInference compares the cacheless pass, the sampler and the classifier with transformers.
func TestGoldenInference(t *testing.T) {
	ctx := context.Background()
	files, err := filepath.Glob("testdata/*/golden.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden models: %v", err)
	}
	for _, file := range files {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			w, g := loadModel(t, dir), readGoldenValues(t, dir)
			if w.IsClassifier() {
				classifier, err := llama.NewClassifier(w, llama.ForwardConfig{})
				if err != nil {
					t.Fatal(err)
				}
				scores, err := classifier.Scores(ctx, g.Sequences)
				if err != nil {
					t.Fatal(err)
				}
				near(t, "scores", scores, g.tensors["scores"])
				return
			}
			forward, err := llama.NewForward(w, llama.ForwardConfig{})
			if err != nil {
				t.Fatal(err)
			}
			hidden, err := forward.Hidden(ctx, g.Sequences)
			if err != nil {
				t.Fatal(err)
			}
			logprobs, err := forward.LogProbsAt(ctx, g.Sequences, g.Temperature)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "logits", logits(w, slices.Concat(hidden...)), g.tensors["logits"])
			near(t, "log-probabilities", slices.Concat(logprobs...), g.tensors["logprobs"])

			free := *w
			free.Config.EOS = nil // transformers was asked to go on after EOS
			if got := greedy(t, &free, g.Sequences[0], len(g.Greedy)); !slices.Equal(got, g.Greedy) {
				t.Errorf("greedy tokens %v, want %v", got, g.Greedy)
			}
		})
	}
}

// logits multiplies hidden states [n, d] with the output matrix.
func logits(w *llama.Weights, hidden []float32) []float32 {
	d := w.Config.HiddenSize
	var out []float32
	for ; len(hidden) > 0; hidden = hidden[d:] {
		for v := range w.Config.VocabSize {
			sum := 0.0
			for k, x := range hidden[:d] {
				sum += float64(x) * float64(w.Output[v*d+k])
			}
			out = append(out, float32(sum))
		}
	}
	return out
}

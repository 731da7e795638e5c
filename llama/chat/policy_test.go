package chat

import (
	"context"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"tandem"
	"tandem/internal/sharedtest"
	"tandem/llama"
	"tandem/llama/tokenizer"
)

// small is a random model for a tokenizer.
func small(tok *tokenizer.Tokenizer, classifier bool) *llama.Weights {
	w := llama.NewWeights(llama.Config{
		VocabSize: tok.VocabSize(), HiddenSize: 16, IntermediateSize: 24, NumHiddenLayers: 1,
		NumAttentionHeads: 2, NumKeyValueHeads: 1, HeadDim: 8, MaxPositionEmbeddings: 96,
		RMSNormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: []int{2}, PAD: 0,
	}, classifier)
	w.Init(rand.New(rand.NewPCG(5, 6)))
	return w
}

// answer is the chunks of one request, joined.
type joined struct {
	text     string
	tokens   []int32
	logprobs []float32
	finish   tandem.FinishReason
}

// collect joins chunks by request, and checks what holds for every chunk.
func collect(t *testing.T, p *Policy, requests ...tandem.GenerateRequest) []joined {
	t.Helper()
	out := make([]joined, len(requests))
	for c, err := range p.Generate(context.Background(), requests) {
		if err != nil {
			t.Fatal(err)
		}
		a := &out[c.Request]
		if a.finish != "" {
			t.Fatalf("request %d goes on after its last chunk", c.Request)
		}
		if !utf8.ValidString(c.Text) || len(c.Tokens) != len(c.LogProbs) {
			t.Fatalf("chunk %+v", c)
		}
		a.text += c.Text
		a.tokens = append(a.tokens, c.Tokens...)
		a.logprobs = append(a.logprobs, c.LogProbs...)
		a.finish = c.Finish
	}
	return out
}

func text(s string) *string { return &s }

func TestGreedyStories(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct{ path, prompt, want string }{
		{"stories260K/stories260K.bin", "", "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high.\nLily's mom said, \"Lily, let's go to the park.\" Lily was sad and didn't know what to do. She said, \"I want to play with your ball, but"},
		{"tinystories-656k", "", "Once upon a time, there was a little girl named Lily. She had a toy car that she loved very much. One day, she went to the park to play with her toy car in the park. "},
		{"tinystories-656k", "Once upon a time, a dog", " and a dog were best friends. They were playing together in the park. One day, they saw a big tree with many leaves."},
	} {
		p, err := Open(ctx, filepath.Join(sharedtest.Path(t), filepath.FromSlash(c.path)), Config{})
		if err != nil {
			t.Fatal(err)
		}
		got := collect(t, p, tandem.GenerateRequest{Text: text(c.prompt), Sampling: tandem.Sampling{MaxTokens: 256}})[0]
		if !strings.HasPrefix(got.text, c.want) {
			t.Errorf("%s goes on from %q with\n%q, want\n%q", c.path, c.prompt, got.text, c.want)
		}
		// A stop text ends the answer before it, wherever it falls in the tokens.
		stop := "the park"
		stopped := collect(t, p, tandem.GenerateRequest{Text: text(c.prompt), Sampling: tandem.Sampling{MaxTokens: 256, Stop: []string{stop}}})[0]
		want, _, _ := strings.Cut(got.text, stop)
		if stopped.text != want || stopped.finish != tandem.FinishStop {
			t.Errorf("%s until %q: %q (%s), want %q", c.path, stop, stopped.text, stopped.finish, want)
		}
		if n := len(stopped.tokens); !slices.Equal(stopped.tokens, got.tokens[:n]) {
			t.Errorf("%s: stopping changed the tokens", c.path)
		}
	}
}

// tinystories-656k matches its special tokens in normalized text alone, and ships no chat template: its
// dialogues still begin and end where Llama 2's do.
func TestLlama2TemplateOnTinyStories(t *testing.T) {
	tok, err := tokenizer.Open(filepath.Join(sharedtest.Path(t), "tinystories-656k"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := newTemplate(t, tok, "").Training(context.Background(), tandem.Dialogue{
		{Role: tandem.User, Content: "a dog<|end_story|>"}, {Role: tandem.Assistant, Content: "a cat", Train: true},
		{Role: tandem.User, Content: "a ball"}, {Role: tandem.Assistant, Content: "a tree", Train: true},
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	var marks []int32
	var trained []int32
	for i, id := range e.Tokens {
		if id == 1 || id == 2 {
			marks = append(marks, id)
		}
		if e.Train[i] {
			trained = append(trained, id)
		}
	}
	if want := []int32{1, 2, 1, 2}; !slices.Equal(marks, want) {
		t.Errorf("BOS and EOS %v, want %v, in %q", marks, want, tok.DecodeSpecial(e.Tokens))
	}
	if got, want := tok.DecodeSpecial(trained), "a cat <|end_story|> a tree <|end_story|>"; got != want {
		t.Errorf("trained on %q, want %q", got, want)
	}
}

func TestPolicyAnswers(t *testing.T) {
	tok := trained(t)
	p, err := NewPolicy(small(tok, false), tok, Config{})
	if err != nil {
		t.Fatal(err)
	}
	var requests []tandem.GenerateRequest
	for i := range 24 {
		r := tandem.GenerateRequest{
			Messages: pirate[:4],
			Sampling: tandem.Sampling{Temperature: 1.3, MaxTokens: 20},
			Key:      tandem.SampleKey{Seed: 1, Prompt: 2, Sample: uint64(i)},
		}
		if i%2 == 0 {
			r.Messages, r.Text = nil, text("[INST] a")
		}
		requests = append(requests, r)
	}
	stops := 0
	together := collect(t, p, requests...)
	for i, a := range together {
		alone := collect(t, p, requests[i])[0]
		if alone.text != a.text || !slices.Equal(alone.tokens, a.tokens) || !slices.Equal(alone.logprobs, a.logprobs) {
			t.Errorf("request %d: alone %+v, among others %+v", i, alone, a)
		}
		if a.finish == tandem.FinishStop {
			stops++
			if a.tokens[len(a.tokens)-1] != tok.Special().EOS {
				t.Errorf("request %d stopped at %v", i, a.tokens)
			}
		} else if len(a.tokens) != 20 {
			t.Errorf("request %d ended after %d tokens", i, len(a.tokens))
		}
		prompt, _, err := p.Prompt(context.Background(), requests[i])
		if err != nil {
			t.Fatal(err)
		}
		if whole := tok.Decode(slices.Concat(prompt, a.tokens)); whole != tok.Decode(prompt)+a.text {
			t.Errorf("request %d: %q is no continuation in %q", i, a.text, whole)
		}
		logprobs, err := p.LogProbs(context.Background(), [][]int32{slices.Concat(prompt, a.tokens)})
		if err != nil {
			t.Fatal(err)
		}
		if len(logprobs[0]) != len(prompt)+len(a.tokens) || logprobs[0][len(prompt)] >= 0 {
			t.Errorf("request %d: log-probabilities %v", i, logprobs[0])
		}
	}
}

func TestPolicyRefuses(t *testing.T) {
	tok := trained(t)
	p, err := NewPolicy(small(tok, false), tok, Config{})
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]tandem.GenerateRequest{
		"nothing":        {},
		"both":           {Messages: pirate[:2], Text: text("x")},
		"answered":       {Messages: pirate},
		"too long":       {Text: text(strings.Repeat("x y ", 200))},
		"bad sampling":   {Text: text("x"), Sampling: tandem.Sampling{Temperature: -1}},
		"roles in a row": {Messages: tandem.Dialogue{{Role: tandem.User}, {Role: tandem.User}}},
	} {
		var failed error
		for _, err := range p.Generate(context.Background(), []tandem.GenerateRequest{r}) {
			failed = err
		}
		if tandem.CodeOf(failed) != tandem.Invalid {
			t.Errorf("%s: %v", name, failed)
		}
	}
	// A dialogue that is too long loses its beginning, and is answered.
	long := slices.Clone(pirate[:4])
	long[1].Content = strings.Repeat("x y ", 200)
	ids, cut, err := p.Prompt(context.Background(), tandem.GenerateRequest{Messages: long, Sampling: tandem.Sampling{MaxTokens: 10}})
	if err != nil || len(ids) != 86 || cut == 0 || ids[0] != tok.Special().BOS {
		t.Errorf("%d tokens, %d cut, %v; want 86 that begin with BOS", len(ids), cut, err)
	}
	larger := small(tok, false)
	larger.Config.VocabSize--
	if _, err := NewPolicy(larger, tok, Config{}); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("a tokenizer larger than the model: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var failed error
	for _, err := range p.Generate(ctx, []tandem.GenerateRequest{{Text: text("x")}}) {
		failed = err
	}
	if failed == nil {
		t.Error("a cancelled context is answered")
	}
}

func TestClassifierScores(t *testing.T) {
	tok := trained(t)
	c, err := NewClassifier(small(tok, true), tok, Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	other := pirate[:2].With(tandem.Assistant, "No.")
	together, cut, err := c.Scores(ctx, []tandem.Dialogue{pirate, other})
	if err != nil {
		t.Fatal(err)
	}
	if cut != 0 || together[0] == together[1] {
		t.Errorf("scores %v, cut %d", together, cut)
	}
	alone, _, err := c.Scores(ctx, []tandem.Dialogue{other})
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := c.Template.Text(ctx, other, false)
	if err != nil {
		t.Fatal(err)
	}
	sequences, _, err := c.RenderTexts([]string{rendered})
	if err != nil {
		t.Fatal(err)
	}
	asText, err := c.TokenScores(ctx, sequences)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []float32{alone[0], asText[0]} {
		if math.Float32bits(s) != math.Float32bits(together[1]) {
			t.Errorf("score %v, among others %v", s, together[1])
		}
	}
	if _, _, err := c.Scores(ctx, []tandem.Dialogue{pirate[:2]}); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("nothing to score: %v", err)
	}
}

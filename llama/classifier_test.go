package llama

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tandem"
)

// A model that pads with EOS is read at the token before it, as in transformers.
func TestPooled(t *testing.T) {
	for _, test := range []struct {
		pad          int
		tokens, want []int32
	}{
		{-1, []int32{1, 5, 2}, []int32{1, 5, 2}},
		{0, []int32{1, 0, 5, 2}, []int32{1, 0, 5, 2}},
		{2, []int32{1, 2, 5, 2}, []int32{1, 2, 5}},
		{2, []int32{1, 5, 2, 2}, []int32{1, 5}},
		{2, []int32{2, 2}, []int32{2}},
		{2, nil, nil},
	} {
		if got := (Config{PAD: test.pad}).Pooled(test.tokens); !slices.Equal(got, test.want) {
			t.Errorf("PAD %d: of %v the head reads the end of %v, want %v", test.pad, test.tokens, got, test.want)
		}
	}
	c := testConfig()
	c.PAD = 2
	classifier, err := NewClassifier(randomWeights(c, true, rand.New(rand.NewPCG(15, 1))), ForwardConfig{})
	if err != nil {
		t.Fatal(err)
	}
	scores, err := classifier.Scores(context.Background(), [][]int32{{1, 7, 9}, {1, 7, 9, 2}})
	if err != nil {
		t.Fatal(err)
	}
	if scores[0] != scores[1] {
		t.Errorf("padding changes a score from %v to %v", scores[0], scores[1])
	}
}

// A summary is the mean and the last of the hidden states, whatever else passes through the model with it.
func TestSummaries(t *testing.T) {
	w := randomWeights(testConfig(), true, rand.New(rand.NewPCG(15, 2)))
	sequences := [][]int32{{1, 7, 9}, {1, 4, 4, 8, 2}, {3}}
	classifier, err := NewClassifier(w, ForwardConfig{Tokens: 4})
	if err != nil {
		t.Fatal(err)
	}
	together, err := classifier.Summaries(t.Context(), sequences)
	if err != nil {
		t.Fatal(err)
	}
	forward, err := NewForward(w, ForwardConfig{})
	if err != nil {
		t.Fatal(err)
	}
	hidden, err := forward.Hidden(t.Context(), sequences)
	if err != nil {
		t.Fatal(err)
	}
	d := w.Config.HiddenSize
	for i, tokens := range sequences {
		alone, err := classifier.Summaries(t.Context(), sequences[i:i+1])
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(alone[0], together[i]) {
			t.Errorf("sequence %d has another summary alone", i)
		}
		for j := range d {
			mean := 0.0
			for at := range tokens {
				mean += float64(hidden[i][at*d+j]) / float64(len(tokens))
			}
			if math.Abs(mean-float64(together[i][j])) > 1e-6 {
				t.Fatalf("sequence %d, state %d: the mean is %g, want %g", i, j, together[i][j], mean)
			}
		}
		if last := hidden[i][len(hidden[i])-d:]; !slices.Equal(last, together[i][d:]) {
			t.Errorf("sequence %d: the last state is %v, want %v", i, together[i][d:], last)
		}
	}
	// Of a pass that scores, summaries of first tokens are those of these tokens alone, and scores stay what they are.
	longer := [][]int32{append(slices.Clone(sequences[0]), 5, 6, 2), sequences[1], append(slices.Clone(sequences[2]), 8)}
	scores, summaries, err := classifier.ScoresAndSummaries(t.Context(), longer, []int{len(sequences[0]), 0, len(sequences[2])})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(summaries[0], together[0]) || summaries[1] != nil || !slices.Equal(summaries[2], together[2]) {
		t.Error("the first tokens of longer sequences have other summaries than alone")
	}
	if alone, err := classifier.Scores(t.Context(), longer); err != nil || !slices.Equal(scores, alone) {
		t.Errorf("scores %v beside summaries, %v alone, %v", scores, alone, err)
	}
	if _, _, err := classifier.ScoresAndSummaries(t.Context(), sequences[2:], []int{2}); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("a summary of more tokens than there are: %v", err)
	}
	if _, err := classifier.Summaries(t.Context(), [][]int32{{}}); err == nil {
		t.Error("an empty sequence has a summary")
	}
}

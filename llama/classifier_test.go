package llama

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
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

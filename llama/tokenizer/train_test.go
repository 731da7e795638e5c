package tokenizer

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem"
)

var update = flag.Bool("update", false, "write testdata/tiny, which golden.py reads")

// trainingTexts are the golden strings, which have something of everything.
func trainingTexts(t *testing.T) []string {
	var texts []string
	readTestdata(t, "strings.json", &texts)
	return texts
}

// The tokenizer that Train writes is the one whose ids tokenizers gave (TestGolden/tiny).
func TestTrainGolden(t *testing.T) {
	config := DefaultTrainConfig()
	config.VocabSize = 420
	tok, err := Train(context.Background(), slices.Values(trainingTexts(t)), config)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join("testdata", "tiny")
	if *update {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := tok.Save(dir); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range tok.Files() {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if string(want) != string(data) {
			t.Errorf("%s differs from the golden one", name)
		}
	}
	if tok.VocabSize() != 420 {
		t.Errorf("vocabulary of %d, want 420", tok.VocabSize())
	}
	if got, want := tok.Special(), (SpecialTokens{BOS: 1, EOS: 2, PAD: 0, UNK: None}); got != want {
		t.Errorf("special tokens %+v, want %+v", got, want)
	}
	if !tok.AddsBOS() || tok.AddsEOS() {
		t.Errorf("adds BOS %v, EOS %v; want BOS alone", tok.AddsBOS(), tok.AddsEOS())
	}
}

func TestTrainDoesNotDependOnOrder(t *testing.T) {
	texts := trainingTexts(t)
	config := DefaultTrainConfig()
	config.VocabSize = 500
	var files [2]string
	for i := range files {
		tok, err := Train(context.Background(), slices.Values(texts), config)
		if err != nil {
			t.Fatal(err)
		}
		files[i] = string(tok.Files()["tokenizer.json"])
		slices.Reverse(texts)
	}
	if files[0] != files[1] {
		t.Error("the same texts in another order gave another vocabulary")
	}
}

// The merges of algorithm 1 by hand: "ab" occurs 4 times, then "abc" 3 times.
func TestTrainMergesTheMostFrequentPair(t *testing.T) {
	config := DefaultTrainConfig()
	config.VocabSize = 262 + 10
	tok, err := Train(context.Background(), slices.Values([]string{"abc abc", "abc", "xab"}), config)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for id := int32(262); int(id) < tok.VocabSize(); id++ {
		got = append(got, tok.Token(id))
	}
	if want := []string{"ab", "abc"}; !slices.Equal(got, want) {
		t.Errorf("merged %q, want %q", got, want)
	}
}

func TestTrainRefuses(t *testing.T) {
	for name, change := range map[string]func(*TrainConfig){
		"too small":      func(c *TrainConfig) { c.VocabSize = 261 },
		"PAD equals EOS": func(c *TrainConfig) { c.PAD = c.EOS },
		"a byte":         func(c *TrainConfig) { c.BOS = "<" },
		"no BOS":         func(c *TrainConfig) { c.BOS = "" },
		"no frequency":   func(c *TrainConfig) { c.MinFrequency = 0 },
	} {
		config := DefaultTrainConfig()
		change(&config)
		if _, err := Train(context.Background(), slices.Values([]string{"a"}), config); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%s: %v, want an invalid configuration", name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Train(ctx, slices.Values([]string{strings.Repeat("ab ", 10)}), DefaultTrainConfig()); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
}

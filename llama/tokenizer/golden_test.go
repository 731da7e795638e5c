package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tandem/internal/sharedtest"
)

// golden is what testdata/golden.py wrote for one tokenizer: ids by tokenizers or sentencepiece.
type golden struct {
	Plain         [][]int32 `json:"plain"`
	Rendered      [][]int32 `json:"rendered"`
	Decoded       []string  `json:"decoded"`
	Spelled       []string  `json:"spelled"`
	Random        [][]int32 `json:"random"`
	RandomDecoded []string  `json:"random_decoded"`
}

func readTestdata(t *testing.T, name string, to any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, to); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func TestGolden(t *testing.T) {
	var texts []string
	readTestdata(t, "strings.json", &texts)
	for _, name := range []string{
		"gpt2", "llama3", "qwen2", "llama2", "metaspace", "tiny",
		"spbpe", "spnfkc", "spunigram", "spunibytes", "tinystories", "llama2c",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name)
			switch name {
			case "tinystories":
				path = filepath.Join(sharedtest.Path(t), "tinystories-656k")
			case "llama2c":
				path = filepath.Join(sharedtest.Path(t), "stories260K", "tok512.bin")
			}
			tok, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			var g golden
			readTestdata(t, filepath.Join("golden", name+".json"), &g)
			compareGolden(t, tok, texts, g, name[:2] == "sp" || name == "llama2c")
		})
	}
}

// compareGolden holds tok to every golden id and text. SentencePiece and llama2.c parse no special
// tokens: their rendered form is BOS and the plain form.
func compareGolden(t *testing.T, tok *Tokenizer, texts []string, g golden, sentencePiece bool) {
	if len(texts) != len(g.Plain) || len(texts) < 300 {
		t.Fatalf("%d texts, %d golden", len(texts), len(g.Plain))
	}
	for i, text := range texts {
		got, err := tok.Encode(text, false)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, g.Plain[i]) {
			t.Errorf("Encode(%q) = %v, want %v", text, got, g.Plain[i])
		}
		encode := tok.EncodeRendered
		if sentencePiece {
			encode = tok.Encode
		}
		if got, err = encode(text, true); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, g.Rendered[i]) {
			t.Errorf("EncodeRendered(%q) = %v, want %v", text, got, g.Rendered[i])
		}
		if got := tok.Decode(g.Rendered[i]); got != g.Decoded[i] {
			t.Errorf("Decode(%v) = %q, want %q", g.Rendered[i], got, g.Decoded[i])
		}
		if got := tok.DecodeSpecial(g.Rendered[i]); got != g.Spelled[i] && !sentencePiece {
			t.Errorf("DecodeSpecial(%v) = %q, want %q", g.Rendered[i], got, g.Spelled[i])
		}
	}
	for i, ids := range g.Random {
		if got := tok.Decode(ids); got != g.RandomDecoded[i] {
			t.Errorf("Decode(%v) = %q, want %q", ids, got, g.RandomDecoded[i])
		}
	}
}

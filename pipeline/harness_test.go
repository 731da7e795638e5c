package pipeline

import (
	"slices"
	"strings"
	"testing"

	"tandem/llama/tokenizer"
)

// TestHarnessEncoder: BOS comes first where the tokenizer puts it there, once, and EOS never.
func TestHarnessEncoder(t *testing.T) {
	open := func(name string, change func(name, text string) string) harnessEncoder {
		tok, err := tokenizer.Open("../llama/tokenizer/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		files := tok.Files()
		for file, text := range files {
			files[file] = []byte(change(file, string(text)))
		}
		if tok, err = tokenizer.Parse(files); err != nil {
			t.Fatal(err)
		}
		return harnessEncoder{tok}
	}
	same := func(_, text string) string { return text }
	withEOS := func(name, text string) string {
		return strings.Replace(text, `"add_eos_token":false`, `"add_eos_token":true`, 1)
	}
	ids := func(e harnessEncoder, text string, begin bool) []int32 {
		got, err := e.Encode(text, begin)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	llama := open("llama2", same)
	bos := llama.Special().BOS
	alone := ids(llama, "a dog", false)
	if got := ids(llama, "a dog", true); !slices.Equal(got, append([]int32{bos}, alone...)) || slices.Contains(alone, bos) {
		t.Errorf("%v, without BOS %v", got, alone)
	}
	if got := ids(llama, "<s>a dog", true); got[0] != bos || got[1] == bos {
		t.Errorf("a text that spells BOS: %v", got)
	}
	ending := open("llama2", withEOS)
	if !ending.AddsEOS() {
		t.Fatal("the changed tokenizer adds no EOS")
	}
	if got, want := ids(ending, "a dog", true), ids(llama, "a dog", true); !slices.Equal(got, want) {
		t.Errorf("of a tokenizer that adds EOS: %v, want %v", got, want)
	}
	none := open("qwen2", same)
	if none.Special().BOS != tokenizer.None || none.Prefix() != none.Special().EOS || llama.Prefix() != bos {
		t.Errorf("prefixes %d and %d", none.Prefix(), llama.Prefix())
	}
}

package tokenizer

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem"
)

// withCompanions opens a testdata tokenizer with other companions beside it.
func withCompanions(t *testing.T, name, file string, companions map[string]string) (*Tokenizer, error) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name, file))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{file: data, "unrelated.txt": nil}
	for n, text := range companions {
		files[n] = []byte(text)
	}
	return Parse(files)
}

func TestWhatIsAdded(t *testing.T) {
	for _, c := range []struct {
		name, file, config string
		bos, eos           bool
	}{
		{"llama2", "tokenizer.json", `{"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>"}`, true, false},
		{"llama2", "tokenizer.json", `{"tokenizer_class": "LlamaTokenizerFast", "bos_token": "<s>", "eos_token": {"content": "</s>"}, "add_bos_token": false, "add_eos_token": true}`, false, true},
		// Other classes obey tokenizer.json's post_processor alone.
		{"llama2", "tokenizer.json", `{"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "add_bos_token": false}`, true, false},
		{"gpt2", "tokenizer.json", `{"tokenizer_class": "GPT2Tokenizer", "bos_token": "<|end|>", "eos_token": "<|end|>"}`, false, false},
		{"spbpe", "tokenizer.model", `{}`, true, false},
		{"spbpe", "tokenizer.model", `{"tokenizer_class": "LlamaTokenizer", "add_eos_token": true, "add_bos_token": true}`, true, true},
	} {
		tok, err := withCompanions(t, c.name, c.file, map[string]string{"tokenizer_config.json": c.config})
		if err != nil {
			t.Fatal(err)
		}
		if tok.AddsBOS() != c.bos || tok.AddsEOS() != c.eos {
			t.Errorf("%s with %s adds BOS %v, EOS %v", c.name, c.config, tok.AddsBOS(), tok.AddsEOS())
		}
		ids, err := tok.Encode("x", true)
		if err != nil {
			t.Fatal(err)
		}
		if (ids[0] == tok.Special().BOS) != c.bos || (ids[len(ids)-1] == tok.Special().EOS) != c.eos {
			t.Errorf("%s with %s: %v", c.name, c.config, ids)
		}
	}
}

func TestSpecialTokensOfCompanions(t *testing.T) {
	tok, err := withCompanions(t, "spbpe", "tokenizer.model", map[string]string{
		"tokenizer_config.json":   `{"added_tokens_decoder": {"600": {"content": "<pad>", "special": true}, "0": {"content": "<unk>", "special": true}}}`,
		"special_tokens_map.json": `{"pad_token": "<pad>", "bos_token": {"content": "<s>"}}`,
		"added_tokens.json":       `{"<extra>": 601}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tok.Special(), (SpecialTokens{BOS: 1, EOS: 2, PAD: 600, UNK: 0}); got != want {
		t.Errorf("special tokens %+v, want %+v", got, want)
	}
	if tok.VocabSize() != 602 || !tok.IsSpecial(600) || tok.IsSpecial(601) || tok.Token(601) != "<extra>" {
		t.Errorf("a vocabulary of %d", tok.VocabSize())
	}
	ids, err := tok.EncodeRendered("<s><pad><extra>", false)
	if err != nil {
		t.Fatal(err)
	}
	if want := []int32{1, 600, 601}; !slices.Equal(ids, want) {
		t.Errorf("%v, want %v", ids, want)
	}
}

func TestChatTemplates(t *testing.T) {
	for _, c := range []struct {
		name       string
		companions map[string]string
		want       string
		named      []string
	}{
		{"none", nil, "", nil},
		{"text", map[string]string{"tokenizer_config.json": `{"chat_template": "a"}`}, "a", nil},
		{"named", map[string]string{"tokenizer_config.json": `{"chat_template": [{"name": "default", "template": "a"}, {"name": "tool_use", "template": "b"}]}`}, "a", []string{"default", "tool_use"}},
		{"file", map[string]string{"tokenizer_config.json": `{"chat_template": "a"}`, "chat_template.jinja": "c"}, "c", nil},
	} {
		tok, err := withCompanions(t, "gpt2", "tokenizer.json", c.companions)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(tok.ChatTemplates())); tok.ChatTemplate() != c.want || !slices.Equal(got, c.named) {
			t.Errorf("%s: %q and %q", c.name, tok.ChatTemplate(), got)
		}
	}
}

func TestCompanionsRefused(t *testing.T) {
	for _, c := range []struct{ file, content, says string }{
		{"tokenizer_config.json", `{`, "tokenizer_config.json"},
		{"tokenizer_config.json", `{"eos_token": "<none>"}`, "<none>"},
		{"tokenizer_config.json", `{"chat_template": 5}`, "chat_template"},
		{"tokenizer_config.json", `{"added_tokens_decoder": {"x": {"content": "y"}}}`, `"x"`},
		{"special_tokens_map.json", `[]`, "special_tokens_map.json"},
		{"added_tokens.json", `{"a": -5}`, "-5"},
	} {
		_, err := withCompanions(t, "gpt2", "tokenizer.json", map[string]string{c.file: c.content})
		if tandem.CodeOf(err) != tandem.Invalid || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %s: %v", c.file, c.content, err)
		}
	}
}

// A saved tokenizer is the one that was read.
func TestSave(t *testing.T) {
	for _, name := range []string{"llama3", "spbpe", "tiny"} {
		tok := openTestdata(t, name)
		dir := t.TempDir()
		if err := tok.Save(dir); err != nil {
			t.Fatal(err)
		}
		again, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !maps.EqualFunc(tok.Files(), again.Files(), slices.Equal[[]byte]) {
			t.Errorf("%s: other files", name)
		}
	}
}

// Whatever a file holds, opening it ends in a tokenizer that encodes and decodes, or in an error.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"llama2/tokenizer.json", "metaspace/tokenizer.json", "qwen2/tokenizer.json", "spbpe/tokenizer.model", "spunigram/tokenizer.model"} {
		data, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(name)))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(filepath.Base(name), data)
	}
	f.Add("tok.bin", []byte("\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00a"))
	f.Add("tokenizer.json", []byte(`{"added_tokens": [{"id": 1, "content": "b", "lstrip": true}], "normalizer": {"type": "Replace", "pattern": {"Regex": "a*"}, "content": "b"}, "pre_tokenizer": {"type": "Split", "pattern": {"String": "a"}, "behavior": "Removed", "invert": true}, "decoder": {"type": "Strip", "content": "a", "start": 1, "stop": 2}, "model": {"type": "BPE", "vocab": {"a": 0}}}`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		tok, err := Parse(map[string][]byte{name: data})
		if err != nil {
			return
		}
		for _, text := range []string{"", "a b", " é\n1", "<s>ab"} {
			ids, err := tok.EncodeRendered(text, true)
			if err == nil {
				_ = tok.DecodeSpecial(ids)
			}
		}
	})
}

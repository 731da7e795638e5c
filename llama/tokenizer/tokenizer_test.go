package tokenizer

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tandem"
)

var localTokenizers = []string{"gpt2", "llama3", "qwen2", "llama2", "metaspace", "tiny", "spbpe", "spnfkc", "spunigram", "spunibytes"}

func openTestdata(t testing.TB, name string) *Tokenizer {
	t.Helper()
	tok, err := Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// What a stream of ids says is what Decode says of all of them, and no piece of it is half a character.
func TestDecoderStreams(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, name := range localTokenizers {
		tok := openTestdata(t, name)
		for range 300 {
			ids := make([]int32, rng.IntN(20))
			for i := range ids {
				ids[i] = int32(rng.IntN(tok.VocabSize()+2)) - 1 // ids outside the vocabulary among them
				if rng.IntN(2) == 0 {                           // bytes stand at the beginning of most vocabularies
					ids[i] = int32(rng.IntN(260))
				}
			}
			d := tok.NewDecoder()
			var stream strings.Builder
			for _, id := range ids {
				piece := d.Next(id)
				if !utf8.ValidString(piece) {
					t.Fatalf("%s: a piece of %v is %q", name, ids, piece)
				}
				stream.WriteString(piece)
			}
			stream.WriteString(d.Flush())
			if whole := tok.Decode(ids); stream.String() != whole {
				t.Fatalf("%s: %v streamed is %q, at once %q", name, ids, stream.String(), whole)
			}
		}
	}
}

// Text that people and models wrote never becomes a special token.
func TestTextInjectsNoSpecialToken(t *testing.T) {
	texts := trainingTexts(t)
	for _, name := range localTokenizers {
		tok := openTestdata(t, name)
		for id := range int32(tok.VocabSize()) {
			if tok.IsSpecial(id) {
				texts = append(texts, tok.Token(id), "a "+tok.Token(id)+" b")
			}
		}
		for _, text := range texts {
			for _, encode := range []func(string) ([]int32, error){
				func(s string) ([]int32, error) { return tok.Encode(s, false) },
				tok.EncodeContinuation,
			} {
				ids, err := encode(text)
				if err != nil {
					t.Fatal(err)
				}
				for _, id := range ids {
					if tok.IsSpecial(id) && id != tok.Special().UNK {
						t.Errorf("%s: %q gives the special token %q", name, text, tok.Token(id))
					}
				}
			}
		}
	}
}

// A vocabulary whose merges and words reach a special token still gives it only to rendered text.
func TestMergesReachNoSpecialToken(t *testing.T) {
	tok, err := parse("tokenizer.json", map[string][]byte{"tokenizer.json": []byte(`{
		"added_tokens": [{"id": 2, "content": "ab", "special": true, "normalized": false}],
		"model": {"type": "BPE", "ignore_merges": true, "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}`)})
	if err != nil {
		t.Fatal(err)
	}
	if ids, _ := tok.Encode("ab", false); !slices.Equal(ids, []int32{0, 1}) {
		t.Errorf("Encode = %v, want [0 1]", ids)
	}
	if ids, _ := tok.EncodeRendered("ab", false); !slices.Equal(ids, []int32{2}) {
		t.Errorf("EncodeRendered = %v, want [2]", ids)
	}
}

func TestEncodeContinuationPrependsNoSpace(t *testing.T) {
	for _, name := range []string{"llama2", "spbpe", "metaspace", "qwen2"} {
		tok := openTestdata(t, name)
		begin, err := tok.Encode("the park", false)
		if err != nil {
			t.Fatal(err)
		}
		onward, err := tok.EncodeContinuation(" the park")
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(begin, onward) {
			t.Errorf("%s: a beginning is %v, a continuation by a space and the same %v", name, begin, onward)
		}
	}
}

func TestFragments(t *testing.T) {
	tok := openTestdata(t, "llama3")
	got := tok.Fragments("<|start|>a<|end|><|end|")
	want := []Fragment{{"", 701, 0, 9}, {"a", None, 9, 10}, {"", 702, 10, 17}, {"<|end|", None, 17, 23}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// The hand-written scanners split as the expressions do that they stand for. regexp2 does not know that
// U+017F folds to s; tokenizers does.
func TestScannersEqualExpressions(t *testing.T) {
	alphabet := []rune("aZé日1٣½ \t\n\r\u00a0\u3000.,'!-\u0301😀sStTrReElLmMdDvV")
	rng := rand.New(rand.NewPCG(3, 4))
	texts := trainingTexts(t)
	for range 5000 {
		var b strings.Builder
		for range rng.IntN(12) {
			b.WriteRune(alphabet[rng.IntN(len(alphabet))])
		}
		texts = append(texts, b.String())
	}
	for _, expr := range []string{gpt2Pattern, llama3Pattern, qwen2Pattern} {
		scanner, err := regexPattern("test", expr)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := compilePattern("test", expr)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			if strings.Contains(text, "ſ") {
				continue
			}
			got, _ := scanner.spans(text)
			want, err := plain.spans(text)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%q: %v, the expression %s says %v", text, got, expr, want)
			}
		}
	}
}

// A text without spaces merges in n log n: a million characters take about a second, not hours.
func TestLongTextIsQuick(t *testing.T) {
	text := strings.Repeat("onceuponatime", 20_000)
	for _, name := range []string{"llama2", "gpt2", "spbpe"} {
		tok := openTestdata(t, name)
		began := time.Now()
		if _, err := tok.Encode(text, false); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: %d bytes took %v", name, len(text), took)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	const vocab = `"vocab": {"a": 0, "b": 1}`
	for _, c := range []struct {
		name, file, content string
		code                tandem.Code
		says                string
	}{
		{"empty", "tokenizer.json", "", tandem.Invalid, "empty"},
		{"truncated", "tokenizer.json", `{"model": {"type": "BPE", `, tandem.Invalid, "not readable"},
		{"no model", "tokenizer.json", `{}`, tandem.Invalid, "no model"},
		{"other model", "tokenizer.json", `{"model": {"type": "WordPiece"}}`, tandem.Unsupported, "WordPiece"},
		{"dropout", "tokenizer.json", `{"model": {"type": "BPE", "dropout": 0.1, ` + vocab + `}}`, tandem.Unsupported, "dropout"},
		{"huge id", "tokenizer.json", `{"model": {"type": "BPE", "vocab": {"a": 2147483647}}}`, tandem.Invalid, "2147483647"},
		{"negative id", "tokenizer.json", `{"model": {"type": "BPE", "vocab": {"a": -1}}}`, tandem.Invalid, "-1"},
		{"same id", "tokenizer.json", `{"model": {"type": "BPE", "vocab": {"a": 1, "b": 1}}}`, tandem.Invalid, "same id"},
		{"unknown merge", "tokenizer.json", `{"model": {"type": "BPE", ` + vocab + `, "merges": ["a b"]}}`, tandem.Invalid, "merge 0"},
		{"normalizer", "tokenizer.json", `{"normalizer": {"type": "BertNormalizer"}, "model": {"type": "BPE", ` + vocab + `}}`, tandem.Unsupported, "BertNormalizer"},
		{"pre_tokenizer", "tokenizer.json", `{"pre_tokenizer": {"type": "UnicodeScripts"}, "model": {"type": "BPE", ` + vocab + `}}`, tandem.Unsupported, "UnicodeScripts"},
		{"post_processor", "tokenizer.json", `{"post_processor": {"type": "BertProcessing"}, "model": {"type": "BPE", ` + vocab + `}}`, tandem.Unsupported, "BertProcessing"},
		{"decoder", "tokenizer.json", `{"decoder": {"type": "CTC"}, "model": {"type": "BPE", ` + vocab + `}}`, tandem.Unsupported, "CTC"},
		{"deep", "tokenizer.json", `{"normalizer": ` + strings.Repeat(`{"type": "Sequence", "normalizers": [`, 50) + strings.Repeat(`]}`, 50) + `, "model": {"type": "BPE", ` + vocab + `}}`, tandem.Invalid, "deep"},
		{"bad expression", "tokenizer.json", `{"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(("}, "behavior": "Isolated"}, "model": {"type": "BPE", ` + vocab + `}}`, tandem.Unsupported, "(("},
		{"not protobuf", "tokenizer.model", "hello", tandem.Invalid, "malformed"},
		{"no unknown piece", "tokenizer.model", "\x0a\x03\x0a\x01a", tandem.Invalid, "unknown piece"},
		{"short llama2.c", "tok.bin", "\x01\x00\x00\x00\x00\x00", tandem.Invalid, "truncated"},
		{"long piece", "tok.bin", "\x01\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\x7f", tandem.Invalid, "token 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), c.file)
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path)
			if tandem.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v (%s), want %s with %q and the path", err, tandem.CodeOf(err), c.code, c.says)
			}
		})
	}
	if _, err := Open(t.TempDir()); tandem.CodeOf(err) != tandem.NotFound {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); tandem.CodeOf(err) != tandem.NotFound {
		t.Errorf("no folder: %v", err)
	}
}

// A truncated SentencePiece model is an error wherever it ends, never a panic.
func TestTruncatedSentencePiece(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "spbpe", "tokenizer.model"))
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < len(data); n += 37 {
		tok, err := parse("tokenizer.model", map[string][]byte{"tokenizer.model": data[:n]})
		if err == nil { // cut between fields
			_, _ = tok.Encode("Once upon a time", true)
		}
	}
}

func TestHostileNormalizerAndExpression(t *testing.T) {
	long := strings.Repeat("x", 4000)
	for name, part := range map[string]string{
		"explosion": `"normalizer": {"type": "Sequence", "normalizers": [` +
			strings.TrimSuffix(strings.Repeat(`{"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaaaa"},`, 12), ",") + `]}`,
		"replacement":  `"normalizer": {"type": "Replace", "pattern": {"String": "a"}, "content": "` + long + `"}`,
		"backtracking": `"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated"}`,
	} {
		file := `{` + part + `, "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}}}`
		tok, err := parse("tokenizer.json", map[string][]byte{"tokenizer.json": []byte(file)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err = tok.Encode(strings.Repeat("a", 200)+"b", false)
		if tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%s: %v, want an error", name, err)
		} else if strings.Contains(err.Error(), strings.Repeat("a", 50)) {
			t.Errorf("%s: the error repeats the text: %v", name, err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, name := range []string{"llama3", "llama2", "spbpe"} {
		b.Run(name, func(b *testing.B) {
			tok := openTestdata(b, name)
			text := strings.Repeat("Once upon a time there was a little girl who loved to play outside in the park. ", 50)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := tok.Encode(text, true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestBytes: what a text's tokens stand for is, one after the other, the text.
func TestBytes(t *testing.T) {
	var texts []string
	readTestdata(t, "strings.json", &texts)
	for _, name := range []string{"gpt2", "llama3", "qwen2", "llama2", "metaspace", "tiny"} {
		tok, err := Open(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		parts := 0
		for _, text := range texts {
			ids, err := tok.EncodeContinuation(text)
			if err != nil {
				t.Fatal(err)
			}
			var says []byte
			for _, id := range ids {
				b := tok.Bytes(id)
				if !utf8.Valid(b) {
					parts++
				}
				says = append(says, b...)
			}
			d := tok.NewDecoder()
			d.spellSpecial = true
			d.Skip(ids...)
			if want := d.Next(ids...) + d.Flush(); utf8.Valid(says) && string(says) != want {
				t.Errorf("%s: the tokens of %q say %q, and together %q", name, text, says, want)
			}
		}
		if parts == 0 && name != "metaspace" {
			t.Errorf("%s: no token is a part of a character", name)
		}
		if eos := tok.Special().EOS; eos != None && string(tok.Bytes(eos)) != tok.Token(eos) {
			t.Errorf("%s: %q", name, tok.Bytes(eos))
		}
	}
}

package tokenizer

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"tandem"
)

// ForHuggingFace returns a tokenizer of the same ids whose files others read: t itself, unless it came in
// llama2.c's format. That one's vocabulary becomes a BPE with byte fallback as transformers makes of
// SentencePiece's (convert_slow_tokenizer.py, LlamaConverter): a merge for every way to put a piece
// together of two others, the highest score first. A text that has "▁" itself is the one thing that it
// encodes differently: the character stands for a space there.
func (t *Tokenizer) ForHuggingFace() (*Tokenizer, error) {
	m, ok := t.model.(*scoredBPE)
	if _, sentencePiece := t.files["tokenizer.model"]; !ok || sentencePiece {
		return t, nil
	}
	spelled := func(content string) string { return strings.ReplaceAll(content, " ", "▁") }
	vocabulary := make(map[string]int32, len(t.tokens))
	for id, token := range t.tokens {
		content := token.content
		if m.ids[content] == int32(id) {
			content = spelled(content)
		}
		if other, twice := vocabulary[content]; twice {
			return nil, tandem.Errorf(tandem.Unsupported, op, "tokens %d and %d are both spelled %q, which tokenizer.json cannot hold", other, id, content)
		}
		vocabulary[content] = int32(id)
	}
	type merge struct{ rank, left, right int32 }
	var merges []merge
	for piece, id := range m.ids {
		for cut := range piece { // at characters
			left, isLeft := m.ids[piece[:cut]]
			right, isRight := m.ids[piece[cut:]]
			if isLeft && isRight && utf8.ValidString(piece) {
				merges = append(merges, merge{m.ranks[id], left, right})
			}
		}
	}
	slices.SortFunc(merges, func(a, b merge) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.left, b.left), cmp.Compare(a.right, b.right))
	})
	pairs := make([][2]string, len(merges))
	for i, p := range merges {
		pairs[i] = [2]string{spelled(t.tokens[p.left].content), spelled(t.tokens[p.right].content)}
	}
	files, err := t.scoredFiles(vocabulary, pairs)
	if err != nil {
		return nil, err
	}
	return parse("tokenizer.json", files)
}

// scoredFiles writes tokenizer.json and tokenizer_config.json.
func (t *Tokenizer) scoredFiles(vocabulary map[string]int32, merges [][2]string) (map[string][]byte, error) {
	type object = map[string]any
	bos, eos, unk := t.Token(t.special.BOS), t.Token(t.special.EOS), t.Token(t.special.UNK)
	var added []object
	for _, id := range []int32{t.special.UNK, t.special.BOS, t.special.EOS} {
		added = append(added, object{
			"id": id, "content": t.Token(id), "special": true,
			"single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
		})
	}
	begin := object{"SpecialToken": object{"id": bos, "type_id": 0}}
	file := object{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added,
		"normalizer": object{"type": "Sequence", "normalizers": []object{
			{"type": "Prepend", "prepend": "▁"},
			{"type": "Replace", "pattern": object{"String": " "}, "content": "▁"},
		}},
		"pre_tokenizer": nil,
		"post_processor": object{
			"type":           "TemplateProcessing",
			"single":         []object{begin, {"Sequence": object{"id": "A", "type_id": 0}}},
			"pair":           []object{begin, {"Sequence": object{"id": "A", "type_id": 0}}, {"Sequence": object{"id": "B", "type_id": 1}}},
			"special_tokens": object{bos: object{"id": bos, "ids": []int32{t.special.BOS}, "tokens": []string{bos}}},
		},
		"decoder": object{"type": "Sequence", "decoders": []object{
			{"type": "Replace", "pattern": object{"String": "▁"}, "content": " "},
			{"type": "ByteFallback"}, {"type": "Fuse"},
			{"type": "Strip", "content": " ", "start": 1, "stop": 0},
		}},
		"model": object{
			"type": "BPE", "dropout": nil, "unk_token": unk, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": true, "byte_fallback": true, "ignore_merges": false, "vocab": vocabulary, "merges": merges,
		},
	}
	settings := object{
		"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false,
		"bos_token": bos, "eos_token": eos, "unk_token": unk,
	}
	return writtenFiles(file, settings)
}

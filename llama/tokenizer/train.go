package tokenizer

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"slices"
	"sort"
	"strings"

	"tandem"
)

// TrainConfig says what vocabulary [Train] makes.
type TrainConfig struct {
	// VocabSize counts everything: special tokens, 256 bytes and merges. Fewer come out when the texts
	// have no more pairs to merge. Defaults to 1024.
	VocabSize int
	// MinFrequency is how often a pair must occur to be merged. Defaults to 2.
	MinFrequency int
	// BOS, EOS, PAD and the role markers are special tokens and have the first ids, in this order:
	// PAD, BOS, EOS, Markers. PAD is a token of its own, so that padding never hides an EOS from a loss.
	// Default to <|pad|>, <|begin|> and <|end|>; <|system|>, <|user|> and <|assistant|>.
	BOS, EOS, PAD string
	Markers       []string
	// ChatTemplate is the Jinja template that tokenizer_config.json names. Defaults to none.
	ChatTemplate string
}

// DefaultTrainConfig is a vocabulary for a small model.
func DefaultTrainConfig() TrainConfig {
	return TrainConfig{
		VocabSize: 1024, MinFrequency: 2,
		BOS: "<|begin|>", EOS: "<|end|>", PAD: "<|pad|>",
		Markers: []string{"<|system|>", "<|user|>", "<|assistant|>"},
	}
}

// special lists the special tokens by id.
func (c TrainConfig) special() []string { return append([]string{c.PAD, c.BOS, c.EOS}, c.Markers...) }

// Validate reports the first setting that no vocabulary can have.
func (c TrainConfig) Validate() error {
	special := c.special()
	seen := make(map[string]bool)
	for _, s := range special {
		if s == "" || seen[s] {
			return tandem.Errorf(tandem.Invalid, op, "the special token %q is empty or named twice", s)
		}
		if slices.Contains(alphabet(), s) {
			return tandem.Errorf(tandem.Invalid, op, "the special token %q is also how a byte is spelled", s)
		}
		seen[s] = true
	}
	if least := len(special) + 256; c.VocabSize < least || c.VocabSize > maxID {
		return tandem.Errorf(tandem.Invalid, op, "vocab_size is %d, not in %d … %d", c.VocabSize, least, maxID)
	}
	if c.MinFrequency < 1 {
		return tandem.Errorf(tandem.Invalid, op, "min_frequency is %d, not positive", c.MinFrequency)
	}
	return nil
}

// Train makes a byte-level BPE (https://arxiv.org/abs/1508.07909, algorithm 1) of texts: GPT-2's words,
// numbers cut into digits, every byte a token, then the most frequent pair of neighbours merged until the
// vocabulary is full. Of equally frequent pairs the one with the lowest ids is merged, so that the same
// texts in any order give the same vocabulary. [Tokenizer.Save] writes it for tokenizers and
// transformers.
func Train(ctx context.Context, texts iter.Seq[string], c TrainConfig) (*Tokenizer, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	words, err := countWords(ctx, texts, len(c.special()))
	if err != nil {
		return nil, err
	}
	vocab := c.special()
	vocab = append(vocab, alphabet()...)
	merges, err := learnMerges(ctx, words, &vocab, c)
	if err != nil {
		return nil, err
	}
	return trained(vocab, merges, c)
}

// trainingPreTokenizer cuts texts as the written tokenizer.json says: digits one by one, then words.
func trainingPreTokenizer() preTokenizers {
	return preTokenizers{digits{individual: true}, byteLevel{useRegex: true}}
}

// alphabet is the 256 spelled bytes in the order of their characters, as tokenizers orders them.
func alphabet() []string {
	runes := append([]rune(nil), byteToRune[:]...)
	sort.Slice(runes, func(i, j int) bool { return runes[i] < runes[j] })
	out := make([]string, len(runes))
	for i, r := range runes {
		out[i] = string(r)
	}
	return out
}

// trainingWord is a distinct word of the texts as the tokens it consists of so far.
type trainingWord struct {
	ids   []int32
	count int64
}

// countWords counts the distinct words of texts. The alphabet's ids start at first.
func countWords(ctx context.Context, texts iter.Seq[string], first int) ([]trainingWord, error) {
	counts := make(map[string]int64)
	pre := trainingPreTokenizer()
	for text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		pieces, err := pre.split([]string{strings.ToValidUTF8(text, "\uFFFD")}, begins)
		if err != nil {
			return nil, err
		}
		for _, p := range pieces {
			counts[p]++
		}
	}
	byRune := make(map[rune]int32)
	for i, s := range alphabet() {
		byRune[[]rune(s)[0]] = int32(first + i)
	}
	spelled := make([]string, 0, len(counts))
	for w := range counts {
		spelled = append(spelled, w)
	}
	sort.Strings(spelled)
	words := make([]trainingWord, len(spelled))
	for i, w := range spelled {
		words[i].count = counts[w]
		for _, r := range w {
			words[i].ids = append(words[i].ids, byRune[r])
		}
	}
	return words, nil
}

// learnMerges merges until vocab is full, and returns the merges in order.
func learnMerges(ctx context.Context, words []trainingWord, vocab *[]string, c TrainConfig) ([][2]string, error) {
	counts := make(map[uint64]int64)
	where := make(map[uint64]map[int32]struct{})
	add := func(word int32, p uint64, n int64) {
		counts[p] += n
		if n > 0 {
			if where[p] == nil {
				where[p] = make(map[int32]struct{})
			}
			where[p][word] = struct{}{}
		}
	}
	for i, w := range words {
		for j := 1; j < len(w.ids); j++ {
			add(int32(i), pair(w.ids[j-1], w.ids[j]), w.count)
		}
	}
	var queue pairQueue
	for p, n := range counts {
		queue.push(pairCount{p, n})
	}
	known := make(map[string]bool, len(*vocab))
	for _, v := range *vocab {
		known[v] = true
	}
	var merges [][2]string
	for len(*vocab) < c.VocabSize && len(queue) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		top := queue.pop()
		if n := counts[top.pair]; n != top.count { // changed since it was queued
			if n > 0 {
				queue.push(pairCount{top.pair, n})
			}
			continue
		}
		if top.count < int64(c.MinFrequency) {
			break
		}
		left, right := int32(top.pair>>32), int32(uint32(top.pair))
		content := (*vocab)[left] + (*vocab)[right]
		if known[content] { // another pair spells the same: a second merge to one token would confuse readers
			delete(counts, top.pair)
			continue
		}
		known[content] = true
		id := int32(len(*vocab))
		*vocab = append(*vocab, content)
		merges = append(merges, [2]string{(*vocab)[left], (*vocab)[right]})
		touched := make(map[uint64]struct{})
		for i := range where[top.pair] {
			mergeWord(&words[i], left, right, id, func(p uint64, n int64) {
				add(i, p, n)
				touched[p] = struct{}{}
			})
		}
		delete(counts, top.pair)
		delete(where, top.pair)
		for p := range touched {
			if n := counts[p]; n > 0 && p != top.pair {
				queue.push(pairCount{p, n})
			}
		}
	}
	return merges, nil
}

// mergeWord replaces every left, right in w by id, and tells change which pairs came and went.
func mergeWord(w *trainingWord, left, right, id int32, change func(p uint64, n int64)) {
	for i := 1; i < len(w.ids); i++ {
		change(pair(w.ids[i-1], w.ids[i]), -w.count)
	}
	out := w.ids[:0]
	for i := 0; i < len(w.ids); i++ {
		if i+1 < len(w.ids) && w.ids[i] == left && w.ids[i+1] == right {
			out = append(out, id)
			i++
			continue
		}
		out = append(out, w.ids[i])
	}
	w.ids = out
	for i := 1; i < len(w.ids); i++ {
		change(pair(w.ids[i-1], w.ids[i]), w.count)
	}
}

// trained writes tokenizer.json and tokenizer_config.json, and reads them back as anyone would.
func trained(vocab []string, merges [][2]string, c TrainConfig) (*Tokenizer, error) {
	type object = map[string]any
	ids := make(map[string]int, len(vocab))
	for id, content := range vocab {
		ids[content] = id
	}
	var added []object
	for id, content := range c.special() {
		added = append(added, object{
			"id": id, "content": content, "special": true,
			"single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
		})
	}
	bos := object{"SpecialToken": object{"id": c.BOS, "type_id": 0}}
	file := object{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added, "normalizer": nil,
		"pre_tokenizer": object{"type": "Sequence", "pretokenizers": []object{
			{"type": "Digits", "individual_digits": true},
			{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
		}},
		"post_processor": object{
			"type":           "TemplateProcessing",
			"single":         []object{bos, {"Sequence": object{"id": "A", "type_id": 0}}},
			"pair":           []object{bos, {"Sequence": object{"id": "A", "type_id": 0}}, {"Sequence": object{"id": "B", "type_id": 1}}},
			"special_tokens": object{c.BOS: object{"id": c.BOS, "ids": []int{ids[c.BOS]}, "tokens": []string{c.BOS}}},
		},
		"decoder": object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
		"model": object{
			"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": ids, "merges": merges,
		},
	}
	settings := object{
		"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false,
		"bos_token": c.BOS, "eos_token": c.EOS, "pad_token": c.PAD,
	}
	if c.ChatTemplate != "" {
		settings["chat_template"] = c.ChatTemplate
	}
	files, err := writtenFiles(file, settings)
	if err != nil {
		return nil, err
	}
	return parse("tokenizer.json", files)
}

// writtenFiles are tokenizer.json and tokenizer_config.json as bytes.
func writtenFiles(tokenizer, config map[string]any) (map[string][]byte, error) {
	files := make(map[string][]byte)
	for name, value := range map[string]map[string]any{"tokenizer.json": tokenizer, "tokenizer_config.json": config} {
		var b bytes.Buffer
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", " ")
		if err := encoder.Encode(value); err != nil {
			return nil, tandem.Errorf(tandem.Internal, op, "cannot write %s: %w", name, err)
		}
		files[name] = b.Bytes()
	}
	return files, nil
}

package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"tandem"
)

// bpe is tokenizers' BPE model: a vocabulary and an ordered list of merges.
type bpe struct {
	ids          map[string]int32
	merges       map[uint64]ranked // by pair(left id, right id)
	unk          int32
	fuseUnk      bool // neighbouring unknown characters become one unknown token
	byteFallback bool
	bytes        [256]int32 // ids of <0x00> … <0xFF>
	ignoreMerges bool       // a word that is in the vocabulary is that token, whatever its merges
	words        wordCache
}

type ranked struct{ rank, id int32 }

func pair(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) }

func (m *bpe) rank(_ string, left, right symbol) (rank, id int32, ok bool) {
	r, ok := m.merges[pair(left.id, right.id)]
	return r.rank, r.id, ok
}

func (m *bpe) encode(dst []int32, word string) ([]int32, error) {
	if m.ignoreMerges {
		if id, ok := m.ids[word]; ok {
			return append(dst, id), nil
		}
	}
	if ids, ok := m.words.get(word); ok {
		return append(dst, ids...), nil
	}
	if len(word) > maxText {
		return nil, tandem.Errorf(tandem.Invalid, op, "a text of %d bytes (at most %d)", len(word), maxText)
	}
	symbols := m.symbols(word)
	merge(word, symbols, m)
	from := len(dst)
	for i := int32(0); i >= 0 && len(symbols) > 0; i = symbols[i].next {
		dst = append(dst, symbols[i].id)
	}
	m.words.put(word, dst[from:])
	return dst, nil
}

// maxText bounds one piece of text, whose offsets are int32.
const maxText = 1 << 30

// symbols starts the word off, as tokenizers' BPE::merge_word does: characters of the vocabulary, else
// their bytes, else the unknown token; without one a character that is unknown is dropped. An unknown
// token waits for the next character of the vocabulary, bytes pass it.
func (m *bpe) symbols(word string) []symbol {
	symbols := make([]symbol, 0, utf8.RuneCountInString(word))
	waiting, at := false, symbol{id: m.unk}
	emit := func() {
		if waiting {
			symbols = append(symbols, at)
			waiting = false
		}
	}
	for i, r := range word {
		start, end := int32(i), int32(i+utf8.RuneLen(r))
		if id, ok := m.ids[word[start:end]]; ok {
			emit()
			symbols = append(symbols, symbol{id: id, start: start, end: end})
			continue
		}
		if m.byteFallback {
			for j := start; j < end; j++ {
				symbols = append(symbols, symbol{id: m.bytes[word[j]], start: j, end: j + 1})
			}
			continue
		}
		if m.unk == None {
			continue
		}
		if waiting && m.fuseUnk {
			at.end = end
			continue
		}
		emit()
		waiting, at = true, symbol{id: m.unk, start: start, end: end}
	}
	emit()
	link(symbols)
	return symbols
}

// parseBPE reads the model of a tokenizer.json.
func parseBPE(raw json.RawMessage) (*bpe, error) {
	var c struct {
		Type                    string           `json:"type"`
		Dropout                 *float64         `json:"dropout"`
		UnkToken                *string          `json:"unk_token"`
		ContinuingSubwordPrefix *string          `json:"continuing_subword_prefix"`
		EndOfWordSuffix         *string          `json:"end_of_word_suffix"`
		FuseUnk                 bool             `json:"fuse_unk"`
		ByteFallback            bool             `json:"byte_fallback"`
		IgnoreMerges            bool             `json:"ignore_merges"`
		Vocab                   map[string]int32 `json:"vocab"`
		Merges                  []mergeRule      `json:"merges"`
	}
	var kind struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &kind); err != nil {
		return nil, tandem.Errorf(tandem.Invalid, op, "the model is not readable: %w", err)
	}
	if kind.Type != "BPE" && kind.Type != "" { // files before tokenizers 0.10 name no type
		return nil, unsupported("model", kind.Type)
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, tandem.Errorf(tandem.Invalid, op, "the model BPE is not readable: %w", err)
	}
	switch {
	case c.Dropout != nil && *c.Dropout != 0:
		return nil, unsupported("model BPE option", "dropout")
	case c.ContinuingSubwordPrefix != nil && *c.ContinuingSubwordPrefix != "":
		return nil, unsupported("model BPE option", "continuing_subword_prefix")
	case c.EndOfWordSuffix != nil && *c.EndOfWordSuffix != "":
		return nil, unsupported("model BPE option", "end_of_word_suffix")
	case len(c.Vocab) == 0:
		return nil, tandem.Errorf(tandem.Invalid, op, "the model BPE has no vocabulary")
	}
	m := &bpe{ids: c.Vocab, unk: None, fuseUnk: c.FuseUnk, ignoreMerges: c.IgnoreMerges}
	if c.UnkToken != nil && *c.UnkToken != "" {
		id, ok := c.Vocab[*c.UnkToken]
		if !ok {
			return nil, tandem.Errorf(tandem.Invalid, op, "the unk_token %q is not in the vocabulary", *c.UnkToken)
		}
		m.unk = id
	}
	m.byteFallback = c.ByteFallback && m.findBytes()
	m.merges = make(map[uint64]ranked, len(c.Merges))
	for i, rule := range c.Merges {
		left, ok1 := c.Vocab[rule[0]]
		right, ok2 := c.Vocab[rule[1]]
		id, ok3 := c.Vocab[rule[0]+rule[1]]
		if !ok1 || !ok2 || !ok3 {
			return nil, tandem.Errorf(tandem.Invalid, op, "merge %d, %q with %q, names tokens that are not in the vocabulary", i, rule[0], rule[1])
		}
		m.merges[pair(left, right)] = ranked{int32(i), id}
	}
	return m, nil
}

// findBytes looks the byte tokens up. tokenizers asks for them character by character; every file has
// all of them or none, and a partial set is as good as none here.
func (m *bpe) findBytes() bool {
	for b := range m.bytes {
		id, ok := m.ids[byteToken(byte(b))]
		if !ok {
			return false
		}
		m.bytes[b] = id
	}
	return true
}

func byteToken(b byte) string { return fmt.Sprintf("<0x%02X>", b) }

// forget takes a special token out of the model's reach: neither merges nor the vocabulary may produce
// it, so that no text can inject it. The unknown token stays.
func (m *bpe) forget(id int32, content string) {
	if id == m.unk {
		return
	}
	if m.ids[content] == id {
		delete(m.ids, content)
	}
	for p, r := range m.merges {
		if r.id == id {
			delete(m.merges, p)
		}
	}
}

// mergeRule is one merge, in the old form "a b" or the new ["a", "b"].
type mergeRule [2]string

func (r *mergeRule) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '[' {
		var list []string
		if err := json.Unmarshal(data, &list); err != nil {
			return err
		}
		if len(list) != 2 {
			return fmt.Errorf("a merge of %d tokens, not 2", len(list))
		}
		r[0], r[1] = list[0], list[1]
		return nil
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	left, right, ok := strings.Cut(s, " ")
	if !ok || strings.Contains(right, " ") {
		return fmt.Errorf("the merge %q is not two tokens with a space between", s)
	}
	r[0], r[1] = left, right
	return nil
}

// wordCache remembers the ids of words that were encoded. It stops growing when it is full; what is
// frequent came early.
type wordCache struct {
	mu  sync.RWMutex
	ids map[string][]int32
}

const (
	cachedWords  = 1 << 15
	cachedLength = 64 // bytes; longer words are rarely seen twice
)

func (c *wordCache) get(word string) ([]int32, bool) {
	if len(word) > cachedLength {
		return nil, false
	}
	c.mu.RLock()
	ids, ok := c.ids[word]
	c.mu.RUnlock()
	return ids, ok
}

func (c *wordCache) put(word string, ids []int32) {
	if len(word) > cachedLength {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ids == nil {
		c.ids = make(map[string][]int32)
	}
	if len(c.ids) < cachedWords {
		c.ids[strings.Clone(word)] = append([]int32(nil), ids...)
	}
}

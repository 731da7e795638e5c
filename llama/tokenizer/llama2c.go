package tokenizer

import (
	"encoding/binary"
	"math"
	"strings"

	"tandem"
)

// Ids that llama2.c fixes in its code: the file does not name them.
const (
	llama2cUNK, llama2cBOS, llama2cEOS = 0, 1, 2
	llama2cBytes                       = 3 // <0x00>; the other bytes follow
)

// parseLlama2C reads a tokenizer of llama2.c: int32 length of the longest piece, then for every token a
// float32 score, an int32 length and its bytes (little-endian;
// https://github.com/karpathy/llama2.c/blob/master/tokenizer.py). Its rules, fixed in run.c, are
// SentencePiece's with a space in front; spaces are spelled as they are.
func parseLlama2C(data []byte) (*Tokenizer, error) {
	const entry = 8
	if len(data) < 4 {
		return nil, tandem.Errorf(tandem.Invalid, op, "a tokenizer of llama2.c of %d bytes is truncated", len(data))
	}
	m := &scoredBPE{ids: make(map[string]int32), userDefined: &matcher{}, unk: llama2cUNK}
	t := &Tokenizer{
		model:   m,
		special: SpecialTokens{BOS: llama2cBOS, EOS: llama2cEOS, PAD: None, UNK: llama2cUNK},
		before:  []int32{llama2cBOS},
	}
	var scores []float32
	for rest := data[4:]; len(rest) > 0; {
		id := int32(len(t.tokens))
		if len(rest) < entry || id > maxID {
			return nil, tandem.Errorf(tandem.Invalid, op, "a tokenizer of llama2.c is truncated in token %d", id)
		}
		score := math.Float32frombits(binary.LittleEndian.Uint32(rest))
		length := int64(int32(binary.LittleEndian.Uint32(rest[4:])))
		if length < 0 || length > int64(len(rest)-entry) {
			return nil, tandem.Errorf(tandem.Invalid, op, "token %d has %d bytes, %d are left in the file", id, length, len(rest)-entry)
		}
		content := string(rest[entry : entry+length])
		rest = rest[entry+length:]
		special := id < llama2cBytes
		if special {
			content = strings.Trim(content, "\n") // the file has "\n<s>\n"
		}
		if err := t.define(id, token{content: content, special: special, added: special}); err != nil {
			return nil, err
		}
		scores = append(scores, score)
		if _, isByte := parseByteToken(content); special || isByte {
			continue
		}
		if _, twice := m.ids[content]; !twice {
			m.ids[content] = id
		}
	}
	if len(t.tokens) < llama2cBytes+256 {
		return nil, tandem.Errorf(tandem.Invalid, op, "a tokenizer of llama2.c has %d tokens, fewer than its bytes", len(t.tokens))
	}
	for b := range m.bytes {
		m.bytes[b] = llama2cBytes + int32(b)
	}
	m.byteFallback = true
	if err := m.order(scores); err != nil {
		return nil, err
	}
	t.normalizer = prepender(" ")
	t.decoder = decoderFunc(func() decoding { return &pieces{space: " ", dropFirst: true} })
	var added []addedToken
	for id := range int32(llama2cBytes) {
		added = append(added, addedToken{ID: id, Content: t.tokens[id].content, Special: true})
	}
	var err error
	t.added, err = newAddedVocabulary(added, nil)
	return t, err
}

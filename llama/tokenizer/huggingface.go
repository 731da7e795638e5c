package tokenizer

import (
	"bytes"
	"encoding/json"

	"tandem"
)

// maxID bounds token ids: far above any vocabulary (Gemma's, the largest, is 2¹⁸), so that a file cannot
// make the table of tokens huge.
const maxID = 1<<22 - 1

// maxDepth bounds components inside components.
const maxDepth = 16

// parseHuggingFace reads a tokenizer.json. more are added tokens that tokenizer_config.json names.
func parseHuggingFace(data []byte, more []addedToken) (*Tokenizer, error) {
	var f struct {
		AddedTokens   []addedToken    `json:"added_tokens"`
		Normalizer    json.RawMessage `json:"normalizer"`
		PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
		PostProcessor json.RawMessage `json:"post_processor"`
		Decoder       json.RawMessage `json:"decoder"`
		Model         json.RawMessage `json:"model"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, tandem.Errorf(tandem.Invalid, op, "tokenizer.json is not readable: %w", err)
	}
	if isNull(f.Model) {
		return nil, tandem.Errorf(tandem.Invalid, op, "tokenizer.json has no model")
	}
	m, err := parseBPE(f.Model)
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{model: m, special: SpecialTokens{None, None, None, m.unk}}
	for content, id := range m.ids {
		if err := t.define(id, token{content: content}); err != nil {
			return nil, err
		}
	}
	added := withMissing(f.AddedTokens, more)
	for _, a := range added {
		if id, ok := m.ids[a.Content]; ok && id != a.ID {
			return nil, tandem.Errorf(tandem.Invalid, op, "the added token %q has id %d, in the vocabulary it has %d", a.Content, a.ID, id)
		}
		if err := t.define(a.ID, token{content: a.Content, special: a.Special, added: true}); err != nil {
			return nil, err
		}
		if a.Special {
			m.forget(a.ID, a.Content)
		}
	}
	if t.normalizer, err = parseNormalizer(f.Normalizer, 0); err != nil {
		return nil, err
	}
	if t.pre, err = parsePreTokenizer(f.PreTokenizer, 0); err != nil {
		return nil, err
	}
	if t.decoder, _, err = parseDecoder(f.Decoder, 0, false); err != nil {
		return nil, err
	}
	if t.decoder == nil {
		t.decoder = decoderFunc(func() decoding { return &spaced{} })
	}
	if t.before, t.after, err = parsePostProcessor(f.PostProcessor, 0); err != nil {
		return nil, err
	}
	for _, id := range append(append([]int32(nil), t.before...), t.after...) {
		if !t.Has(id) {
			return nil, tandem.Errorf(tandem.Invalid, op, "the post_processor adds token %d, which the vocabulary does not have", id)
		}
	}
	t.added, err = newAddedVocabulary(added, t.normalizer)
	return t, err
}

// define puts a token in the table. A content may be given to an id twice (an added token that is in the
// vocabulary too), two contents may not.
func (t *Tokenizer) define(id int32, tok token) error {
	if id < 0 || id > maxID {
		return tandem.Errorf(tandem.Invalid, op, "token %q has id %d, outside 0 … %d", tok.content, id, maxID)
	}
	if missing := int(id) + 1 - len(t.tokens); missing > 0 {
		t.tokens = append(t.tokens, make([]token, missing)...)
	}
	if old := t.tokens[id]; old.known && old.content != tok.content {
		return tandem.Errorf(tandem.Invalid, op, "tokens %q and %q have the same id %d", old.content, tok.content, id)
	}
	tok.known = true
	t.tokens[id] = tok
	return nil
}

// withMissing adds to list the tokens of more whose contents and ids it does not have.
func withMissing(list, more []addedToken) []addedToken {
	ids, contents := make(map[int32]bool), make(map[string]bool)
	for _, t := range list {
		ids[t.ID], contents[t.Content] = true, true
	}
	for _, t := range more {
		if !ids[t.ID] && !contents[t.Content] {
			list = append(list, t)
		}
	}
	return list
}

// parsePostProcessor returns what a component of tokenizer.json puts before and after one text.
func parsePostProcessor(raw json.RawMessage, depth int) (before, after []int32, err error) {
	var c struct {
		Type       string            `json:"type"`
		Processors []json.RawMessage `json:"processors"`
		Single     []struct {
			SpecialToken *struct{ ID string }
			Sequence     *struct{ ID string }
		} `json:"single"`
		SpecialTokens map[string]struct {
			IDs []int32 `json:"ids"`
		} `json:"special_tokens"`
	}
	if isNull(raw) {
		return nil, nil, nil
	}
	if err := component("post_processor", raw, depth, &c); err != nil {
		return nil, nil, err
	}
	switch c.Type {
	case "ByteLevel": // moves offsets, not ids
		return nil, nil, nil
	case "Sequence":
		for _, r := range c.Processors {
			b, a, err := parsePostProcessor(r, depth+1)
			if err != nil {
				return nil, nil, err
			}
			before, after = append(b, before...), append(after, a...)
		}
		return before, after, nil
	case "TemplateProcessing":
		seen := false
		for _, piece := range c.Single {
			switch {
			case piece.Sequence != nil && !seen:
				seen = true
			case piece.SpecialToken != nil:
				ids := c.SpecialTokens[piece.SpecialToken.ID].IDs
				if len(ids) == 0 {
					return nil, nil, tandem.Errorf(tandem.Invalid, op, "the post_processor TemplateProcessing names %q, whose ids it does not give", piece.SpecialToken.ID)
				}
				if seen {
					after = append(after, ids...)
				} else {
					before = append(before, ids...)
				}
			default:
				return nil, nil, unsupported("post_processor", "TemplateProcessing with a text that occurs twice")
			}
		}
		if !seen {
			return nil, nil, unsupported("post_processor", "TemplateProcessing without the text")
		}
		return before, after, nil
	}
	return nil, nil, unsupported("post_processor", c.Type)
}

// component reads one component of tokenizer.json into c, whose Type says which.
func component(kind string, raw json.RawMessage, depth int, c any) error {
	if depth > maxDepth {
		return tandem.Errorf(tandem.Invalid, op, "the %s is nested more than %d deep", kind, maxDepth)
	}
	if err := json.Unmarshal(raw, c); err != nil {
		return tandem.Errorf(tandem.Invalid, op, "the %s is not readable: %w", kind, err)
	}
	return nil
}

func isNull(raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) == 0 || bytes.Equal(raw, []byte("null"))
}

func unsupported(kind, name string) error {
	return tandem.Errorf(tandem.Unsupported, op, "the %s %q is not supported", kind, name)
}

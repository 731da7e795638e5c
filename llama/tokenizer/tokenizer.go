package tokenizer

import (
	"maps"
	"slices"
	"strings"

	"tandem"
)

// None is the id of a token that a tokenizer does not have.
const None int32 = -1

// Tokenizer is a fixed vocabulary and the rules by which text becomes its ids. It is safe for concurrent
// use.
type Tokenizer struct {
	tokens     []token // by id; a hole has no content
	added      addedVocabulary
	normalizer normalizer   // nil for none
	pre        preTokenizer // nil for none
	model      model
	decoder    decoder
	before     []int32 // what addSpecial puts before a text …
	after      []int32 // … and after it
	special    SpecialTokens
	template   string
	templates  map[string]string
	files      map[string][]byte // by name, for Save
}

// token is one entry of the vocabulary.
type token struct {
	content string
	special bool // added as special, or a SentencePiece control piece
	added   bool // found in text as a whole, before the model sees it
	known   bool // the id is taken
}

// model encodes one pre-tokenized piece of text, appending to dst.
type model interface {
	encode(dst []int32, piece string) ([]int32, error)
}

// SpecialTokens are the ids with a role; None where the tokenizer has no such token.
type SpecialTokens struct {
	BOS, EOS, PAD, UNK int32
}

// Special returns the ids with a role.
func (t *Tokenizer) Special() SpecialTokens { return t.special }

// VocabSize is one more than the highest id. A model's embedding may be larger (padded), never smaller.
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// Token returns the content of an id as the vocabulary spells it, "" for an id that it does not have.
func (t *Tokenizer) Token(id int32) string {
	if !t.Has(id) {
		return ""
	}
	return t.tokens[id].content
}

// Has reports whether id is in the vocabulary.
func (t *Tokenizer) Has(id int32) bool {
	return id >= 0 && int(id) < len(t.tokens) && t.tokens[id].known
}

// IsSpecial reports whether id is a special token, one that stands for no text.
func (t *Tokenizer) IsSpecial(id int32) bool { return t.Has(id) && t.tokens[id].special }

// AddedID returns the id of an added token, special or not, by its content.
func (t *Tokenizer) AddedID(content string) (int32, bool) {
	id, ok := t.added.ids[content]
	return id, ok
}

// SpecialContents lists what the special tokens are spelled as.
func (t *Tokenizer) SpecialContents() []string {
	return slices.Sorted(maps.Keys(t.added.special.patterns))
}

// AddsBOS reports whether addSpecial begins a text with the BOS token; AddsEOS whether it ends it with
// the EOS token.
func (t *Tokenizer) AddsBOS() bool {
	return t.special.BOS != None && len(t.before) > 0 && t.before[0] == t.special.BOS
}

// AddsEOS reports whether addSpecial ends a text with the EOS token.
func (t *Tokenizer) AddsEOS() bool {
	return t.special.EOS != None && len(t.after) > 0 && t.after[len(t.after)-1] == t.special.EOS
}

// ChatTemplate returns the model's Jinja chat template, "" if it ships none.
func (t *Tokenizer) ChatTemplate() string { return t.template }

// ChatTemplates returns the named templates of a model that ships several ("default", "tool_use").
func (t *Tokenizer) ChatTemplates() map[string]string { return t.templates }

// Encode returns the ids of text. Special tokens spelled in it are ordinary characters: no text can
// inject one. addSpecial adds what the tokenizer adds by default, as post_processor and
// tokenizer_config.json say; for Llama that is BOS in front. Malformed UTF-8 is read as U+FFFD.
//
// It fails only on what a tokenizer file can bring about: a regular expression that takes too long or a
// normalizer that blows text up.
func (t *Tokenizer) Encode(text string, addSpecial bool) ([]int32, error) {
	return t.encode(text, addSpecial, false)
}

// EncodeRendered is Encode for text that a chat template rendered: special tokens spelled in it are
// recognised, as transformers does by default.
func (t *Tokenizer) EncodeRendered(text string, addSpecial bool) ([]int32, error) {
	return t.encode(text, addSpecial, true)
}

// EncodeContinuation is Encode for text that goes on where another text ended: tokenizers that put a
// space in front of every text put none here, and nothing is added.
func (t *Tokenizer) EncodeContinuation(text string) ([]int32, error) {
	return t.appendText(nil, strings.ToValidUTF8(text, "\uFFFD"), continues, false)
}

// Fragment is a stretch of text, or a special token that stood there.
type Fragment struct {
	Text       string
	ID         int32 // None for text
	Start, End int   // bytes of the text that was cut
}

// Fragments cuts text at every special token that is spelled in it, the longest first.
func (t *Tokenizer) Fragments(text string) []Fragment {
	return t.added.special.split(text, true)
}

func (t *Tokenizer) encode(text string, addSpecial, parseSpecial bool) ([]int32, error) {
	var ids []int32
	if addSpecial {
		ids = append(ids, t.before...)
	}
	ids, err := t.appendText(ids, strings.ToValidUTF8(text, "\uFFFD"), begins, parseSpecial)
	if err != nil {
		return nil, err
	}
	if addSpecial {
		ids = append(ids, t.after...)
	}
	return ids, nil
}

// appendText follows tokenizers' order: added tokens that are matched in raw text, then the normalizer,
// then added tokens that are matched in normalized text, then the pre-tokenizer, then the model.
func (t *Tokenizer) appendText(ids []int32, text string, at position, parseSpecial bool) ([]int32, error) {
	for _, raw := range t.added.raw.split(text, parseSpecial) {
		if raw.ID != None {
			ids = append(ids, raw.ID)
			at = follows
			continue
		}
		normal := raw.Text
		if t.normalizer != nil {
			var err error
			if normal, err = t.normalizer.normalize(normal, at); err != nil {
				return nil, err
			}
			if len(normal) > maxGrowth*len(raw.Text)+1024 {
				return nil, tandem.Errorf(tandem.Invalid, op, "the normalizer makes %d bytes of %d", len(normal), len(raw.Text))
			}
		}
		for _, piece := range t.added.normalized.split(normal, parseSpecial) {
			if piece.ID != None {
				ids = append(ids, piece.ID)
				at = follows
				continue
			}
			var err error
			if ids, err = t.appendPieces(ids, piece.Text, at); err != nil {
				return nil, err
			}
			at = follows
		}
	}
	return ids, nil
}

// appendPieces appends the ids of text that holds no added token.
func (t *Tokenizer) appendPieces(ids []int32, text string, at position) ([]int32, error) {
	if t.pre == nil {
		return t.model.encode(ids, text)
	}
	words, err := t.pre.split([]string{text}, at)
	if err != nil {
		return nil, err
	}
	for _, word := range words {
		if ids, err = t.model.encode(ids, word); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// op names this package in errors.
const op = "llama/tokenizer"

// maxGrowth bounds how much longer a normalizer may make a text. Unicode's compatibility forms grow it
// 18-fold at worst (U+FDFA, in UTF-8 bytes: 3 to 33).
const maxGrowth = 20

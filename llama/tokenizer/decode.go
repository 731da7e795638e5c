package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// Decode returns the text of ids. Special tokens stand for no text and are left out, ids outside the
// vocabulary too. Bytes that are not UTF-8 become U+FFFD.
func (t *Tokenizer) Decode(ids []int32) string {
	d := t.NewDecoder()
	return d.Next(ids...) + d.Flush()
}

// DecodeSpecial is Decode with the special tokens spelled out.
func (t *Tokenizer) DecodeSpecial(ids []int32) string {
	d := t.NewDecoder()
	d.spellSpecial = true
	return d.Next(ids...) + d.Flush()
}

// Bytes returns what a token says in the middle of a text, which may be a part of a character. Special tokens are spelled
// out.
func (t *Tokenizer) Bytes(id int32) []byte {
	content := t.Token(id)
	if t.IsSpecial(id) {
		return []byte(content)
	}
	state := t.decoder.start()
	stages, ok := state.(chain)
	if !ok {
		stages = chain{state}
	}
	for _, stage := range stages {
		switch stage.(type) {
		case *spelledBytes:
			var out []byte
			for _, r := range content {
				b, ok := runeToByte[r]
				if !ok {
					return []byte(content)
				}
				out = append(out, b)
			}
			return out
		case *byteTokens:
			if b, ok := parseByteToken(content); ok {
				return []byte{b}
			}
		}
	}
	d := Decoder{t: t, state: state}
	d.Skip(id) // the text has begun
	return []byte(d.Next(id) + d.Flush())
}

// Decoder decodes a stream of ids. What Next and a last Flush return is together what Decode returns of
// all ids; Next never returns part of a character.
type Decoder struct {
	t            *Tokenizer
	state        decoding
	spellSpecial bool
}

// NewDecoder starts a text. It leaves special tokens out.
func (t *Tokenizer) NewDecoder() *Decoder {
	return &Decoder{t: t, state: t.decoder.start()}
}

// Next takes the next ids and returns the text that they complete, perhaps "".
func (d *Decoder) Next(ids ...int32) string {
	pieces := make([]string, 0, len(ids))
	for _, id := range ids {
		if d.t.Has(id) && (d.spellSpecial || !d.t.tokens[id].special) {
			pieces = append(pieces, d.t.tokens[id].content)
		}
	}
	return strings.Join(d.state.push(pieces, false), "")
}

// Skip takes ids whose text is already shown, such as a prompt's: what comes after goes on from them, and
// a space that a tokenizer strips at the beginning of a text is not stripped there.
func (d *Decoder) Skip(ids ...int32) {
	d.Next(ids...)
	d.Flush()
}

// Flush ends the text and returns what Next held back; bytes of an incomplete character become U+FFFD.
func (d *Decoder) Flush() string {
	return strings.Join(d.state.push(nil, true), "")
}

// spaced is how tokenizers decodes without a decoder: a space between tokens.
type spaced struct{ begun bool }

func (d *spaced) push(pieces []string, _ bool) []string {
	for i := range pieces {
		if d.begun {
			pieces[i] = " " + pieces[i]
		}
		d.begun = true
	}
	return pieces
}

// wholeCharacters returns how much of b can be decoded now: all but the beginning of a character at its
// end that more bytes may complete.
func wholeCharacters(b []byte) int {
	for back := 1; back < utf8.UTFMax && back <= len(b); back++ {
		i := len(b) - back
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				return i
			}
			break
		}
	}
	return len(b)
}

// toValid replaces what is not UTF-8 as Rust's from_utf8_lossy and the WHATWG do: one U+FFFD for each
// longest beginning of a character, where Go would write one a byte.
func toValid(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r != utf8.RuneError || n > 1 {
			out.Write(b[:n])
			b = b[n:]
			continue
		}
		out.WriteRune(utf8.RuneError)
		for n = 1; n < len(b) && !utf8.FullRune(b[:n+1]); n++ { // as long as it could begin a character
		}
		b = b[n:]
	}
	return out.String()
}

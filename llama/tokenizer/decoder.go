package tokenizer

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"tandem"
)

// decoder makes text of tokens' contents.
type decoder interface {
	start() decoding
}

// decoding is one text being decoded: a stream, so that decoding all tokens at once and one by one give
// the same text. Each stage of a chain takes pieces and gives pieces on.
type decoding interface {
	// push takes the next pieces. With last no more will come, and everything held back comes out.
	push(pieces []string, last bool) []string
}

// decoderFunc starts a stage.
type decoderFunc func() decoding

func (f decoderFunc) start() decoding { return f() }

// stateless is a stage that maps every piece for itself.
type stateless func(string) string

func (f stateless) start() decoding { return f }

func (f stateless) push(pieces []string, _ bool) []string {
	for i, p := range pieces {
		pieces[i] = f(p)
	}
	return pieces
}

// decoders chains stages.
type decoders []decoder

func (ds decoders) start() decoding {
	chain := make(chain, len(ds))
	for i, d := range ds {
		chain[i] = d.start()
	}
	return chain
}

type chain []decoding

func (c chain) push(pieces []string, last bool) []string {
	for _, stage := range c {
		pieces = stage.push(pieces, last)
	}
	return pieces
}

// spelledBytes undoes spellBytes: the pieces' bytes are one text. A piece with a character that spells
// no byte, such as an added token with a space, stands for itself.
type spelledBytes struct{ held []byte }

func (d *spelledBytes) push(pieces []string, last bool) []string {
	for _, p := range pieces {
		from := len(d.held)
		for _, r := range p {
			b, ok := runeToByte[r]
			if !ok {
				d.held = append(d.held[:from], p...)
				break
			}
			d.held = append(d.held, b)
		}
	}
	n := len(d.held)
	if !last {
		n = wholeCharacters(d.held)
	}
	out := toValid(d.held[:n])
	d.held = append(d.held[:0], d.held[n:]...)
	return []string{out}
}

// byteTokens makes text of runs of <0x..> tokens. A run that is not valid UTF-8 as a whole becomes one
// U+FFFD for each byte, as tokenizers' ByteFallback does, so a run is held until it ends.
type byteTokens struct{ held []byte }

func (d *byteTokens) push(pieces []string, last bool) []string {
	var out []string
	flush := func() {
		switch {
		case len(d.held) == 0:
			return
		case utf8.Valid(d.held):
			out = append(out, string(d.held))
		default:
			for range d.held {
				out = append(out, "\uFFFD")
			}
		}
		d.held = d.held[:0]
	}
	for _, p := range pieces {
		if b, ok := parseByteToken(p); ok {
			d.held = append(d.held, b)
			continue
		}
		flush()
		out = append(out, p)
	}
	if last {
		flush()
	}
	return out
}

// parseByteToken reads <0x0A>.
func parseByteToken(s string) (byte, bool) {
	if len(s) != 6 || s[:3] != "<0x" || s[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(s[3:5], 16, 8)
	return byte(b), err == nil
}

// trimmer strips characters from both ends: of every piece, or of the whole text if it comes after Fuse.
type trimmer struct {
	content   string // one character
	left      int    // at most so many
	right     int
	fused     bool
	begun     bool   // fused: a character that stays was seen
	stripped  int    // fused: so many were stripped
	heldRight string // fused: characters that may be the last
}

func (d *trimmer) push(pieces []string, last bool) []string {
	if !d.fused {
		for i, p := range pieces {
			for n := 0; n < d.left && strings.HasPrefix(p, d.content); n++ {
				p = p[len(d.content):]
			}
			for n := 0; n < d.right && strings.HasSuffix(p, d.content); n++ {
				p = p[:len(p)-len(d.content)]
			}
			pieces[i] = p
		}
		return pieces
	}
	text := d.heldRight + strings.Join(pieces, "")
	d.heldRight = ""
	for !d.begun && d.stripped < d.left && strings.HasPrefix(text, d.content) {
		text = text[len(d.content):]
		d.stripped++
	}
	if text != "" {
		d.begun = true
	}
	keep := len(text)
	for n := 0; n < d.right && strings.HasSuffix(text[:keep], d.content); n++ {
		keep -= len(d.content)
	}
	if !last {
		d.heldRight = text[keep:]
	}
	return []string{text[:keep]}
}

// metaspaces spells the replacement as a space again; the one that was prepended goes.
type metaspaces struct {
	replacement string
	prepended   bool
	begun       bool
}

func (d *metaspaces) push(pieces []string, _ bool) []string {
	for i, p := range pieces {
		space := " "
		if !d.begun && d.prepended {
			space = "" // all of them in the first piece, as tokenizers does
		}
		d.begun = true
		pieces[i] = strings.ReplaceAll(p, d.replacement, space)
	}
	return pieces
}

// parseDecoder reads one component of tokenizer.json; nil for null. fused says that what came before has
// made one text of the pieces.
func parseDecoder(raw json.RawMessage, depth int, fused bool) (d decoder, fuses bool, err error) {
	var c struct {
		Type          string            `json:"type"`
		Decoders      []json.RawMessage `json:"decoders"`
		Pattern       json.RawMessage   `json:"pattern"`
		Content       string            `json:"content"`
		Start         int               `json:"start"`
		Stop          int               `json:"stop"`
		Replacement   string            `json:"replacement"`
		PrependScheme *string           `json:"prepend_scheme"`
	}
	if isNull(raw) {
		return nil, fused, nil
	}
	if err := component("decoder", raw, depth, &c); err != nil {
		return nil, false, err
	}
	switch c.Type {
	case "Sequence":
		var ds decoders
		for _, r := range c.Decoders {
			d, f, err := parseDecoder(r, depth+1, fused)
			if err != nil {
				return nil, false, err
			}
			if fused = f; d != nil {
				ds = append(ds, d)
			}
		}
		return ds, fused, nil
	case "ByteLevel":
		return decoderFunc(func() decoding { return &spelledBytes{} }), true, nil
	case "ByteFallback":
		return decoderFunc(func() decoding { return &byteTokens{} }), fused, nil
	case "Fuse":
		return stateless(func(s string) string { return s }), true, nil
	case "Replace":
		p, err := parsePattern("decoder Replace", c.Pattern)
		if err != nil {
			return nil, false, err
		}
		if p.literal == "" {
			return nil, false, unsupported("decoder Replace by regular expression in", string(raw))
		}
		if fused && utf8.RuneCountInString(p.literal) > 1 {
			return nil, false, unsupported("decoder", "Replace of several characters after Fuse")
		}
		if len(c.Content) > maxGrowth*len(p.literal)+1024 {
			return nil, false, tandem.Errorf(tandem.Invalid, op, "the decoder Replace makes %d bytes of %d", len(c.Content), len(p.literal))
		}
		return stateless(func(s string) string { return strings.ReplaceAll(s, p.literal, c.Content) }), fused, nil
	case "Strip":
		if utf8.RuneCountInString(c.Content) != 1 || c.Start < 0 || c.Stop < 0 {
			return nil, false, tandem.Errorf(tandem.Invalid, op, "the decoder Strip has content %q, start %d, stop %d", c.Content, c.Start, c.Stop)
		}
		return decoderFunc(func() decoding {
			return &trimmer{content: c.Content, left: c.Start, right: c.Stop, fused: fused}
		}), fused, nil
	case "Metaspace":
		if utf8.RuneCountInString(c.Replacement) != 1 {
			return nil, false, tandem.Errorf(tandem.Invalid, op, "the decoder Metaspace has replacement %q, not one character", c.Replacement)
		}
		prepended := c.PrependScheme == nil || *c.PrependScheme != "never"
		return decoderFunc(func() decoding {
			return &metaspaces{replacement: c.Replacement, prepended: prepended}
		}), fused, nil
	}
	return nil, false, unsupported("decoder", c.Type)
}

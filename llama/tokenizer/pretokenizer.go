package tokenizer

import (
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"

	"tandem"
)

// preTokenizer splits text into words, which the model encodes one by one.
type preTokenizer interface {
	// split splits every piece further; at is where pieces[0] stands.
	split(pieces []string, at position) ([]string, error)
}

// preTokenizers applies each in turn.
type preTokenizers []preTokenizer

func (ps preTokenizers) split(pieces []string, at position) ([]string, error) {
	for _, p := range ps {
		var err error
		if pieces, err = p.split(pieces, at); err != nil {
			return nil, err
		}
	}
	return pieces, nil
}

// splitter cuts at the matches of a pattern.
type splitter struct {
	pattern  splitPattern
	behavior string // what becomes of the matches
	invert   bool   // matches are what to keep, the rest what to cut at
}

func (s splitter) split(pieces []string, _ position) ([]string, error) {
	var out []string
	for _, text := range pieces {
		spans, err := s.pattern.spans(text)
		if err != nil {
			return nil, err
		}
		start, last := 0, false // out's open word begins at start; last: the previous span was a match
		for i, sp := range spans {
			match := sp.match != s.invert
			cut := true // a word ends before sp
			switch s.behavior {
			case "Removed":
				if match {
					continue
				}
			case "Contiguous":
				cut = match != last
			case "MergedWithPrevious": // a match joins what is not one before it
				cut = !match || last
			case "MergedWithNext":
				cut = !last || match
			}
			if i == 0 || cut || s.behavior == "Removed" {
				out = append(out, text[sp.start:sp.end])
				start = sp.start
			} else {
				out[len(out)-1] = text[start:sp.end]
			}
			last = match
		}
	}
	return out, nil
}

// byteLevel spells every byte as a printable character (see byteToRune), after GPT-2's expression has
// cut the text if useRegex.
type byteLevel struct {
	prefixSpace bool
	useRegex    bool
}

func (b byteLevel) split(pieces []string, at position) ([]string, error) {
	if b.prefixSpace {
		spaced := make([]string, len(pieces))
		for i, p := range pieces {
			if !strings.HasPrefix(p, " ") && !(i == 0 && at == continues) {
				p = " " + p
			}
			spaced[i] = p
		}
		pieces = spaced
	}
	if b.useRegex {
		var err error
		pieces, err = splitter{splitPattern{scan: scanGPT2}, "Isolated", false}.split(pieces, at)
		if err != nil {
			return nil, err
		}
	}
	out := make([]string, len(pieces))
	for i, p := range pieces {
		out[i] = spellBytes(p)
	}
	return out, nil
}

// byteToRune is GPT-2's spelling of bytes as printable characters
// (https://github.com/openai/gpt-2/blob/master/src/encoder.py, bytes_to_unicode): printable Latin-1
// stands for itself, the other 68 bytes are U+0100 onwards.
var byteToRune, runeToByte = func() (to [256]rune, from map[rune]byte) {
	from = make(map[rune]byte, 256)
	next := rune(256)
	for b := range to {
		r := rune(b)
		if !(r >= '!' && r <= '~' || r >= '¡' && r <= '¬' || r >= '®' && r <= 'ÿ') {
			r, next = next, next+1
		}
		to[b] = r
		from[r] = byte(b)
	}
	return to, from
}()

func spellBytes(text string) string {
	var b strings.Builder
	b.Grow(len(text) + len(text)/4)
	for i := range len(text) {
		b.WriteRune(byteToRune[text[i]])
	}
	return b.String()
}

// metaspace spells spaces as a character of their own and cuts before each.
type metaspace struct {
	replacement string
	prepend     string // "always", "first", "never"
	cut         bool
}

func (m metaspace) split(pieces []string, at position) ([]string, error) {
	var out []string
	for i, p := range pieces {
		p = strings.ReplaceAll(p, " ", m.replacement)
		prepend := m.prepend == "always" && !(i == 0 && at == continues) || m.prepend == "first" && i == 0 && at == begins
		if prepend && !strings.HasPrefix(p, m.replacement) {
			p = m.replacement + p
		}
		if !m.cut {
			out = append(out, p)
			continue
		}
		for p != "" {
			_, n := utf8.DecodeRuneInString(p)
			end := strings.Index(p[n:], m.replacement)
			if end < 0 {
				out = append(out, p)
				break
			}
			out = append(out, p[:n+end])
			p = p[n+end:]
		}
	}
	return out, nil
}

// digits cuts numbers off, each digit alone if individual.
type digits struct{ individual bool }

func (d digits) split(pieces []string, _ position) ([]string, error) {
	var out []string
	for _, p := range pieces {
		start, inNumber := 0, false
		for i, r := range p {
			number := unicode.IsNumber(r)
			if i > start && (number != inNumber || number && d.individual) {
				out = append(out, p[start:i])
				start = i
			}
			inNumber = number
		}
		if start < len(p) {
			out = append(out, p[start:])
		}
	}
	return out, nil
}

// parsePreTokenizer reads one component of tokenizer.json; nil for null.
func parsePreTokenizer(raw json.RawMessage, depth int) (preTokenizer, error) {
	var c struct {
		Type             string            `json:"type"`
		PreTokenizers    []json.RawMessage `json:"pretokenizers"`
		Pattern          json.RawMessage   `json:"pattern"`
		Behavior         string            `json:"behavior"`
		Invert           bool              `json:"invert"`
		AddPrefixSpace   bool              `json:"add_prefix_space"`
		UseRegex         *bool             `json:"use_regex"`
		IndividualDigits bool              `json:"individual_digits"`
		Replacement      string            `json:"replacement"`
		PrependScheme    *string           `json:"prepend_scheme"`
		Split            *bool             `json:"split"`
	}
	if isNull(raw) {
		return nil, nil
	}
	if err := component("pre_tokenizer", raw, depth, &c); err != nil {
		return nil, err
	}
	switch c.Type {
	case "Sequence":
		var ps preTokenizers
		for _, r := range c.PreTokenizers {
			p, err := parsePreTokenizer(r, depth+1)
			if err != nil {
				return nil, err
			}
			if p != nil {
				ps = append(ps, p)
			}
		}
		return ps, nil
	case "ByteLevel":
		return byteLevel{c.AddPrefixSpace, c.UseRegex == nil || *c.UseRegex}, nil
	case "Split":
		p, err := parsePattern("pre_tokenizer Split", c.Pattern)
		if err != nil {
			return nil, err
		}
		switch c.Behavior {
		case "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous":
			return splitter{p, c.Behavior, c.Invert}, nil
		}
		return nil, unsupported("pre_tokenizer Split behavior", c.Behavior)
	case "Digits":
		return digits{c.IndividualDigits}, nil
	case "Metaspace":
		if utf8.RuneCountInString(c.Replacement) != 1 {
			return nil, tandem.Errorf(tandem.Invalid, op, "the pre_tokenizer Metaspace has replacement %q, not one character", c.Replacement)
		}
		scheme := "always"
		if c.PrependScheme != nil {
			scheme = *c.PrependScheme
		}
		if scheme != "always" && scheme != "first" && scheme != "never" {
			return nil, unsupported("pre_tokenizer Metaspace prepend_scheme", scheme)
		}
		return metaspace{c.Replacement, scheme, c.Split == nil || *c.Split}, nil
	}
	return nil, unsupported("pre_tokenizer", c.Type)
}

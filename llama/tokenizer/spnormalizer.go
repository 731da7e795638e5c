package tokenizer

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"tandem"
)

// spNormalizer is SentencePiece's normalizer (its src/normalizer.cc): characters by a map, white space by
// four options.
type spNormalizer struct {
	dummyPrefix bool // a space in front of every text
	removeExtra bool // no space at the ends, no two in a row
	escape      bool // spaces are spelled as spaceSymbol
	suffix      bool // the dummy space goes to the end
	charsMap    *charsMap
	userDefined *matcher // pieces that pass as they are
}

func (n *spNormalizer) field(number protowire.Number, f field) error {
	switch number {
	case 2:
		var err error
		if len(f.bytes) > 0 {
			n.charsMap, err = parseCharsMap(f.bytes)
		}
		return err
	case 3:
		n.dummyPrefix = f.number != 0
	case 4:
		n.removeExtra = f.number != 0
	case 5:
		n.escape = f.number != 0
	}
	return nil
}

func (n *spNormalizer) normalize(text string, at position) (string, error) {
	if text == "" {
		return "", nil
	}
	dummy := n.dummyPrefix && at != continues
	space := " "
	if n.escape {
		space = spaceSymbol
	}
	var b strings.Builder
	if n.removeExtra {
		for text != "" {
			to, width := n.prefix(text)
			if to != " " {
				break
			}
			text = text[width:]
		}
		if text == "" {
			return "", nil
		}
	}
	if dummy && !n.suffix {
		b.WriteString(space)
	}
	afterSpace := n.removeExtra
	limit := maxGrowth*len(text) + 1024
	for text != "" {
		if b.Len() > limit {
			return "", tandem.Errorf(tandem.Invalid, op, "the normalizer's precompiled_charsmap makes more than %d bytes of one text", limit)
		}
		to, width := n.prefix(text)
		text = text[width:]
		if afterSpace {
			to = strings.TrimLeft(to, " ")
		}
		if to != "" {
			b.WriteString(strings.ReplaceAll(to, " ", space))
			afterSpace = n.removeExtra && strings.HasSuffix(to, " ")
		}
	}
	out := b.String()
	if n.removeExtra {
		for strings.HasSuffix(out, space) {
			out = out[:len(out)-len(space)]
		}
	}
	if dummy && n.suffix {
		out += space
	}
	return out, nil
}

// prefix returns what the longest known beginning of text becomes, and its width in bytes.
func (n *spNormalizer) prefix(text string) (to string, width int) {
	if p, ok := n.userDefined.at(text); ok {
		return p.text, len(p.text)
	}
	if n.charsMap != nil {
		if to, width := n.charsMap.longest(text); width > 0 {
			return to, width
		}
	}
	_, width = utf8.DecodeRuneInString(text)
	return text[:width], width
}

// charsMap maps characters to what they are normalized to: a double-array trie of darts-clone
// (https://github.com/s-yata/darts-clone) whose values are offsets into a table of strings that end in 0.
type charsMap struct {
	units []uint32
	table []byte
}

func parseCharsMap(blob []byte) (*charsMap, error) {
	if len(blob) < 4 {
		return nil, tandem.Errorf(tandem.Invalid, op, "the precompiled_charsmap has %d bytes", len(blob))
	}
	size := uint64(binary.LittleEndian.Uint32(blob))
	blob = blob[4:]
	if size > uint64(len(blob)) || size < 4 || size%4 != 0 {
		return nil, tandem.Errorf(tandem.Invalid, op, "the precompiled_charsmap says that its trie has %d bytes of %d", size, len(blob))
	}
	m := &charsMap{units: make([]uint32, size/4), table: blob[size:]}
	for i := range m.units {
		m.units[i] = binary.LittleEndian.Uint32(blob[4*i:])
	}
	return m, nil
}

// longest returns what the longest key that text begins with maps to; width 0 for none.
func (m *charsMap) longest(text string) (to string, width int) {
	offset := func(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }
	at := offset(m.units[0])
	for i := range len(text) {
		at ^= uint32(text[i])
		if at >= uint32(len(m.units)) {
			break
		}
		unit := m.units[at]
		if unit&(1<<31|0xFF) != uint32(text[i]) {
			break
		}
		at ^= offset(unit)
		if unit>>8&1 == 0 { // no key ends here
			continue
		}
		if at >= uint32(len(m.units)) {
			break
		}
		value := m.units[at] & (1<<31 - 1)
		if value >= uint32(len(m.table)) {
			break
		}
		end := bytes.IndexByte(m.table[value:], 0)
		if end < 0 {
			break
		}
		to, width = string(m.table[value:value+uint32(end)]), i+1
	}
	if !utf8.ValidString(to) {
		return "", 0
	}
	return to, width
}

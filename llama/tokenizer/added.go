package tokenizer

import (
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// addedToken is a token that is found in text as a whole, before the model sees it.
type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // not inside a word
	LStrip     bool   `json:"lstrip"`      // takes white space on its left with it
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"` // matched in normalized text, its own content normalized
	Special    bool   `json:"special"`
}

// addedVocabulary are a tokenizer's added tokens, by the text in which they are matched.
type addedVocabulary struct {
	raw, normalized matcher          // where tokenizers looks for them
	special         matcher          // the special ones, in raw text
	ids             map[string]int32 // by content
}

// newAddedVocabulary builds the matchers. A token without content matches nothing.
func newAddedVocabulary(tokens []addedToken, n normalizer) (addedVocabulary, error) {
	var raw, normalized, special []pattern
	ids := make(map[string]int32, len(tokens))
	for _, t := range tokens {
		if t.Content == "" {
			continue
		}
		ids[t.Content] = t.ID
		if t.Special {
			special = append(special, pattern{t.Content, t})
		}
		if !t.Normalized {
			raw = append(raw, pattern{t.Content, t})
			continue
		}
		text := t.Content
		if n != nil {
			var err error
			if text, err = n.normalize(text, begins); err != nil {
				return addedVocabulary{}, err
			}
		}
		if text != "" {
			normalized = append(normalized, pattern{text, t})
		}
	}
	return addedVocabulary{newMatcher(raw), newMatcher(normalized), newMatcher(special), ids}, nil
}

type pattern struct {
	text  string
	token addedToken
}

// matcher finds the leftmost longest of its patterns. Where a first byte occurs, it looks up as many
// beginnings of the text as the patterns with that byte have lengths, so thousands of patterns cost no
// more than a few.
type matcher struct {
	patterns map[string]pattern
	lengths  [256][]int // of the patterns by first byte, the longest first
	first    string     // the first bytes that occur, for strings.IndexAny's ASCII set; "" if any is not ASCII
}

func newMatcher(patterns []pattern) matcher {
	m := matcher{patterns: make(map[string]pattern, len(patterns))}
	for _, p := range patterns {
		if _, twice := m.patterns[p.text]; twice {
			continue
		}
		m.patterns[p.text] = p
		b := p.text[0]
		if !slices.Contains(m.lengths[b], len(p.text)) {
			m.lengths[b] = append(m.lengths[b], len(p.text))
		}
	}
	ascii := true
	for b, lengths := range m.lengths {
		if len(lengths) == 0 {
			continue
		}
		sort.Sort(sort.Reverse(sort.IntSlice(lengths)))
		ascii = ascii && b < utf8.RuneSelf
		m.first += string(rune(b))
	}
	if !ascii {
		m.first = ""
	}
	return m
}

// at returns the longest pattern that text begins with.
func (m *matcher) at(text string) (pattern, bool) {
	if text == "" {
		return pattern{}, false
	}
	for _, n := range m.lengths[text[0]] {
		if n <= len(text) {
			if p, ok := m.patterns[text[:n]]; ok {
				return p, true
			}
		}
	}
	return pattern{}, false
}

// find returns the first match at or after from.
func (m *matcher) find(text string, from int) (start int, p pattern, ok bool) {
	for i := from; i < len(text); i++ {
		if m.first != "" {
			skip := strings.IndexAny(text[i:], m.first)
			if skip < 0 {
				return 0, pattern{}, false
			}
			i += skip
		}
		if p, ok := m.at(text[i:]); ok {
			return i, p, true
		}
	}
	return 0, pattern{}, false
}

// split cuts text at added tokens as tokenizers' AddedVocabulary.find_matches does. A special token that
// is not to be parsed stays in the text, and whatever it covers is not searched again.
func (m *matcher) split(text string, parseSpecial bool) []Fragment {
	if text == "" {
		return nil
	}
	if len(m.patterns) == 0 {
		return []Fragment{{text, None, 0, len(text)}}
	}
	var out []Fragment
	done := 0 // text before it is cut off
	for from := 0; ; {
		start, p, ok := m.find(text, from)
		if !ok {
			break
		}
		stop := start + len(p.text)
		from = stop
		if p.token.Special && !parseSpecial {
			continue
		}
		if p.token.SingleWord && (endsInWord(text[:start]) || beginsWithWord(text[stop:])) {
			continue
		}
		if p.token.LStrip {
			start = max(len(strings.TrimRightFunc(text[:start], unicode.IsSpace)), done)
		}
		if p.token.RStrip {
			stop = len(text) - len(strings.TrimLeftFunc(text[stop:], unicode.IsSpace))
		}
		if done < start {
			out = append(out, Fragment{text[done:start], None, done, start})
		}
		out = append(out, Fragment{"", p.token.ID, max(start, done), stop})
		done = stop
	}
	if done < len(text) {
		out = append(out, Fragment{text[done:], None, done, len(text)})
	}
	return out
}

// wordCharacter is \w of the Unicode regular expressions that tokenizers uses (UTS 18, annex C).
var wordCharacter = regexp.MustCompile(`[\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{24b6}-\x{24e9}\x{200c}\x{200d}]`)

func endsInWord(text string) bool {
	r, n := utf8.DecodeLastRuneInString(text)
	return n > 0 && wordCharacter.MatchString(string(r))
}

func beginsWithWord(text string) bool {
	r, n := utf8.DecodeRuneInString(text)
	return n > 0 && wordCharacter.MatchString(string(r))
}

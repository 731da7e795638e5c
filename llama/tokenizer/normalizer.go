package tokenizer

import (
	"encoding/json"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"tandem"
)

// normalizer rewrites text before it is split.
type normalizer interface {
	normalize(text string, at position) (string, error)
}

// position is where a stretch of text stands: what prepends a space asks for it.
type position int

const (
	begins    position = iota // at the beginning of a text
	follows                   // after an added token
	continues                 // in the middle of a text that was cut by the caller: no space is prepended
)

// normalizerFunc is a normalizer that cannot fail.
type normalizerFunc func(string) string

func (f normalizerFunc) normalize(text string, _ position) (string, error) { return f(text), nil }

// prepender puts a text in front, as SentencePiece puts a space.
type prepender string

func (p prepender) normalize(text string, at position) (string, error) {
	if text == "" || at == continues {
		return text, nil
	}
	return string(p) + text, nil
}

// normalizers applies each in turn.
type normalizers []normalizer

func (ns normalizers) normalize(text string, at position) (string, error) {
	limit := maxGrowth*len(text) + 1024 // each step's, so that a sequence cannot explode on its way
	for _, n := range ns {
		var err error
		if text, err = n.normalize(text, at); err != nil {
			return "", err
		}
		if len(text) > limit {
			return "", tandem.Errorf(tandem.Invalid, op, "the normalizers make more than %d bytes of one text", limit)
		}
	}
	return text, nil
}

// replacer replaces every match of a pattern by content, literally.
type replacer struct {
	pattern splitPattern
	content string
}

func (r replacer) normalize(text string, _ position) (string, error) {
	if r.pattern.literal != "" {
		if n := strings.Count(text, r.pattern.literal); n > 0 && n*len(r.content) > maxGrowth*len(text)+1024 {
			return "", tandem.Errorf(tandem.Invalid, op, "the normalizer Replace blows up %q", r.pattern.literal)
		}
		return strings.ReplaceAll(text, r.pattern.literal, r.content), nil
	}
	spans, err := r.pattern.spans(text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, s := range spans {
		if s.match {
			b.WriteString(r.content)
		} else {
			b.WriteString(text[s.start:s.end])
		}
		if b.Len() > maxGrowth*len(text)+1024 {
			return "", tandem.Errorf(tandem.Invalid, op, "the normalizer Replace blows text up")
		}
	}
	return b.String(), nil
}

// parseNormalizer reads one component of tokenizer.json; nil for null.
func parseNormalizer(raw json.RawMessage, depth int) (normalizer, error) {
	var c struct {
		Type        string            `json:"type"`
		Normalizers []json.RawMessage `json:"normalizers"`
		Prepend     string            `json:"prepend"`
		Pattern     json.RawMessage   `json:"pattern"`
		Content     string            `json:"content"`
		StripLeft   *bool             `json:"strip_left"`
		StripRight  *bool             `json:"strip_right"`
	}
	if isNull(raw) {
		return nil, nil
	}
	if err := component("normalizer", raw, depth, &c); err != nil {
		return nil, err
	}
	switch c.Type {
	case "Sequence":
		var ns normalizers
		for _, r := range c.Normalizers {
			n, err := parseNormalizer(r, depth+1)
			if err != nil {
				return nil, err
			}
			if n != nil {
				ns = append(ns, n)
			}
		}
		return ns, nil
	case "Prepend":
		return prepender(c.Prepend), nil
	case "Replace":
		p, err := parsePattern("normalizer Replace", c.Pattern)
		return replacer{p, c.Content}, err
	case "NFC":
		return normalizerFunc(norm.NFC.String), nil
	case "NFD":
		return normalizerFunc(norm.NFD.String), nil
	case "NFKC":
		return normalizerFunc(norm.NFKC.String), nil
	case "NFKD":
		return normalizerFunc(norm.NFKD.String), nil
	case "Lowercase":
		// Character by character as in tokenizers; İ alone becomes two (Unicode's SpecialCasing.txt).
		return normalizerFunc(func(s string) string {
			return strings.ToLower(strings.ReplaceAll(s, "İ", "i\u0307"))
		}), nil
	case "Strip":
		left, right := c.StripLeft == nil || *c.StripLeft, c.StripRight == nil || *c.StripRight
		return normalizerFunc(func(s string) string {
			if left {
				s = strings.TrimLeftFunc(s, unicode.IsSpace)
			}
			if right {
				s = strings.TrimRightFunc(s, unicode.IsSpace)
			}
			return s
		}), nil
	}
	return nil, unsupported("normalizer", c.Type)
}

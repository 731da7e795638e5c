package tokenizer

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/dlclark/regexp2"

	"tandem"
)

// The regular expressions by which most byte-level models split words, as their files spell them.
const (
	gpt2Pattern   = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	qwen2Pattern  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	llama3Pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// A tokenizer's regular expressions are untrusted and backtrack: one match may take this long, one text
// that long.
const (
	maxMatchTime = time.Second
	maxSplitTime = 20 * time.Second
)

// splitPattern is a literal or a regular expression out of tokenizer.json.
type splitPattern struct {
	literal string
	scan    func(text string) int // length in bytes of the match that text begins with; for known expressions
	re      *regexp2.Regexp
}

// span is a stretch of text in bytes: a match, or what stands between two.
type span struct {
	start, end int
	match      bool
}

// parsePattern reads {"String": …} or {"Regex": …}.
func parsePattern(name string, raw json.RawMessage) (splitPattern, error) {
	var c struct {
		String *string
		Regex  *string
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return splitPattern{}, tandem.Errorf(tandem.Invalid, op, "%s: its pattern is not readable: %w", name, err)
	}
	switch {
	case c.String != nil && *c.String != "":
		return splitPattern{literal: *c.String}, nil
	case c.Regex != nil && *c.Regex != "":
		return regexPattern(name, *c.Regex)
	}
	return splitPattern{}, tandem.Errorf(tandem.Invalid, op, "%s has no pattern", name)
}

// regexPattern compiles an expression, or takes its hand-written scanner where there is one.
func regexPattern(name, expr string) (splitPattern, error) {
	switch expr {
	case gpt2Pattern:
		return splitPattern{scan: scanGPT2}, nil
	case llama3Pattern:
		return splitPattern{scan: func(text string) int { return scanLlama3(text, 3) }}, nil
	case qwen2Pattern:
		return splitPattern{scan: func(text string) int { return scanLlama3(text, 1) }}, nil
	}
	return compilePattern(name, expr)
}

func compilePattern(name, expr string) (splitPattern, error) {
	const longest = 4096
	if len(expr) > longest {
		return splitPattern{}, tandem.Errorf(tandem.Unsupported, op, "%s: a regular expression of %d bytes (at most %d)", name, len(expr), longest)
	}
	re, err := regexp2.Compile(expr, regexp2.None)
	if err != nil {
		return splitPattern{}, tandem.Errorf(tandem.Unsupported, op, "%s: regular expression %q: %w", name, expr, err)
	}
	re.MatchTimeout = maxMatchTime
	return splitPattern{re: re}, nil
}

// spans cuts text into matches and what stands between them, without gaps. Empty matches are dropped.
func (p splitPattern) spans(text string) ([]span, error) {
	var out []span
	done := 0
	add := func(start, end int) {
		if done < start {
			out = append(out, span{done, start, false})
		}
		out = append(out, span{start, end, true})
		done = end
	}
	switch {
	case p.literal != "":
		for {
			i := strings.Index(text[done:], p.literal)
			if i < 0 {
				break
			}
			add(done+i, done+i+len(p.literal))
		}
	case p.scan != nil: // these match everywhere
		for done < len(text) {
			add(done, done+p.scan(text[done:]))
		}
	default:
		if err := p.search(text, add); err != nil {
			return nil, err
		}
	}
	if done < len(text) {
		out = append(out, span{done, len(text), false})
	}
	return out, nil
}

// search calls add for every match of the regular expression that is not empty.
func (p splitPattern) search(text string, add func(start, end int)) error {
	began := time.Now()
	runes := []rune(text)
	at, offset := 0, 0 // text[offset:] begins with runes[at]
	advance := func(to int) int {
		for ; at < to; at++ {
			offset += len(string(runes[at]))
		}
		return offset
	}
	m, err := p.re.FindRunesMatch(runes)
	for ; m != nil && err == nil; m, err = p.re.FindNextMatch(m) {
		if m.Length > 0 {
			start := advance(m.Index)
			add(start, advance(m.Index+m.Length))
		}
		if time.Since(began) > maxSplitTime {
			return tandem.Errorf(tandem.Invalid, op, "the tokenizer's regular expression %q takes more than %v on %d bytes", p.re.String(), maxSplitTime, len(text))
		}
	}
	if err != nil { // a time-out, which regexp2 reports with the whole text
		return tandem.Errorf(tandem.Invalid, op, "the tokenizer's regular expression %q takes more than %v for one match in %d bytes", p.re.String(), maxMatchTime, len(text))
	}
	return nil
}

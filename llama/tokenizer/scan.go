package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The scanners below are the patterns of pattern.go by hand: they say how long the match at the
// beginning of a text is that is not empty, in linear time. Tests hold them against the expressions.

// class is what the two patterns tell apart.
type class uint8

const (
	other class = iota
	letter
	number
	space
)

func classOf(r rune) class {
	switch {
	case r < utf8.RuneSelf:
		return asciiClass[r]
	case unicode.IsLetter(r):
		return letter
	case unicode.IsNumber(r):
		return number
	case unicode.IsSpace(r):
		return space
	}
	return other
}

var asciiClass = func() (t [utf8.RuneSelf]class) {
	for r := range t {
		switch c := rune(r); {
		case unicode.IsLetter(c):
			t[r] = letter
		case unicode.IsNumber(c):
			t[r] = number
		case unicode.IsSpace(c):
			t[r] = space
		}
	}
	return t
}()

// first returns the class and width of text's first character; width 0 at the end.
func first(text string) (class, int) {
	r, n := utf8.DecodeRuneInString(text)
	if n == 0 {
		return other, 0
	}
	return classOf(r), n
}

// run is the length of the longest prefix of text in which every character has class c.
func run(text string, c class) int {
	n := 0
	for {
		k, w := first(text[n:])
		if w == 0 || k != c {
			return n
		}
		n += w
	}
}

// scanGPT2 is gpt2Pattern.
func scanGPT2(text string) int {
	if text[0] == '\'' {
		for _, s := range [...]string{"s", "t", "re", "ve", "m", "ll", "d"} {
			if strings.HasPrefix(text[1:], s) {
				return 1 + len(s)
			}
		}
	}
	lead := 0
	if text[0] == ' ' {
		lead = 1
	}
	if c, w := first(text[lead:]); w > 0 && c != space { //  ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+
		return lead + run(text[lead:], c)
	}
	return spaces(text)
}

// scanLlama3 is llama3Pattern, and qwen2Pattern with numbers of one digit.
func scanLlama3(text string, digits int) int {
	if n := contraction(text); n > 0 {
		return n
	}
	c, w := first(text)
	// [^\r\n\p{L}\p{N}]?\p{L}+
	if c == letter {
		return run(text, letter)
	}
	if c != number && text[0] != '\r' && text[0] != '\n' {
		if n := run(text[w:], letter); n > 0 {
			return w + n
		}
	}
	if c == number { // \p{N}{1,digits}
		n := w
		for range digits - 1 {
			if c, w := first(text[n:]); w > 0 && c == number {
				n += w
			}
		}
		return n
	}
	lead := 0 //  ?[^\s\p{L}\p{N}]+[\r\n]*
	if text[0] == ' ' {
		lead = 1
	}
	if n := run(text[lead:], other); n > 0 {
		n += lead
		for n < len(text) && (text[n] == '\r' || text[n] == '\n') {
			n++
		}
		return n
	}
	// \s*[\r\n]+
	n := run(text, space)
	if i := strings.LastIndexAny(text[:n], "\r\n"); i >= 0 {
		return i + 1
	}
	return spaces(text)
}

// spaces is \s+(?!\S)|\s+ : white space, leaving its last character to a word that follows.
func spaces(text string) int {
	n := run(text, space)
	if n == len(text) {
		return n
	}
	if _, last := utf8.DecodeLastRuneInString(text[:n]); last < n {
		return n - last
	}
	return n
}

// contraction is (?i:'s|'t|'re|'ve|'m|'ll|'d). U+017F folds to s.
func contraction(text string) int {
	if text[0] != '\'' {
		return 0
	}
	for _, s := range [...]string{"s", "ſ", "t", "re", "ve", "m", "ll", "d"} {
		if len(text) > len(s) && strings.EqualFold(text[1:1+len(s)], s) {
			return 1 + len(s)
		}
	}
	return 0
}

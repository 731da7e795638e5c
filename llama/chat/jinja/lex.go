package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type kind int

const (
	textToken  kind = iota // template text
	beginTag               // {%
	endTag                 // %}
	beginPrint             // {{
	endPrint               // }}
	nameToken
	stringToken
	intToken
	floatToken
	operator
	eof
)

type token struct {
	kind kind
	text string
	line int
}

// lexer cuts a template into tokens. The newline after a tag and the white space before one that begins
// a line are dropped, as trim_blocks and lstrip_blocks ask.
type lexer struct {
	rest   string
	line   int
	tokens []token
	trim   bool // white space at the beginning of rest goes: the last tag ended in -
	atLine bool // rest is at the beginning of a line
}

// lex cuts source into tokens.
func lex(source string) ([]token, error) {
	source = strings.ReplaceAll(strings.ReplaceAll(source, "\r\n", "\n"), "\r", "\n")
	l := &lexer{rest: strings.TrimSuffix(source, "\n"), line: 1, atLine: true}
	for l.rest != "" {
		if err := l.next(); err != nil {
			return nil, err
		}
	}
	l.add(eof, "")
	return l.tokens, nil
}

func (l *lexer) add(k kind, text string) { l.tokens = append(l.tokens, token{k, text, l.line}) }

// skip drops n bytes.
func (l *lexer) skip(n int) {
	l.line += strings.Count(l.rest[:n], "\n")
	l.rest = l.rest[n:]
}

// next lexes the text up to the next tag, and the tag.
func (l *lexer) next() error {
	at := tagStart(l.rest)
	tag := l.rest[at:]
	if at == len(l.rest) {
		l.text(at, "")
		return nil
	}
	l.text(at, tag)
	mark := tag[:2]
	l.skip(2)
	if l.rest != "" && (l.rest[0] == '-' || l.rest[0] == '+') {
		l.skip(1)
	}
	switch mark {
	case "{#":
		end := strings.Index(l.rest, "#}")
		if end < 0 {
			return failAt(l.line, "a comment does not end")
		}
		dash := end > 0 && l.rest[end-1] == '-'
		l.skip(end + 2)
		l.after(dash, true)
		return nil
	case "{{":
		l.add(beginPrint, mark)
		return l.inside("}}", endPrint)
	}
	if raw, ok := l.raw(); ok {
		return raw
	}
	l.add(beginTag, mark)
	return l.inside("%}", endTag)
}

// tagStart is where the next tag begins, or the length of s.
func tagStart(s string) int {
	for i := 0; i+1 < len(s); i++ {
		if s[i] == '{' && (s[i+1] == '{' || s[i+1] == '%' || s[i+1] == '#') {
			return i
		}
	}
	return len(s)
}

// text adds the text before a tag, without the white space that the tags on either side strip.
func (l *lexer) text(n int, tag string) {
	s := l.rest[:n]
	l.skip(n)
	if l.trim {
		s = strings.TrimLeftFunc(s, isSpace)
		l.trim, l.atLine = false, false
	}
	if len(tag) > 2 {
		switch {
		case tag[2] == '-':
			s = strings.TrimRightFunc(s, isSpace)
		case tag[2] != '+' && tag[:2] != "{{": // lstrip_blocks
			kept := strings.TrimRight(s, " \t\f\v")
			if strings.HasSuffix(kept, "\n") || kept == "" && l.atLine {
				s = kept
			}
		}
	}
	if s != "" {
		l.add(textToken, s)
	}
	l.atLine = false
}

// after begins the text after a tag: dash strips white space, and a block loses one newline.
func (l *lexer) after(dash, block bool) {
	l.trim = dash
	l.atLine = false
	if !dash && block && strings.HasPrefix(l.rest, "\n") {
		l.skip(1)
		l.atLine = true
	}
}

// raw takes {% raw %} … {% endraw %} as text.
func (l *lexer) raw() (error, bool) {
	body := strings.TrimLeft(l.rest, " \t\n")
	if !strings.HasPrefix(body, "raw") {
		return nil, false
	}
	body = strings.TrimLeft(body[3:], " \t\n")
	dash := strings.HasPrefix(body, "-")
	body = strings.TrimPrefix(body, "-")
	if !strings.HasPrefix(body, "%}") { // a + is not allowed here
		return nil, false
	}
	l.skip(len(l.rest) - len(body) + 2)
	l.after(dash, true)
	for at := 0; ; at += 2 {
		i := strings.Index(l.rest[at:], "{%")
		if i < 0 {
			return failAt(l.line, "a raw block does not end"), true
		}
		at += i
		end := strings.TrimLeft(strings.TrimLeft(l.rest[at+2:], "-+"), " \t\n")
		if !strings.HasPrefix(end, "endraw") {
			continue
		}
		end = strings.TrimLeft(end[6:], " \t\n")
		dash, plus := strings.HasPrefix(end, "-"), strings.HasPrefix(end, "+")
		if dash || plus {
			end = end[1:]
		}
		if !strings.HasPrefix(end, "%}") {
			continue
		}
		length := len(l.rest) - len(end) + 2
		l.text(at, l.rest[at:])
		l.skip(length - at)
		l.after(dash, !plus)
		return nil, true
	}
}

// operators, the longer first.
var operators = [...]string{"==", "!=", "<=", ">=", "//", "**", "<", ">", "=", "+", "-", "*", "/", "%", "~", "|", ".", ",", ":", "(", ")", "[", "]", "{", "}"}

// inside lexes a tag's expression up to its end.
func (l *lexer) inside(end string, endKind kind) error {
	depth := 0 // open brackets: }} may close two dicts
	for {
		trimmed := strings.TrimLeft(l.rest, " \t\n\f\v")
		l.skip(len(l.rest) - len(trimmed))
		if l.rest == "" {
			return failAt(l.line, "a tag does not end: %s is missing", end)
		}
		if depth == 0 {
			dash := l.rest[0] == '-' && strings.HasPrefix(l.rest[1:], end)
			plus := l.rest[0] == '+' && strings.HasPrefix(l.rest[1:], end)
			if dash || plus || strings.HasPrefix(l.rest, end) {
				n := len(end)
				if dash || plus {
					n++
				}
				l.add(endKind, end)
				l.skip(n)
				l.after(dash, endKind == endTag && !plus)
				return nil
			}
		}
		switch c := l.rest[0]; {
		case c == '"' || c == '\'':
			if err := l.quoted(c); err != nil {
				return err
			}
		case c >= '0' && c <= '9':
			l.number()
		default:
			if n := nameLength(l.rest); n > 0 {
				l.add(nameToken, l.rest[:n])
				l.skip(n)
				continue
			}
			op := ""
			for _, o := range operators {
				if strings.HasPrefix(l.rest, o) {
					op = o
					break
				}
			}
			switch op {
			case "":
				return failAt(l.line, "unexpected %q", l.rest[:min(len(l.rest), 10)])
			case "(", "[", "{":
				depth++
			case ")", "]", "}":
				depth--
			}
			l.add(operator, op)
			l.skip(len(op))
		}
	}
}

// nameLength is the length of the identifier that s begins with.
func nameLength(s string) int {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return i
		}
	}
	return len(s)
}

func (l *lexer) number() {
	n, k := 0, intToken
	digits := func() {
		for n < len(l.rest) && (l.rest[n] >= '0' && l.rest[n] <= '9' || l.rest[n] == '_') {
			n++
		}
	}
	digits()
	if n+1 < len(l.rest) && l.rest[n] == '.' && l.rest[n+1] >= '0' && l.rest[n+1] <= '9' {
		k = floatToken
		n++
		digits()
	}
	if n < len(l.rest) && (l.rest[n] == 'e' || l.rest[n] == 'E') {
		exponent := strings.TrimLeft(l.rest[n+1:min(n+2, len(l.rest))], "+-")
		if skip := 2 - len(exponent); n+skip < len(l.rest) && l.rest[n+skip] >= '0' && l.rest[n+skip] <= '9' {
			k = floatToken
			n += skip
			digits()
		}
	}
	l.add(k, strings.ReplaceAll(l.rest[:n], "_", ""))
	l.skip(n)
}

// escapes are Python's one-character escapes.
var escapes = map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', 'f': '\f', 'v': '\v', 'a': '\a', 'b': '\b', '\\': '\\', '\'': '\'', '"': '"'}

func (l *lexer) quoted(quote byte) error {
	var b strings.Builder
	for i := 1; i < len(l.rest); i++ {
		switch c := l.rest[i]; {
		case c == quote:
			l.add(stringToken, b.String())
			l.skip(i + 1)
			return nil
		case c != '\\' || i+1 == len(l.rest):
			b.WriteByte(c)
		default:
			i++
			n, r := hexEscape(l.rest[i:])
			switch e, ok := escapes[l.rest[i]]; {
			case ok:
				b.WriteByte(e)
			case n > 0:
				b.WriteRune(r)
				i += n - 1
			case l.rest[i] == '\n': // a line goes on
			default:
				b.WriteByte('\\')
				b.WriteByte(l.rest[i])
			}
		}
	}
	return failAt(l.line, "a string does not end")
}

// hexEscape reads x41, u0041 and U00000041; n is 0 for anything else.
func hexEscape(s string) (n int, r rune) {
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[0]]
	if digits == 0 || len(s) <= digits {
		return 0, 0
	}
	for _, c := range []byte(s[1 : 1+digits]) {
		d := strings.IndexByte("0123456789abcdef", c|0x20)
		if c >= '0' && c <= '9' {
			d = int(c - '0')
		}
		if d < 0 {
			return 0, 0
		}
		r = r<<4 | rune(d)
	}
	if !utf8.ValidRune(r) {
		r = utf8.RuneError
	}
	return 1 + digits, r
}

package jinja

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// isSpace is Python's str.isspace: Unicode's white space and four separators that Go leaves out.
func isSpace(r rune) bool { return r >= 0x1c && r <= 0x1f || unicode.IsSpace(r) }

// upper and lower are Python's: they know of the characters that become several, and of the final sigma.
// A caser has state, so each call has its own.
func upper(t string) string { return cases.Upper(language.Und).String(t) }
func lower(t string) string { return cases.Lower(language.Und).String(t) }

// widest bounds the width that a template pads to.
const widest = 1 << 20

// printf is Python's format % values, for the conversions s, r, d, i, x, f and %.
func (s *state) printf(format string, values any) string {
	given := []any{values}
	if l, ok := values.(*list); ok && l.tuple {
		given = l.items
	}
	next := 0
	var b strings.Builder
	for {
		i := strings.IndexByte(format, '%')
		if i < 0 {
			break
		}
		b.WriteString(format[:i])
		format = format[i+1:]
		flags := format[:len(format)-len(strings.TrimLeft(format, "-+0 "))]
		format = format[len(flags):]
		width, rest := leadingNumber(format)
		precision := -1
		if strings.HasPrefix(rest, ".") {
			precision, rest = leadingNumber(rest[1:])
		}
		if rest == "" || width > widest || precision > widest {
			s.fail("%q is not a format that is supported", format)
		}
		conversion := rest[0]
		format = rest[1:]
		if conversion == '%' {
			b.WriteByte('%')
			continue
		}
		if next == len(given) {
			s.fail("a format of more than the %d values that are given", len(given))
		}
		text := s.convert(conversion, given[next], flags, precision)
		next++
		b.WriteString(padded(s, text, flags, width))
	}
	_, isDict := values.(*dict)
	if next < len(given) && !isDict {
		s.fail("a format of fewer than the %d values that are given", len(given))
	}
	return s.text(b.String() + format)
}

// leadingNumber reads the digits that t begins with; 0 without any.
func leadingNumber(t string) (n int, rest string) {
	rest = strings.TrimLeft(t, "0123456789")
	n, err := strconv.Atoi(t[:len(t)-len(rest)])
	if err != nil && rest != t {
		n = widest + 1
	}
	return n, rest
}

// convert writes one value of a format, without its padding.
func (s *state) convert(conversion byte, v any, flags string, precision int) string {
	text := ""
	switch conversion {
	case 's', 'r':
		if text = s.str(v); conversion == 'r' {
			text = s.repr(v, 0)
		}
		if precision >= 0 && precision < utf8.RuneCountInString(text) {
			text = string([]rune(text)[:precision])
		}
		return text
	case 'd', 'i', 'x':
		i, ok := integer(v)
		if f, isFloat := v.(float64); isFloat && conversion != 'x' && f > -1<<62 && f < 1<<62 {
			i, ok = int64(f), true
		}
		if !ok || precision >= 0 {
			s.fail("%%%c of %s", conversion, typeName(v))
		}
		if text = strconv.FormatInt(i, 10); conversion == 'x' {
			text = strconv.FormatInt(i, 16)
		}
	case 'f':
		f, _, ok := number(v)
		if !ok {
			s.fail("%%f of %s", typeName(v))
		}
		if precision < 0 {
			precision = 6
		}
		s.grow(precision)
		text = strconv.FormatFloat(f, 'f', precision, 64)
	default:
		s.fail("the conversion %%%c is not supported", conversion)
	}
	switch {
	case strings.HasPrefix(text, "-"):
	case strings.Contains(flags, "+"):
		text = "+" + text
	case strings.Contains(flags, " "):
		text = " " + text
	}
	return text
}

// padded fills a converted value up to a width.
func padded(s *state, text, flags string, width int) string {
	missing := width - utf8.RuneCountInString(text)
	if missing <= 0 {
		return text
	}
	s.grow(missing)
	switch {
	case strings.Contains(flags, "-"):
		return text + strings.Repeat(" ", missing)
	case strings.Contains(flags, "0"):
		return zeros(text, missing)
	}
	return strings.Repeat(" ", missing) + text
}

// zeros puts n zeros between a number's sign and its digits.
func zeros(text string, n int) string {
	sign := len(text) - len(strings.TrimLeft(text, "+-"))
	sign = min(sign, 1)
	return text[:sign] + strings.Repeat("0", n) + text[sign:]
}

// aligned is str.ljust, rjust, center and zfill.
func (s *state) aligned(how, text string, width int64, fill string) string {
	if utf8.RuneCountInString(fill) != 1 {
		s.fail("%s: the fill character is %q", how, fill)
	}
	n := int(min(width, widest+1)) - utf8.RuneCountInString(text)
	if width > widest {
		s.fail("%s to a width of %d", how, width)
	}
	if n <= 0 {
		return text
	}
	s.grow(len(text) + n*len(fill))
	left := 0
	switch how {
	case "zfill":
		return zeros(text, n)
	case "rjust":
		left = n
	case "center": // the odd one goes left where the width is odd
		left = n/2 + n&int(width)&1
	}
	return strings.Repeat(fill, left) + text + strings.Repeat(fill, n-left)
}

// splitLines is str.splitlines.
func (s *state) splitLines(t string, keepEnds bool) []string {
	var lines []string
	start := 0
	for i := 0; i < len(t); {
		r, n := utf8.DecodeRuneInString(t[i:])
		end := i
		i += n
		switch r {
		case '\r':
			if strings.HasPrefix(t[i:], "\n") {
				i++
			}
		case '\n', '\v', '\f', 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029:
		default:
			continue
		}
		if keepEnds {
			end = i
		}
		s.grow(16)
		lines = append(lines, t[start:end])
		start = i
	}
	if start < len(t) {
		lines = append(lines, t[start:])
	}
	return lines
}

// indented is Jinja's indent filter.
func (s *state) indented(t string, g given) string {
	by := ""
	if v, ok := g.arg(0, "width"); ok {
		if text, isText := v.(string); isText {
			by = text
		} else {
			n := g.int(0, "width", 4)
			s.growTimes(1, max(n, 0))
			by = strings.Repeat(" ", int(max(n, 0)))
		}
	} else {
		by = "    "
	}
	first, blank := g.flag(1, "first"), g.flag(2, "blank")
	lines := s.splitLines(t+"\n", false)
	s.grow(len(t) + len(lines)*(len(by)+1))
	for i, line := range lines {
		if i > 0 && (blank || line != "") || i == 0 && first {
			lines[i] = by + line
		}
	}
	return strings.Join(lines, "\n")
}

// formatFilter is Jinja's format filter, with values by place.
func (s *state) formatFilter(v any, g given) string {
	if len(g.named) > 0 {
		s.fail("format by names is not supported")
	}
	return s.printf(s.str(v), s.tuple(g.positional...))
}

// batches is Jinja's batch filter.
func (s *state) batches(v any, g given) *list {
	n := g.int(0, "linecount", 0)
	if n <= 0 {
		s.fail("batch by %d", n)
	}
	fill, filled := g.arg(1, "fill_with")
	var out []any
	items := s.iterate(v)
	for from := 0; from < len(items); from += int(n) {
		s.step()
		line := append([]any(nil), items[from:min(int64(len(items)), int64(from)+n)]...)
		if filled && fill != nil && int64(len(line)) < n {
			s.growTimes(16, n)
			for int64(len(line)) < n {
				line = append(line, fill)
			}
		}
		out = append(out, s.list(line))
		if n > int64(len(items)) {
			break
		}
	}
	return s.list(out)
}

// words counts the words of a text, for the filter wordcount: runs of letters, digits and underscores.
func words(t string) int64 {
	n, inside := int64(0), false
	for _, r := range t {
		in := r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r)
		if in && !inside {
			n++
		}
		inside = in
	}
	return n
}

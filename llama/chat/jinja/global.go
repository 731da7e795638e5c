package jinja

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// globalNamed returns a function that every template has, or nil.
func globalNamed(name string) any {
	var do func(g given) any
	switch name {
	case "raise_exception":
		do = func(g given) any {
			g.s.fail("it refuses the dialogue: %s", g.text(0, "message", ""))
			return nil
		}
	case "strftime_now":
		do = func(g given) any { return g.s.strftime(g.text(0, "format", "")) }
	case "namespace":
		do = func(g given) any {
			ns := &namespace{values: make(map[string]any)}
			if len(g.positional) > 0 {
				if d, ok := g.positional[0].(*dict); ok {
					for k, v := range d.values {
						ns.values[k] = v
					}
				}
			}
			for k, v := range g.named {
				ns.values[k] = v
			}
			g.s.grow(32 * len(ns.values))
			return ns
		}
	case "dict":
		do = func(g given) any {
			d := &dict{values: make(map[string]any)}
			names := make([]string, 0, len(g.named))
			for k := range g.named {
				names = append(names, k)
			}
			for _, k := range sorted(names) {
				d.set(k, g.named[k])
			}
			return d
		}
	case "range":
		do = rangeOf
	default:
		return nil
	}
	return method(name, do)
}

// rangeOf is range(stop) and range(start, stop, step). Jinja's sandbox allows 100,000 items.
func rangeOf(g given) any {
	const most = 100_000
	start, stop, step := int64(0), g.int(0, "stop", 0), int64(1)
	if len(g.positional) > 1 {
		start, stop, step = stop, g.int(1, "stop", 0), g.int(2, "step", 1)
	}
	if step == 0 {
		g.s.fail("range with the step 0")
	}
	if d := (float64(stop) - float64(start)) / float64(step); d > most {
		g.s.fail("a range of more than %d numbers", most)
	}
	var items []any
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		g.s.step()
		items = append(items, i)
	}
	return g.s.list(items)
}

// strftime writes the time by C's conversions, as far as templates use them.
func (s *state) strftime(format string) string {
	now := s.now()
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		b.WriteString(s.conversion(now, format[i]))
	}
	return s.text(b.String())
}

func (s *state) conversion(t time.Time, c byte) string {
	layouts := map[byte]string{
		'd': "02", 'b': "Jan", 'B': "January", 'Y': "2006", 'y': "06", 'm': "01", 'H': "15", 'I': "03", 'M': "04",
		'S': "05", 'p': "PM", 'A': "Monday", 'a': "Mon", 'Z': "MST", 'z': "-0700", 'F': "2006-01-02", 'T': "15:04:05",
		'e': "_2", 'j': "002", 'f': "000000",
	}
	switch layout, ok := layouts[c]; {
	case c == '%':
		return "%"
	case c == 'f':
		return t.Format(".000000")[1:]
	case ok:
		return t.Format(layout)
	}
	s.fail("strftime_now: %%%c is not supported", c)
	return ""
}

// toJSON is json.dumps as transformers calls it: nothing is escaped for HTML, nor is what is not ASCII
// unless ensure_ascii asks for it; a space follows each comma and colon.
func (s *state) toJSON(v any, g given) string {
	w := jsonWriter{s: s, ascii: g.flag(0, "ensure_ascii"), sort: g.flag(3, "sort_keys"), indent: -1, comma: ", ", colon: ": "}
	if n, ok := g.arg(1, "indent"); ok && n != nil {
		w.indent = int(min(g.int(1, "indent", 0), 64))
		w.comma = ","
	}
	if l, ok := g.named["separators"].(*list); ok && len(l.items) == 2 {
		w.comma, w.colon = s.str(l.items[0]), s.str(l.items[1])
	}
	w.write(v, 0)
	return s.text(w.b.String())
}

type jsonWriter struct {
	s            *state
	b            strings.Builder
	ascii, sort  bool
	indent       int // -1 for one line
	comma, colon string
}

func (w *jsonWriter) write(v any, depth int) {
	w.s.step()
	if depth > maxNest {
		w.s.fail("tojson: a value is nested more than %d deep", maxNest)
	}
	switch v := v.(type) {
	case nil:
		w.b.WriteString("null")
	case bool:
		w.b.WriteString(strconv.FormatBool(v))
	case int64:
		w.b.WriteString(strconv.FormatInt(v, 10))
	case float64:
		w.b.WriteString(floatText(v))
	case string:
		w.text(v)
	case *list:
		w.many("[", "]", len(v.items), depth, func(i int) { w.write(v.items[i], depth+1) })
	case *dict:
		keys := v.keys
		if w.sort {
			keys = sorted(keys)
		}
		w.many("{", "}", len(keys), depth, func(i int) {
			w.text(keys[i])
			w.b.WriteString(w.colon)
			w.write(v.values[keys[i]], depth+1)
		})
	default:
		w.s.fail("tojson of %s", typeName(v))
	}
	w.s.grow(16)
}

func (w *jsonWriter) many(open, end string, n, depth int, item func(i int)) {
	w.b.WriteString(open)
	line := func(depth int) {
		if w.indent >= 0 {
			w.s.grow(depth * w.indent)
			w.b.WriteString("\n" + strings.Repeat(" ", depth*w.indent))
		}
	}
	for i := range n {
		if i > 0 {
			w.b.WriteString(w.comma)
		}
		line(depth + 1)
		item(i)
	}
	if n > 0 {
		line(depth)
	}
	w.b.WriteString(end)
}

func (w *jsonWriter) text(t string) {
	w.s.grow(len(t))
	short := map[rune]string{'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`}
	w.b.WriteByte('"')
	for _, r := range t {
		switch e, ok := short[r]; {
		case ok:
			w.b.WriteString(e)
		case r < ' ' || w.ascii && r >= utf8.RuneSelf && r < 0x10000:
			w.unit(r)
		case w.ascii && r >= 0x10000:
			w.unit(0xD800 + (r-0x10000)>>10)
			w.unit(0xDC00 + (r-0x10000)&0x3FF)
		default:
			w.b.WriteRune(r)
		}
	}
	w.b.WriteByte('"')
}

// unit writes a UTF-16 code unit as an escape.
func (w *jsonWriter) unit(r rune) {
	const digits = "0123456789abcdef"
	w.b.WriteString(`\u`)
	for shift := 12; shift >= 0; shift -= 4 {
		w.b.WriteByte(digits[r>>shift&15])
	}
}

func sorted(keys []string) []string { return slices.Sorted(slices.Values(keys)) }

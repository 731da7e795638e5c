package jinja

import (
	"math"
	"strconv"
	"strings"
)

// choose is select, reject, selectattr and rejectattr.
func (s *state) choose(v any, g given, byAttribute, keep bool) any {
	rest := g.positional
	var path any
	if byAttribute {
		if len(rest) == 0 {
			s.fail("%s without an attribute", g.name)
		}
		path, rest = rest[0], rest[1:]
	}
	check := func(v any) bool { return truth(v) }
	if len(rest) > 0 {
		name, _ := rest[0].(string)
		t := testNamed(name)
		if t == nil {
			s.fail("the test %q is not supported", name)
		}
		check = func(v any) bool { return t(s, v, given{s, name, rest[1:], g.named}) }
	}
	var out []any
	for _, item := range s.iterate(v) {
		s.step()
		of := item
		if byAttribute {
			of = s.path(item, path)
		}
		if check(of) == keep {
			out = append(out, item)
		}
	}
	return s.list(out)
}

// path follows an attribute with dots.
func (s *state) path(v, attribute any) any {
	if i, ok := integer(attribute); ok {
		return subscript{literal{v}, literal{i}}.eval(s)
	}
	name, ok := attribute.(string)
	if !ok {
		s.fail("an attribute that is %s", typeName(attribute))
	}
	for _, part := range strings.Split(name, ".") {
		v = subscript{literal{v}, literal{part}}.eval(s)
	}
	return v
}

func (s *state) join(items []any, by string, of func(any) any) string {
	var b strings.Builder
	for i, item := range items {
		t := s.str(of(item))
		s.grow(len(t) + len(by))
		if i > 0 {
			b.WriteString(by)
		}
		b.WriteString(t)
	}
	return b.String()
}

// items is a dict as a list of pairs.
func (s *state) items(d *dict) *list {
	out := make([]any, len(d.keys))
	for i, k := range d.keys {
		out[i] = s.tuple(k, d.values[k])
	}
	return s.list(out)
}

func (s *state) replace(text, old, by string, count int64) string {
	n := int64(strings.Count(text, old))
	if count >= 0 {
		n = min(n, count)
	}
	s.growTimes(len(by), n)
	s.grow(len(text))
	return strings.Replace(text, old, by, int(n))
}

func toInt(_ *state, v any, g given) any {
	if i, ok := integer(v); ok {
		return i
	}
	if f, ok := v.(float64); ok && math.Abs(f) < 1<<62 {
		return int64(f)
	}
	if t, ok := v.(string); ok {
		if i, err := strconv.ParseInt(strings.TrimSpace(t), 10, 64); err == nil {
			return i
		}
	}
	if other, ok := g.arg(0, "default"); ok {
		return other
	}
	return int64(0)
}

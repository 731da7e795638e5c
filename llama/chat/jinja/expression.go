package jinja

import (
	"strings"
	"unicode/utf8"
)

// expression is a node of a template that has a value.
type expression interface {
	eval(s *state) any
}

func (s *state) eval(e expression) any {
	s.step()
	return e.eval(s)
}

type literal struct{ value any }

func (l literal) eval(*state) any { return l.value }

type variable string

func (v variable) eval(s *state) any {
	if value, ok := s.scope.lookup(string(v)); ok {
		return value
	}
	if f := globalNamed(string(v)); f != nil && (v != "strftime_now" || s.now != nil) {
		return f
	}
	return undefined{string(v)}
}

type listExpression []expression

func (l listExpression) eval(s *state) any {
	items := make([]any, len(l))
	for i, e := range l {
		items[i] = s.eval(e)
	}
	return s.list(items)
}

type tupleExpression []expression

func (t tupleExpression) eval(s *state) any {
	l := listExpression(t).eval(s).(*list)
	l.tuple = true
	return l
}

type dictExpression [][2]expression

func (d dictExpression) eval(s *state) any {
	out := &dict{values: make(map[string]any, len(d))}
	s.grow(32 * len(d))
	for _, item := range d {
		key, ok := s.eval(item[0]).(string)
		if !ok {
			s.fail("a dict's key is no string")
		}
		out.set(key, s.eval(item[1]))
	}
	return out
}

type ternary struct{ then, condition, otherwise expression }

func (t ternary) eval(s *state) any {
	if truth(s.eval(t.condition)) {
		return s.eval(t.then)
	}
	if t.otherwise == nil {
		return undefined{"the inline if"}
	}
	return s.eval(t.otherwise)
}

type attribute struct {
	of   expression
	name string
}

func (a attribute) eval(s *state) any { return s.attribute(s.eval(a.of), a.name) }

// attribute is v.name: a method, else an entry.
func (s *state) attribute(v any, name string) any {
	switch v := v.(type) {
	case *dict:
		if m := dictMethod(v, name); m != nil {
			return m
		}
		if value, ok := v.values[name]; ok {
			return value
		}
	case *namespace:
		if value, ok := v.values[name]; ok {
			return value
		}
	case *loop:
		return v.attribute(name)
	case string:
		if m := stringMethod(v, name); m != nil {
			return m
		}
	case *list:
		if m := listMethod(v, name); m != nil {
			return m
		}
	case undefined:
		s.fail("%q is undefined, and its %q is asked for", v.name, name)
	}
	return undefined{name}
}

func (l *loop) attribute(name string) any {
	n, i := int64(len(l.items)), int64(l.index)
	switch name {
	case "index":
		return i + 1
	case "index0":
		return i
	case "first":
		return i == 0
	case "last":
		return i == n-1
	case "length":
		return n
	case "revindex":
		return n - i
	case "revindex0":
		return n - i - 1
	case "depth": // counts recursive loops alone, and there are none here
		return int64(1)
	case "depth0":
		return int64(0)
	case "previtem":
		if i > 0 {
			return l.items[i-1]
		}
	case "nextitem":
		if i < n-1 {
			return l.items[i+1]
		}
	case "cycle":
		return function(func(s *state, values []any, _ map[string]any) any {
			if len(values) == 0 {
				s.fail("loop.cycle without values")
			}
			return values[l.index%len(values)]
		})
	case "changed":
		return function(func(s *state, values []any, _ map[string]any) any {
			now := &list{items: values}
			changed := !l.seen || !s.equal(l.last, now)
			l.last, l.seen = now, true
			return changed
		})
	}
	return undefined{"loop." + name}
}

type subscript struct{ of, index expression }

func (b subscript) eval(s *state) any {
	v, index := s.eval(b.of), s.eval(b.index)
	if i, ok := integer(index); ok {
		switch v := v.(type) {
		case *list:
			if i < 0 {
				i += int64(len(v.items))
			}
			if i >= 0 && i < int64(len(v.items)) {
				return v.items[i]
			}
			return undefined{"an item outside a list"}
		case string:
			r := []rune(s.text(v))
			if i < 0 {
				i += int64(len(r))
			}
			if i >= 0 && i < int64(len(r)) {
				return string(r[i])
			}
			return undefined{"a character outside a string"}
		}
	}
	key, ok := index.(string)
	if !ok {
		if u, bad := v.(undefined); bad {
			s.fail("%q is undefined, and an item of it is asked for", u.name)
		}
		return undefined{"an item"}
	}
	if d, ok := v.(*dict); ok { // entries before methods
		if value, ok := d.values[key]; ok {
			return value
		}
	}
	return s.attribute(v, key)
}

type slicing struct {
	of    expression
	parts [3]expression
}

func (b slicing) eval(s *state) any {
	v := s.eval(b.of)
	var items []any
	text, isText := v.(string)
	tuple := false
	switch v := v.(type) {
	case *list:
		items, tuple = v.items, v.tuple
	case string:
		if b.parts[2] == nil && isASCII(v) { // the common case, without a list of characters
			from, to, _ := b.bounds(s, len(v))
			if from >= to {
				return ""
			}
			return v[from:to]
		}
		items = s.iterate(v)
	default:
		s.fail("a slice of %s", typeName(v))
	}
	from, to, by := b.bounds(s, len(items))
	var out []any
	for i := from; by > 0 && i < to || by < 0 && i > to; i += by {
		s.step()
		out = append(out, items[i])
	}
	switch {
	case tuple:
		return s.tuple(out...)
	case !isText:
		return s.list(out)
	}
	s.grow(len(text))
	var t strings.Builder
	for _, c := range out {
		t.WriteString(c.(string))
	}
	return t.String()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// bounds are Python's slice.indices(n).
func (b slicing) bounds(s *state, n int) (from, to, by int) {
	part := func(e expression, low, high, absent int) int {
		if e == nil {
			return absent
		}
		v := s.eval(e)
		if v == nil {
			return absent
		}
		i, ok := integer(v)
		if !ok {
			s.fail("a slice by %s", typeName(v))
		}
		if i < 0 {
			i = max(i+int64(n), int64(low))
		}
		return int(min(max(i, int64(low)), int64(high)))
	}
	by = 1
	if b.parts[2] != nil {
		if v := s.eval(b.parts[2]); v != nil {
			i, ok := integer(v)
			if !ok || i == 0 || i > 1<<30 || i < -1<<30 {
				s.fail("a slice with the step %s", s.str(v))
			}
			by = int(i)
		}
	}
	if by > 0 {
		return part(b.parts[0], 0, n, 0), part(b.parts[1], 0, n, n), by
	}
	return part(b.parts[0], -1, n-1, n-1), part(b.parts[1], -1, n-1, -1), by
}

type arguments struct {
	positional []expression
	names      []string
	named      []expression
}

func (a arguments) eval(s *state) (positional []any, named map[string]any) {
	for _, e := range a.positional {
		positional = append(positional, s.eval(e))
	}
	if len(a.names) > 0 {
		named = make(map[string]any, len(a.names))
		for i, name := range a.names {
			named[name] = s.eval(a.named[i])
		}
	}
	return positional, named
}

type call struct {
	of        expression
	arguments arguments
}

func (c call) eval(s *state) any {
	callee := s.eval(c.of)
	f, ok := callee.(function)
	if !ok {
		s.fail("%s is called", typeName(callee))
	}
	positional, named := c.arguments.eval(s)
	return f(s, positional, named)
}

type filterExpression struct {
	of        expression
	name      string
	arguments arguments
}

func (f filterExpression) eval(s *state) any {
	v := s.eval(f.of)
	positional, named := f.arguments.eval(s)
	return filterNamed(f.name)(s, v, given{s, f.name, positional, named})
}

type testExpression struct {
	of        expression
	name      string
	arguments arguments
}

func (t testExpression) eval(s *state) any {
	v := s.eval(t.of)
	positional, named := t.arguments.eval(s)
	return testNamed(t.name)(s, v, given{s, t.name, positional, named})
}

package jinja

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A value is nil (none), bool, int64, float64, string, *list, *dict, *namespace, *loop, function or
// undefined. Lists and dicts are never changed: the sandbox is the immutable one.
type (
	list struct {
		items []any
		tuple bool // differs where it is printed or compared
	}
	dict struct {
		keys   []string
		values map[string]any
	}
	namespace struct{ values map[string]any }
	undefined struct{ name string }
	function  func(s *state, positional []any, named map[string]any) any
)

// lift turns what Go code passes into a value.
func (s *state) lift(v any) any {
	switch v := v.(type) {
	case nil, bool, int64, float64, string:
		return v
	case int:
		return int64(v)
	case []any:
		items := make([]any, len(v))
		for i := range v {
			items[i] = s.lift(v[i])
		}
		return &list{items: items}
	case Dict:
		d := &dict{values: make(map[string]any, len(v))}
		for _, item := range v {
			d.set(item.Key, s.lift(item.Value))
		}
		return d
	}
	s.fail("a variable of type %T", v)
	return nil
}

func (d *dict) set(key string, value any) {
	if _, ok := d.values[key]; !ok {
		d.keys = append(d.keys, key)
	}
	d.values[key] = value
}

// truth is Python's bool().
func truth(v any) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case *list:
		return len(v.items) > 0
	case *dict:
		return len(v.keys) > 0
	}
	return true
}

// typeName is what errors call a value.
func typeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case bool:
		return "a boolean"
	case int64, float64:
		return "a number"
	case string:
		return "a string"
	case *list:
		return "a list"
	case *dict:
		return "a dict"
	case undefined:
		return fmt.Sprintf("%q, which is undefined,", v.name)
	case function:
		return "a function"
	}
	return "an object"
}

// str is Python's str(), which printing applies.
func (s *state) str(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case undefined:
		return ""
	case *list, *dict:
		return s.repr(v, 0)
	}
	return s.repr(v, 0)
}

// repr is Python's repr().
func (s *state) repr(v any, depth int) string {
	s.step()
	if depth > maxNest {
		s.fail("a value is nested more than %d deep", maxNest)
	}
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return floatText(v)
	case string:
		return s.text(quote(v))
	case *list:
		var b strings.Builder
		for i, item := range v.items {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(s.repr(item, depth+1))
		}
		if !v.tuple {
			return s.text("[" + b.String() + "]")
		}
		if len(v.items) == 1 {
			b.WriteString(",")
		}
		return s.text("(" + b.String() + ")")
	case *dict:
		var b strings.Builder
		for i, key := range v.keys {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(quote(key) + ": " + s.repr(v.values[key], depth+1))
		}
		return s.text("{" + b.String() + "}")
	case undefined:
		return "Undefined"
	}
	return "<object>"
}

// quote is Python's repr of a string.
func quote(v string) string {
	q := "'"
	if strings.Contains(v, "'") && !strings.Contains(v, `"`) {
		q = `"`
	}
	return q + strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\t", `\t`, "\r", `\r`, q, `\`+q).Replace(v) + q
}

// floatText is Python's repr of a float.
func floatText(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	t := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(t, ".") {
		t += ".0"
	}
	return t
}

// number returns v as a float64; ok is false if it is no number. Booleans are numbers, as in Python.
func number(v any) (f float64, isInt, ok bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true, true
	case float64:
		return v, false, true
	case bool:
		if v {
			return 1, true, true
		}
		return 0, true, true
	}
	return 0, false, false
}

// integer returns v as an int64.
func integer(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// equal is Python's ==.
func (s *state) equal(a, b any) bool {
	s.step()
	if x, _, ok := number(a); ok {
		y, _, ok := number(b)
		return ok && x == y
	}
	switch a := a.(type) {
	case nil:
		return b == nil
	case string:
		b, ok := b.(string)
		return ok && a == b
	case undefined:
		_, ok := b.(undefined)
		return ok
	case *list:
		b, ok := b.(*list)
		if !ok || a.tuple != b.tuple || len(a.items) != len(b.items) {
			return false
		}
		for i := range a.items {
			if !s.equal(a.items[i], b.items[i]) {
				return false
			}
		}
		return true
	case *dict:
		b, ok := b.(*dict)
		if !ok || len(a.keys) != len(b.keys) {
			return false
		}
		for _, k := range a.keys {
			v, ok := b.values[k]
			if !ok || !s.equal(a.values[k], v) {
				return false
			}
		}
		return true
	case *namespace:
		return any(a) == b
	}
	return false
}

// compare orders two numbers, strings or lists, as Python's < does.
func (s *state) compare(a, b any) int {
	s.step()
	x, _, ok1 := number(a)
	y, _, ok2 := number(b)
	if ok1 && ok2 {
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}
	switch l := a.(type) {
	case string:
		if r, ok := b.(string); ok {
			return strings.Compare(l, r)
		}
	case *list:
		if r, ok := b.(*list); ok {
			for i := 0; i < min(len(l.items), len(r.items)); i++ {
				if c := s.compare(l.items[i], r.items[i]); c != 0 {
					return c
				}
			}
			return len(l.items) - len(r.items)
		}
	}
	s.fail("%s is not comparable with %s", typeName(a), typeName(b))
	return 0
}

// contains is Python's in.
func (s *state) contains(container, v any) bool {
	s.step()
	switch c := container.(type) {
	case string:
		t, ok := v.(string)
		if !ok {
			s.fail("%s in a string", typeName(v))
		}
		return strings.Contains(c, t)
	case *list:
		for _, item := range c.items {
			if s.equal(item, v) {
				return true
			}
		}
		return false
	case *dict:
		key, ok := v.(string)
		if ok {
			_, ok = c.values[key]
		}
		return ok
	case undefined:
		return false
	}
	s.fail("%s cannot hold anything", typeName(container))
	return false
}

// iterate returns the items that a loop over v goes through.
func (s *state) iterate(v any) []any {
	switch v := v.(type) {
	case *list:
		return v.items
	case *dict:
		s.grow(16 * len(v.keys))
		items := make([]any, len(v.keys))
		for i, k := range v.keys {
			items[i] = k
		}
		return items
	case string:
		s.grow(16 * len(v))
		items := make([]any, 0, len(v))
		for _, r := range v {
			items = append(items, string(r))
		}
		return items
	case undefined:
		return nil
	}
	s.fail("%s cannot be looped over", typeName(v))
	return nil
}

// length is Python's len().
func (s *state) length(v any) int64 {
	switch v := v.(type) {
	case string:
		return int64(utf8.RuneCountInString(v))
	case *list:
		return int64(len(v.items))
	case *dict:
		return int64(len(v.keys))
	case undefined:
		return 0
	}
	s.fail("%s has no length", typeName(v))
	return 0
}

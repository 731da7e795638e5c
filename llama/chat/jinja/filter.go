package jinja

import (
	"html"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// given are the arguments of a filter, a test or a method.
type given struct {
	s          *state
	name       string
	positional []any
	named      map[string]any
}

// arg returns the argument at a place or by a name.
func (g given) arg(i int, name string) (any, bool) {
	if i < len(g.positional) {
		return g.positional[i], true
	}
	v, ok := g.named[name]
	return v, ok
}

// text returns an argument that must be a string.
func (g given) text(i int, name, absent string) string {
	v, ok := g.arg(i, name)
	if !ok || v == nil {
		return absent
	}
	t, ok := v.(string)
	if !ok {
		g.s.fail("%s: its argument %s is %s", g.name, name, typeName(v))
	}
	return t
}

// int returns an argument that must be an integer.
func (g given) int(i int, name string, absent int64) int64 {
	v, ok := g.arg(i, name)
	if !ok || v == nil {
		return absent
	}
	n, ok := integer(v)
	if !ok {
		g.s.fail("%s: its argument %s is %s", g.name, name, typeName(v))
	}
	return n
}

func (g given) flag(i int, name string) bool {
	v, _ := g.arg(i, name)
	return truth(v)
}

type filter func(s *state, v any, g given) any

// stringFilters map text to text.
func stringFilter(name string) func(string) string {
	switch name {
	case "upper":
		return upper
	case "lower":
		return lower
	case "capitalize":
		return capitalize
	case "title":
		return titleWords
	case "escape", "e":
		return html.EscapeString
	}
	return nil
}

func capitalize(t string) string {
	_, n := utf8.DecodeRuneInString(t)
	return titleRune(t[:n]) + lower(t[n:])
}

// filterNamed returns a filter, or nil.
func filterNamed(name string) filter {
	if f := stringFilter(name); f != nil {
		return func(s *state, v any, _ given) any { return s.text(f(s.str(v))) }
	}
	switch name {
	case "trim":
		return func(s *state, v any, g given) any { return stripped(s.str(v), g, 0, true, true) }
	case "string":
		return func(s *state, v any, _ given) any { return s.str(v) }
	case "indent":
		return func(s *state, v any, g given) any { return s.indented(s.str(v), g) }
	case "center":
		return func(s *state, v any, g given) any { return s.aligned("center", s.str(v), g.int(0, "width", 80), " ") }
	case "format":
		return func(s *state, v any, g given) any { return s.formatFilter(v, g) }
	case "wordcount":
		return func(s *state, v any, _ given) any { return words(s.str(v)) }
	case "safe":
		return func(_ *state, v any, _ given) any { return v }
	case "tojson":
		return func(s *state, v any, g given) any { return s.toJSON(v, g) }
	case "replace":
		return func(s *state, v any, g given) any {
			return s.replace(s.str(v), g.text(0, "old", ""), g.text(1, "new", ""), g.int(2, "count", -1))
		}
	case "default", "d":
		return func(_ *state, v any, g given) any {
			_, missing := v.(undefined)
			if missing || g.flag(1, "boolean") && !truth(v) {
				if other, ok := g.arg(0, "default_value"); ok {
					return other
				}
				return ""
			}
			return v
		}
	case "length", "count":
		return func(s *state, v any, _ given) any { return s.length(v) }
	case "int":
		return toInt
	case "float":
		return func(_ *state, v any, g given) any {
			if f, _, ok := number(v); ok {
				return f
			}
			if t, ok := v.(string); ok {
				if f, err := strconv.ParseFloat(strings.TrimSpace(t), 64); err == nil {
					return f
				}
			}
			if other, ok := g.arg(0, "default"); ok {
				return other
			}
			return 0.0
		}
	case "abs":
		return func(s *state, v any, _ given) any {
			if i, ok := integer(v); ok {
				return max(i, -i)
			}
			f, _, ok := number(v)
			if !ok {
				s.fail("abs of %s", typeName(v))
			}
			return math.Abs(f)
		}
	case "round":
		return func(s *state, v any, g given) any {
			f, isInt, ok := number(v)
			if !ok {
				s.fail("round of %s", typeName(v))
			}
			precision := int(min(max(g.int(0, "precision", 0), -400), 400))
			scale := math.Pow(10, float64(precision))
			switch g.text(1, "method", "common") {
			case "ceil":
				return math.Ceil(f*scale) / scale
			case "floor":
				return math.Floor(f*scale) / scale
			}
			i, _ := integer(v)
			switch rounded := math.RoundToEven(f*scale) / scale; {
			case isInt && precision >= 0:
				return i
			case isInt:
				return int64(rounded)
			case precision < 0:
				return rounded
			}
			// By the decimal that the number is, as Python does.
			f, _ = strconv.ParseFloat(strconv.FormatFloat(f, 'f', precision, 64), 64)
			return f
		}
	}
	return listFilter(name)
}

// listFilter returns a filter of lists, or nil.
func listFilter(name string) filter {
	switch name {
	case "list":
		return func(s *state, v any, _ given) any { return s.list(slices.Clone(s.iterate(v))) }
	case "batch":
		return func(s *state, v any, g given) any { return s.batches(v, g) }
	case "items":
		return func(s *state, v any, _ given) any {
			if _, ok := v.(undefined); ok {
				return s.list(nil)
			}
			d, ok := v.(*dict)
			if !ok {
				s.fail("items of %s", typeName(v))
			}
			return s.items(d)
		}
	case "dictsort":
		return func(s *state, v any, _ given) any {
			d, ok := v.(*dict)
			if !ok {
				s.fail("dictsort of %s", typeName(v))
			}
			sorted := s.items(d)
			sort.SliceStable(sorted.items, func(i, j int) bool {
				s.step()
				key := func(i int) string { return strings.ToLower(sorted.items[i].(*list).items[0].(string)) }
				return key(i) < key(j)
			})
			return sorted
		}
	case "first":
		return func(s *state, v any, _ given) any {
			if items := s.iterate(v); len(items) > 0 {
				return items[0]
			}
			return undefined{"the first of nothing"}
		}
	case "last":
		return func(s *state, v any, _ given) any {
			if items := s.iterate(v); len(items) > 0 {
				return items[len(items)-1]
			}
			return undefined{"the last of nothing"}
		}
	case "join":
		return func(s *state, v any, g given) any {
			attribute, byAttribute := g.arg(1, "attribute")
			return s.join(s.iterate(v), g.text(0, "d", ""), func(item any) any {
				if byAttribute {
					return s.path(item, attribute)
				}
				return item
			})
		}
	case "reverse":
		return func(s *state, v any, _ given) any {
			items := slices.Clone(s.iterate(v))
			slices.Reverse(items)
			if _, ok := v.(string); ok {
				return s.join(items, "", func(item any) any { return item })
			}
			return s.list(items)
		}
	case "sort":
		return func(s *state, v any, g given) any {
			attribute, byAttribute := g.arg(2, "attribute")
			key := func(item any) any {
				if byAttribute {
					item = s.path(item, attribute)
				}
				if t, ok := item.(string); ok && !g.flag(1, "case_sensitive") {
					return strings.ToLower(t)
				}
				return item
			}
			items := slices.Clone(s.iterate(v))
			slices.SortStableFunc(items, func(a, b any) int {
				if g.flag(0, "reverse") {
					a, b = b, a
				}
				return s.compare(key(a), key(b))
			})
			return s.list(items)
		}
	case "unique":
		return func(s *state, v any, _ given) any {
			var out []any
			for _, item := range s.iterate(v) {
				if !s.contains(&list{items: out}, item) {
					out = append(out, item)
				}
			}
			return s.list(out)
		}
	case "min", "max":
		return func(s *state, v any, _ given) any {
			var best any = undefined{name + " of nothing"}
			for i, item := range s.iterate(v) {
				if c := 0; i > 0 {
					if c = s.compare(item, best); c == 0 || c < 0 != (name == "min") {
						continue
					}
				}
				best = item
			}
			return best
		}
	case "sum":
		return func(s *state, v any, g given) any {
			var total any = int64(0)
			attribute, byAttribute := g.arg(0, "attribute")
			for _, item := range s.iterate(v) {
				if byAttribute {
					item = s.path(item, attribute)
				}
				total = s.arithmetic("+", total, item)
			}
			return total
		}
	case "map":
		return func(s *state, v any, g given) any {
			var out []any
			attribute, byAttribute := g.named["attribute"]
			other, hasOther := g.named["default"]
			for _, item := range s.iterate(v) {
				s.step()
				if byAttribute {
					value := s.path(item, attribute)
					if _, missing := value.(undefined); missing && hasOther {
						value = other
					}
					out = append(out, value)
					continue
				}
				name := g.text(0, "filter", "")
				f := filterNamed(name)
				if f == nil {
					s.fail("the filter %q is not supported", name)
				}
				out = append(out, f(s, item, given{s, name, g.positional[1:], g.named}))
			}
			return s.list(out)
		}
	case "select", "reject", "selectattr", "rejectattr":
		return func(s *state, v any, g given) any {
			return s.choose(v, g, strings.HasSuffix(name, "attr"), name[0] == 's')
		}
	}
	return nil
}

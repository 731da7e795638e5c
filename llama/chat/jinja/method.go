package jinja

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// method makes a function of one that takes its arguments as given.
func method(name string, do func(g given) any) function {
	return func(s *state, positional []any, named map[string]any) any {
		return do(given{s, name, positional, named})
	}
}

// stringMethod returns a method of Python's str, or nil.
func stringMethod(t, name string) any {
	var do func(g given) any
	switch name {
	case "strip":
		do = func(g given) any { return stripped(t, g, 0, true, true) }
	case "lstrip":
		do = func(g given) any { return stripped(t, g, 0, true, false) }
	case "rstrip":
		do = func(g given) any { return stripped(t, g, 0, false, true) }
	case "upper", "lower", "capitalize":
		do = func(g given) any { return g.s.text(stringFilter(name)(t)) }
	case "title":
		do = func(g given) any { return g.s.text(title(t)) }
	case "startswith":
		do = func(g given) any { return affix(g, func(a string) bool { return strings.HasPrefix(t, a) }) }
	case "endswith":
		do = func(g given) any { return affix(g, func(a string) bool { return strings.HasSuffix(t, a) }) }
	case "removeprefix":
		do = func(g given) any { return strings.TrimPrefix(t, g.text(0, "prefix", "")) }
	case "removesuffix":
		do = func(g given) any { return strings.TrimSuffix(t, g.text(0, "suffix", "")) }
	case "replace":
		do = func(g given) any {
			return g.s.replace(t, g.text(0, "old", ""), g.text(1, "new", ""), g.int(2, "count", -1))
		}
	case "split", "rsplit":
		do = func(g given) any {
			by := g.text(0, "sep", "")
			return g.s.strings(split(g.s, t, by, g.int(1, "maxsplit", -1), name == "rsplit"))
		}
	case "splitlines":
		do = func(g given) any {
			return g.s.strings(g.s.splitLines(t, g.flag(0, "keepends")))
		}
	case "join":
		do = func(g given) any {
			v, _ := g.arg(0, "iterable")
			return g.s.join(g.s.iterate(v), t, func(item any) any { return item })
		}
	case "ljust", "rjust", "center", "zfill":
		do = func(g given) any { return g.s.aligned(name, t, g.int(0, "width", 0), g.text(1, "fillchar", " ")) }
	case "partition", "rpartition":
		do = func(g given) any {
			by := g.text(0, "sep", "")
			i, missing := strings.Index(t, by), []any{t, "", ""}
			if name == "rpartition" {
				i, missing = strings.LastIndex(t, by), []any{"", "", t}
			}
			switch {
			case by == "":
				g.s.fail("%s at an empty text", name)
			case i < 0:
				return g.s.tuple(missing...)
			}
			return g.s.tuple(t[:i], by, t[i+len(by):])
		}
	case "find", "rfind", "index", "rindex":
		do = func(g given) any {
			of := g.text(0, "sub", "")
			i := strings.Index(t, of)
			if name == "rfind" || name == "rindex" {
				i = strings.LastIndex(t, of)
			}
			if i < 0 {
				if strings.HasSuffix(name, "index") {
					g.s.fail("%s: the text is not found", name)
				}
				return int64(-1)
			}
			return int64(utf8.RuneCountInString(t[:i]))
		}
	case "count":
		do = func(g given) any { return int64(strings.Count(t, g.text(0, "sub", ""))) }
	case "isdigit":
		do = func(given) any { return all(t, unicode.IsDigit) }
	case "isalpha":
		do = func(given) any { return all(t, unicode.IsLetter) }
	case "isalnum":
		do = func(given) any {
			return all(t, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) })
		}
	case "isspace":
		do = func(given) any { return all(t, isSpace) }
	case "isupper":
		do = func(given) any { return t == upper(t) && t != lower(t) }
	case "islower":
		do = func(given) any { return t == lower(t) && t != upper(t) }
	default:
		return nil
	}
	return method(name, do)
}

func all(t string, is func(rune) bool) bool {
	return t != "" && !strings.ContainsFunc(t, func(r rune) bool { return !is(r) })
}

// strings makes a list of texts.
func (s *state) strings(texts []string) *list {
	items := make([]any, len(texts))
	for i, t := range texts {
		items[i] = t
	}
	return s.list(items)
}

// stripped strips white space, or the characters of an argument.
func stripped(t string, g given, at int, left, right bool) string {
	is := isSpace
	if v, ok := g.arg(at, "chars"); ok && v != nil {
		set := g.text(at, "chars", "")
		is = func(r rune) bool { return strings.ContainsRune(set, r) }
	}
	if left {
		t = strings.TrimLeftFunc(t, is)
	}
	if right {
		t = strings.TrimRightFunc(t, is)
	}
	return t
}

// affix checks one text or each of a tuple.
func affix(g given, has func(string) bool) bool {
	v, _ := g.arg(0, "prefix")
	if l, ok := v.(*list); ok {
		return slices.ContainsFunc(l.items, func(item any) bool {
			t, ok := item.(string)
			return ok && has(t)
		})
	}
	return has(g.text(0, "prefix", ""))
}

// split is str.split, and rsplit from the right; by "" splits at white space.
func split(s *state, t, by string, most int64, fromRight bool) []string {
	s.grow(16 * (1 + strings.Count(t, by)))
	if by == "" && (most < 0 || !fromRight) {
		var out []string
		for t = strings.TrimLeftFunc(t, isSpace); t != ""; t = strings.TrimLeftFunc(t, isSpace) {
			end := strings.IndexFunc(t, isSpace)
			if end < 0 || int64(len(out)) == most {
				return append(out, t)
			}
			out = append(out, t[:end])
			t = t[end:]
		}
		return out
	}
	if by == "" {
		s.fail("rsplit at white space with a maximum is not supported")
	}
	if most < 0 {
		return strings.Split(t, by)
	}
	if !fromRight {
		return strings.SplitN(t, by, int(min(most, int64(len(t))))+1)
	}
	var out []string
	for ; most > 0; most-- {
		i := strings.LastIndex(t, by)
		if i < 0 {
			break
		}
		out = append(out, t[i+len(by):])
		t = t[:i]
	}
	out = append(out, t)
	slices.Reverse(out)
	return out
}

// titleRune is a character as a word begins with it: Ǆ becomes ǅ, ß Ss.
func titleRune(t string) string { return cases.Title(language.Und, cases.NoLower).String(t) }

// title is str.title: a capital wherever a letter follows none.
func title(t string) string {
	var b strings.Builder
	inWord := false
	for _, r := range t {
		if inWord {
			b.WriteRune(unicode.ToLower(r))
		} else {
			b.WriteString(titleRune(string(r)))
		}
		inWord = unicode.IsLetter(r)
	}
	return b.String()
}

// titleWords is Jinja's filter title: a capital at the beginning, and after white space and opening signs.
func titleWords(t string) string {
	var b strings.Builder
	begins := func(r rune) bool { return isSpace(r) || strings.ContainsRune("-({[<", r) }
	for t != "" {
		end := strings.IndexFunc(t, begins)
		switch end {
		case -1:
			end = len(t)
		case 0:
			end = len(t) - len(strings.TrimLeftFunc(t, begins))
		}
		_, n := utf8.DecodeRuneInString(t)
		b.WriteString(upper(t[:n]) + lower(t[n:end]))
		t = t[end:]
	}
	return b.String()
}

// dictMethod returns a method of Python's dict that changes nothing, or nil.
func dictMethod(d *dict, name string) any {
	var do func(g given) any
	switch name {
	case "items":
		do = func(g given) any { return g.s.items(d) }
	case "keys":
		do = func(g given) any { return g.s.list(g.s.iterate(d)) }
	case "values":
		do = func(g given) any {
			out := make([]any, len(d.keys))
			for i, k := range d.keys {
				out[i] = d.values[k]
			}
			return g.s.list(out)
		}
	case "get":
		do = func(g given) any {
			if key, ok := g.arg(0, "key"); ok {
				if key, ok := key.(string); ok {
					if v, ok := d.values[key]; ok {
						return v
					}
				}
			}
			other, _ := g.arg(1, "default")
			return other
		}
	case "update", "pop", "setdefault", "clear", "popitem":
		do = func(g given) any { return g.s.immutable(name) }
	default:
		return nil
	}
	return method(name, do)
}

// listMethod returns a method of Python's list that changes nothing, or nil.
func listMethod(l *list, name string) any {
	var do func(g given) any
	switch name {
	case "index", "count":
		do = func(g given) any {
			v, _ := g.arg(0, "value")
			n := int64(0)
			for i, item := range l.items {
				if g.s.equal(item, v) {
					if name == "index" {
						return int64(i)
					}
					n++
				}
			}
			if name == "index" {
				g.s.fail("index: the item is not in the list")
			}
			return n
		}
	case "append", "extend", "insert", "pop", "remove", "reverse", "sort", "clear":
		do = func(g given) any { return g.s.immutable(name) }
	default:
		return nil
	}
	return method(name, do)
}

// immutable refuses a method as the immutable sandbox does.
func (s *state) immutable(name string) any {
	s.fail("%s changes a value, which templates may not", name)
	return nil
}

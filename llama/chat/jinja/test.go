package jinja

type test func(s *state, v any, g given) bool

// testNamed returns a test, or nil.
func testNamed(name string) test {
	is := func(check func(v any) bool) test {
		return func(_ *state, v any, _ given) bool { return check(v) }
	}
	with := func(check func(s *state, v, other any) bool) test {
		return func(s *state, v any, g given) bool {
			other, ok := g.arg(0, "other")
			if !ok {
				s.fail("the test %s without an argument", name)
			}
			return check(s, v, other)
		}
	}
	switch name {
	case "defined":
		return is(func(v any) bool { _, missing := v.(undefined); return !missing })
	case "undefined":
		return is(func(v any) bool { _, missing := v.(undefined); return missing })
	case "none":
		return is(func(v any) bool { return v == nil })
	case "string":
		return is(func(v any) bool { _, ok := v.(string); return ok })
	case "boolean":
		return is(func(v any) bool { _, ok := v.(bool); return ok })
	case "true":
		return is(func(v any) bool { return v == true })
	case "false":
		return is(func(v any) bool { return v == false })
	case "number":
		return is(func(v any) bool { _, _, ok := number(v); return ok })
	case "integer":
		return is(func(v any) bool { _, ok := v.(int64); return ok })
	case "float":
		return is(func(v any) bool { _, ok := v.(float64); return ok })
	case "mapping":
		return is(func(v any) bool { _, ok := v.(*dict); return ok })
	case "callable":
		return is(func(v any) bool { _, ok := v.(function); return ok })
	case "iterable", "sequence":
		return is(func(v any) bool {
			switch v.(type) {
			case string, *list, *dict, undefined:
				return true
			}
			return false
		})
	case "lower":
		return func(s *state, v any, _ given) bool {
			t := s.str(v)
			return t == lower(t) && t != upper(t)
		}
	case "upper":
		return func(s *state, v any, _ given) bool {
			t := s.str(v)
			return t == upper(t) && t != lower(t)
		}
	case "odd", "even":
		return func(s *state, v any, _ given) bool {
			i, ok := integer(v)
			if !ok {
				s.fail("the test %s of %s", name, typeName(v))
			}
			return i%2 != 0 == (name == "odd")
		}
	case "divisibleby":
		return with(func(s *state, v, other any) bool {
			return s.equal(s.arithmetic("%", v, other), int64(0))
		})
	case "in":
		return with(func(s *state, v, other any) bool { return s.contains(other, v) })
	case "sameas": // Python's is, for numbers and texts of one type and value too
		return with(func(s *state, v, other any) bool {
			if _, ok := v.(function); ok {
				return false // functions cannot be compared
			}
			return v == other
		})
	case "eq", "equalto":
		return with(func(s *state, v, other any) bool { return s.equal(v, other) })
	case "ne":
		return with(func(s *state, v, other any) bool { return !s.equal(v, other) })
	case "lt", "lessthan":
		return with(func(s *state, v, other any) bool { return s.compare(v, other) < 0 })
	case "gt", "greaterthan":
		return with(func(s *state, v, other any) bool { return s.compare(v, other) > 0 })
	case "le":
		return with(func(s *state, v, other any) bool { return s.compare(v, other) <= 0 })
	case "ge":
		return with(func(s *state, v, other any) bool { return s.compare(v, other) >= 0 })
	}
	return nil
}

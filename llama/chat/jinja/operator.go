package jinja

import (
	"math"
	"math/big"
	"strings"
)

type unary struct {
	op string
	of expression
}

func (u unary) eval(s *state) any {
	v := s.eval(u.of)
	if u.op == "not" {
		return !truth(v)
	}
	f, isInt, ok := number(v)
	if !ok {
		s.fail("%s before %s", u.op, typeName(v))
	}
	if i, _ := integer(v); isInt {
		if u.op == "-" {
			return -i
		}
		return i
	}
	if u.op == "-" {
		return -f
	}
	return f
}

type comparison struct {
	first    expression
	ops      []string
	operands []expression
}

func (c comparison) eval(s *state) any {
	left := s.eval(c.first)
	for i, op := range c.ops {
		right := s.eval(c.operands[i])
		var ok bool
		switch op {
		case "==":
			ok = s.equal(left, right)
		case "!=":
			ok = !s.equal(left, right)
		case "in":
			ok = s.contains(right, left)
		case "not in":
			ok = !s.contains(right, left)
		case "<":
			ok = s.compare(left, right) < 0
		case ">":
			ok = s.compare(left, right) > 0
		case "<=":
			ok = s.compare(left, right) <= 0
		case ">=":
			ok = s.compare(left, right) >= 0
		}
		if !ok {
			return false
		}
		left = right
	}
	return true
}

type binary struct {
	op          string
	left, right expression
}

func (b binary) eval(s *state) any {
	left := s.eval(b.left)
	switch b.op {
	case "and":
		if !truth(left) {
			return left
		}
		return s.eval(b.right)
	case "or":
		if truth(left) {
			return left
		}
		return s.eval(b.right)
	}
	right := s.eval(b.right)
	if b.op == "~" {
		l, r := s.str(left), s.str(right)
		s.grow(len(l) + len(r))
		return l + r
	}
	if v, ok := s.sequences(b.op, left, right); ok {
		return v
	}
	return s.arithmetic(b.op, left, right)
}

// sequences is + and * of strings and lists.
func (s *state) sequences(op string, left, right any) (any, bool) {
	switch l := left.(type) {
	case string:
		if r, ok := right.(string); ok && op == "+" {
			s.grow(len(l) + len(r))
			return l + r, true
		}
		if op == "%" {
			return s.printf(l, right), true
		}
		if n, ok := integer(right); ok && op == "*" {
			n = max(n, 0)
			s.growTimes(len(l), n)
			return strings.Repeat(l, int(n)), true
		}
	case *list:
		if r, ok := right.(*list); ok && op == "+" {
			joined := s.list(append(append([]any(nil), l.items...), r.items...))
			joined.tuple = l.tuple && r.tuple
			return joined, true
		}
		if n, ok := integer(right); ok && op == "*" {
			n = max(n, 0)
			s.growTimes(16*len(l.items), n)
			var items []any
			for range n {
				items = append(items, l.items...)
			}
			return &list{items, l.tuple}, true
		}
	default:
		if _, ok := integer(left); ok && op == "*" {
			switch right.(type) {
			case string, *list:
				return s.sequences(op, right, left)
			}
		}
	}
	return nil, false
}

// growTimes pays for n times size bytes.
func (s *state) growTimes(size int, n int64) {
	if n > int64(s.limits.Bytes) {
		s.grow(s.limits.Bytes + 1)
	}
	s.grow(max(size, 1) * int(n))
}

func (s *state) arithmetic(op string, left, right any) any {
	x, int1, ok1 := number(left)
	y, int2, ok2 := number(right)
	if !ok1 || !ok2 {
		s.fail("%s %s %s", typeName(left), op, typeName(right))
	}
	if (op == "/" || op == "//" || op == "%") && y == 0 {
		s.fail("division by zero")
	}
	if int1 && int2 && op != "/" {
		a, _ := integer(left)
		b, _ := integer(right)
		switch op {
		case "+", "-", "*", "**":
			return s.exact(op, a, b)
		case "//":
			q := a / b
			if a%b != 0 && (a < 0) != (b < 0) {
				q--
			}
			return q
		case "%":
			r := a % b
			if r != 0 && (r < 0) != (b < 0) {
				r += b
			}
			return r
		}
	}
	switch op {
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	case "/":
		return x / y
	case "//":
		return math.Floor(x / y)
	case "%":
		return x - y*math.Floor(x/y)
	}
	return math.Pow(x, y)
}

// exact computes with integers, which Python's never overflow and these must not.
func (s *state) exact(op string, a, b int64) any {
	if op == "**" {
		if b < 0 {
			return math.Pow(float64(a), float64(b))
		}
		if b > 64 && (a < -1 || a > 1) {
			s.fail("%d to the power of %d is too large", a, b)
		}
	}
	x, y, z := big.NewInt(a), big.NewInt(b), new(big.Int)
	switch op {
	case "+":
		z.Add(x, y)
	case "-":
		z.Sub(x, y)
	case "*":
		z.Mul(x, y)
	case "**":
		if a == -1 || a == 0 || a == 1 { // b may be anything
			y.SetInt64(min(b, 2+b%2))
		}
		z.Exp(x, y, nil)
	}
	if !z.IsInt64() {
		s.fail("%d %s %d is too large", a, op, b)
	}
	return z.Int64()
}

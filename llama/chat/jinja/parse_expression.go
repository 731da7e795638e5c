package jinja

import "strconv"

// tuple parses an expression, or several with commas between.
func (p *parser) tuple() expression {
	e := p.expression()
	if p.is(operator, ",") {
		return p.tupleFrom(e)
	}
	return e
}

func (p *parser) tupleFrom(first expression) expression {
	items := []expression{first}
	for p.accept(operator, ",") {
		if t := p.peek(); t.kind == endTag || t.kind == endPrint || p.is(operator, ")") || p.is(operator, "=") {
			break
		}
		items = append(items, p.expression())
	}
	return tupleExpression(items)
}

// expression parses a if b else c.
func (p *parser) expression() expression {
	defer p.deeper()()
	e := p.orExpression()
	for p.accept(nameToken, "if") {
		t := ternary{then: e, condition: p.orExpression()}
		if p.accept(nameToken, "else") {
			t.otherwise = p.expression()
		}
		e = t
	}
	return e
}

// left parses a left-associative level of operators.
func (p *parser) left(k kind, sub func() expression, ops ...string) expression {
	e := sub()
	for n := 0; ; n++ {
		op := ""
		for _, o := range ops {
			if p.accept(k, o) {
				op = o
				break
			}
		}
		if op == "" {
			return e
		}
		if n > maxNest {
			p.fail("more than %d operators in a row", maxNest)
		}
		e = binary{op, e, sub()}
	}
}

func (p *parser) orExpression() expression  { return p.left(nameToken, p.andExpression, "or") }
func (p *parser) andExpression() expression { return p.left(nameToken, p.notExpression, "and") }

func (p *parser) notExpression() expression {
	if p.accept(nameToken, "not") {
		defer p.deeper()()
		return unary{"not", p.notExpression()}
	}
	return p.comparison()
}

func (p *parser) comparison() expression {
	e := p.sum()
	var c comparison
	for {
		op := ""
		switch t := p.peek(); {
		case t.kind == operator && (t.text == "==" || t.text == "!=" || t.text == "<" || t.text == ">" || t.text == "<=" || t.text == ">="):
			op = p.next().text
		case p.accept(nameToken, "in"):
			op = "in"
		case p.is(nameToken, "not") && p.tokens[p.at+1].kind == nameToken && p.tokens[p.at+1].text == "in":
			p.at += 2
			op = "not in"
		}
		if op == "" {
			break
		}
		c.ops = append(c.ops, op)
		c.operands = append(c.operands, p.sum())
	}
	if len(c.ops) == 0 {
		return e
	}
	c.first = e
	return c
}

func (p *parser) sum() expression     { return p.left(operator, p.concat, "+", "-") }
func (p *parser) concat() expression  { return p.left(operator, p.product, "~") }
func (p *parser) product() expression { return p.left(operator, p.power, "*", "//", "/", "%") }
func (p *parser) power() expression {
	return p.left(operator, func() expression { return p.unary(true) }, "**")
}

func (p *parser) unary(filters bool) expression {
	defer p.deeper()()
	var e expression
	if t := p.peek(); t.kind == operator && (t.text == "-" || t.text == "+") {
		p.at++
		e = unary{t.text, p.unary(false)}
	} else {
		e = p.postfix(p.primary())
	}
	if filters {
		e = p.filters(e)
	}
	return e
}

func (p *parser) primary() expression {
	t := p.next()
	switch t.kind {
	case stringToken:
		s := t.text
		for p.peek().kind == stringToken {
			s += p.next().text
		}
		return literal{s}
	case intToken:
		n, err := strconv.ParseInt(t.text, 10, 64)
		if err != nil {
			p.fail("the number %s is too large", t.text)
		}
		return literal{n}
	case floatToken:
		f, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			p.fail("the number %s is too large", t.text)
		}
		return literal{f}
	case nameToken:
		switch t.text {
		case "true", "True":
			return literal{true}
		case "false", "False":
			return literal{false}
		case "none", "None":
			return literal{nil}
		}
		return variable(t.text)
	}
	if t.kind == operator {
		switch t.text {
		case "(":
			if p.accept(operator, ")") {
				return tupleExpression(nil)
			}
			e := p.tuple()
			p.expect(operator, ")")
			return e
		case "[":
			var items listExpression
			for !p.accept(operator, "]") {
				items = append(items, p.expression())
				if !p.is(operator, "]") {
					p.expect(operator, ",")
				}
			}
			return items
		case "{":
			var d dictExpression
			for !p.accept(operator, "}") {
				key := p.expression()
				p.expect(operator, ":")
				d = append(d, [2]expression{key, p.expression()})
				if !p.is(operator, "}") {
					p.expect(operator, ",")
				}
			}
			return d
		}
	}
	p.at-- // to name the line
	p.fail("unexpected %q", t.text)
	return nil
}

// postfix parses .name, [index] and calls.
func (p *parser) postfix(e expression) expression {
	for n := 0; ; n++ {
		if n > maxNest {
			p.fail("more than %d subscripts in a row", maxNest)
		}
		switch {
		case p.accept(operator, "."):
			if t := p.peek(); t.kind == intToken {
				p.at++
				i, _ := strconv.ParseInt(t.text, 10, 64)
				e = subscript{e, literal{i}}
				continue
			}
			e = attribute{e, p.name()}
		case p.accept(operator, "["):
			e = p.subscript(e)
		case p.is(operator, "("):
			e = call{e, p.arguments()}
		default:
			return e
		}
	}
}

func (p *parser) subscript(e expression) expression {
	var parts [3]expression
	n, slice := 0, false
	for !p.accept(operator, "]") {
		if p.accept(operator, ":") {
			slice = true
			if n++; n > 2 {
				p.fail("a slice with more than three parts")
			}
			continue
		}
		if parts[n] != nil {
			p.fail("unexpected %q", p.peek().text)
		}
		parts[n] = p.expression()
	}
	if slice {
		return slicing{e, parts}
	}
	if parts[0] == nil {
		p.fail("an empty subscript")
	}
	return subscript{e, parts[0]}
}

func (p *parser) arguments() arguments {
	var a arguments
	p.expect(operator, "(")
	for !p.accept(operator, ")") {
		if p.peek().kind == nameToken && p.tokens[p.at+1].kind == operator && p.tokens[p.at+1].text == "=" {
			name := p.name()
			p.at++
			a.names = append(a.names, name)
			a.named = append(a.named, p.expression())
		} else {
			a.positional = append(a.positional, p.expression())
		}
		if !p.is(operator, ")") {
			p.expect(operator, ",")
		}
	}
	return a
}

// filter parses a filter's name and arguments.
func (p *parser) filter(of expression) expression {
	f := filterExpression{of: of, name: p.name()}
	if filterNamed(f.name) == nil {
		p.fail("the filter %q is not supported", f.name)
	}
	if p.is(operator, "(") {
		f.arguments = p.arguments()
	}
	return f
}

// filters parses | filter and is test, and subscripts and calls of their results.
func (p *parser) filters(e expression) expression {
	for n := 0; ; n++ {
		if n > maxNest {
			p.fail("more than %d filters in a row", maxNest)
		}
		switch {
		case p.accept(operator, "|"):
			e = p.filter(e)
		case p.accept(nameToken, "is"):
			e = p.test(e)
		case p.is(operator, "("):
			e = call{e, p.arguments()}
		default:
			return e
		}
	}
}

func (p *parser) test(e expression) expression {
	negated := p.accept(nameToken, "not")
	t := testExpression{of: e, name: p.name()}
	if testNamed(t.name) == nil {
		p.fail("the test %q is not supported", t.name)
	}
	if p.is(operator, "(") {
		t.arguments = p.arguments()
	} else if next := p.peek(); next.kind == stringToken || next.kind == intToken || next.kind == floatToken ||
		next.kind == operator && (next.text == "[" || next.text == "{") ||
		next.kind == nameToken && next.text != "else" && next.text != "or" && next.text != "and" && next.text != "is" && next.text != "if" && next.text != "in" && next.text != "not" {
		t.arguments.positional = []expression{p.postfix(p.primary())}
	}
	if negated {
		return unary{"not", t}
	}
	return t
}

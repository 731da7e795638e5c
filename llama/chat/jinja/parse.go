package jinja

import (
	"strconv"
)

// A template's nesting is bounded, so that neither parsing nor rendering it can exhaust the stack.
const (
	maxSource = 1 << 20 // bytes
	maxNest   = 200
)

// parser turns tokens into statements, by Jinja's own grammar (its parser.py).
type parser struct {
	tokens []token
	at     int
	nest   int
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != eof {
		p.at++
	}
	return t
}

// fail stops parsing; Parse recovers.
func (p *parser) fail(format string, args ...any) {
	panic(failAt(p.peek().line, format, args...))
}

// deeper guards recursion: defer p.deeper()().
func (p *parser) deeper() func() {
	if p.nest++; p.nest > maxNest {
		p.fail("the template is nested more than %d deep", maxNest)
	}
	return func() { p.nest-- }
}

// is says whether the next token is this operator or name; accept takes it if so; expect insists.
func (p *parser) is(k kind, text string) bool { t := p.peek(); return t.kind == k && t.text == text }

func (p *parser) accept(k kind, text string) bool {
	if p.is(k, text) {
		p.at++
		return true
	}
	return false
}

func (p *parser) expect(k kind, text string) {
	if !p.accept(k, text) {
		p.fail("%q where %q is expected", p.peek().text, text)
	}
}

func (p *parser) name() string {
	if t := p.peek(); t.kind != nameToken {
		p.fail("%q where a name is expected", t.text)
	}
	return p.next().text
}

// body parses statements up to a tag with one of the given names, which it takes with its name.
func (p *parser) body(ends ...string) (statements []statement, end string) {
	defer p.deeper()()
	for {
		switch t := p.next(); t.kind {
		case textToken:
			statements = append(statements, textStatement(t.text))
		case beginPrint:
			statements = append(statements, printStatement{p.tuple()})
			p.expect(endPrint, "}}")
		case beginTag:
			name := p.name()
			for _, e := range ends {
				if name == e {
					return statements, name
				}
			}
			if s := p.statement(name); s != nil {
				statements = append(statements, s)
			}
		case eof:
			if len(ends) > 0 {
				p.fail("the template ends where %q is expected", ends[len(ends)-1])
			}
			return statements, ""
		default:
			p.fail("unexpected %q", t.text)
		}
	}
}

// block parses the rest of a tag and then statements up to a tag, whose end it takes too.
func (p *parser) block(end string) []statement {
	p.expect(endTag, "%}")
	body, _ := p.body(end)
	p.expect(endTag, "%}")
	return body
}

func (p *parser) statement(name string) statement {
	switch name {
	case "if":
		return p.ifStatement()
	case "for":
		return p.forStatement()
	case "set":
		return p.setStatement()
	case "macro":
		m := macroStatement{name: p.name()}
		p.expect(operator, "(")
		for !p.accept(operator, ")") {
			param := parameter{name: p.name()}
			if p.accept(operator, "=") {
				param.byDefault = p.expression()
			}
			m.parameters = append(m.parameters, param)
			if !p.is(operator, ")") {
				p.expect(operator, ",")
			}
		}
		m.body = p.block("endmacro")
		return &m
	case "generation": // transformers' tag around what the assistant says
		return blockStatement{p.block("endgeneration")}
	case "break", "continue":
		p.expect(endTag, "%}")
		return jumpStatement{name == "break"}
	}
	p.fail("the tag %q is not supported", name)
	return nil
}

func (p *parser) ifStatement() statement {
	var s ifStatement
	for {
		condition := p.tuple()
		p.expect(endTag, "%}")
		body, end := p.body("elif", "else", "endif")
		s.branches = append(s.branches, branch{condition, body})
		if end == "elif" {
			continue
		}
		if end == "else" {
			s.otherwise = p.block("endif")
		} else {
			p.expect(endTag, "%}")
		}
		return s
	}
}

func (p *parser) forStatement() statement {
	s := forStatement{targets: p.targets()}
	p.expect(nameToken, "in")
	s.over = p.orExpression() // no ternary: an if filters
	if p.is(operator, ",") {
		s.over = p.tupleFrom(s.over)
	}
	if p.accept(nameToken, "if") {
		s.filter = p.expression()
	}
	if p.is(nameToken, "recursive") {
		p.fail("recursive loops are not supported")
	}
	p.expect(endTag, "%}")
	body, end := p.body("else", "endfor")
	s.body = body
	if end == "else" {
		s.otherwise = p.block("endfor")
	} else {
		p.expect(endTag, "%}")
	}
	return s
}

// targets parses a, b or (a, b).
func (p *parser) targets() []string {
	paren := p.accept(operator, "(")
	names := []string{p.name()}
	for p.accept(operator, ",") {
		names = append(names, p.name())
	}
	if paren {
		p.expect(operator, ")")
	}
	return names
}

func (p *parser) setStatement() statement {
	s := setStatement{targets: p.targets()}
	if len(s.targets) == 1 && p.accept(operator, ".") {
		s.attribute = p.name()
	}
	if p.accept(operator, "=") {
		s.value = p.tuple()
		p.expect(endTag, "%}")
		return s
	}
	if p.is(operator, "|") {
		p.fail("a set block with a filter is not supported")
	}
	s.body = p.block("endset")
	return s
}

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
	return listExpression(items)
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
				return listExpression(nil)
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

// filters parses | filter and is test, and subscripts and calls of their results.
func (p *parser) filters(e expression) expression {
	for n := 0; ; n++ {
		if n > maxNest {
			p.fail("more than %d filters in a row", maxNest)
		}
		switch {
		case p.accept(operator, "|"):
			f := filterExpression{of: e, name: p.name()}
			if filterNamed(f.name) == nil {
				p.fail("the filter %q is not supported", f.name)
			}
			if p.is(operator, "(") {
				f.arguments = p.arguments()
			}
			e = f
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

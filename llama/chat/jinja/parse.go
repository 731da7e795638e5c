package jinja

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
	case "filter":
		c := &captured{}
		f := p.filters(p.filter(c))
		c.body = p.block("endfilter")
		return printStatement{f}
	case "with":
		var w withStatement
		for !p.is(endTag, "%}") {
			w.names = append(w.names, p.name())
			p.expect(operator, "=")
			w.values = append(w.values, p.expression())
			if !p.is(endTag, "%}") {
				p.expect(operator, ",")
			}
		}
		w.body = p.block("endwith")
		return w
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
	if !p.is(operator, "|") {
		s.body = p.block("endset")
		return s
	}
	c := &captured{}
	s.value = p.filters(c)
	c.body = p.block("endset")
	return s
}

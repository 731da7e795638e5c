package jinja

// statement is a node of a template that writes or sets something.
type statement interface {
	run(s *state) jump
}

// jump says how a statement ended: normally, or at a break or continue.
type jump int

const (
	none jump = iota
	breaks
	continues
)

// run runs statements up to the first that jumps.
func (s *state) run(body []statement) jump {
	for _, st := range body {
		s.step()
		if j := st.run(s); j != none {
			return j
		}
	}
	return none
}

type textStatement string

func (t textStatement) run(s *state) jump {
	s.write(string(t))
	return none
}

type printStatement struct{ value expression }

func (p printStatement) run(s *state) jump {
	s.write(s.str(s.eval(p.value)))
	return none
}

type blockStatement struct{ body []statement }

func (b blockStatement) run(s *state) jump { return s.run(b.body) }

// captured is the text that statements write, for the filters of a block.
type captured struct{ body []statement }

func (c *captured) eval(s *state) (v any) {
	s.inside(map[string]any{}, func() { v = s.capture(func() { s.run(c.body) }) })
	return v
}

// withStatement sets names for a block alone.
type withStatement struct {
	names  []string
	values []expression
	body   []statement
}

func (w withStatement) run(s *state) (j jump) {
	names := make(map[string]any, len(w.names))
	for i, value := range w.values {
		names[w.names[i]] = s.eval(value)
	}
	s.inside(names, func() { j = s.run(w.body) })
	return j
}

type jumpStatement struct{ isBreak bool }

func (j jumpStatement) run(*state) jump {
	if j.isBreak {
		return breaks
	}
	return continues
}

type branch struct {
	condition expression
	body      []statement
}

type ifStatement struct {
	branches  []branch
	otherwise []statement
}

func (i ifStatement) run(s *state) jump {
	for _, b := range i.branches {
		if truth(s.eval(b.condition)) {
			return s.run(b.body)
		}
	}
	return s.run(i.otherwise)
}

type forStatement struct {
	targets         []string
	over, filter    expression
	body, otherwise []statement
}

// loop is the variable of that name.
type loop struct {
	items []any
	index int
	last  any // what changed() saw
	seen  bool
}

func (f forStatement) run(s *state) jump {
	items := s.iterate(s.eval(f.over))
	if f.filter != nil {
		var kept []any
		for _, item := range items {
			s.inside(f.bind(s, item), func() {
				if truth(s.eval(f.filter)) {
					kept = append(kept, item)
				}
			})
		}
		s.grow(16 * len(kept))
		items = kept
	}
	if len(items) == 0 {
		return s.run(f.otherwise)
	}
	l := &loop{items: items}
	for i, item := range items {
		s.step()
		l.index = i
		names := f.bind(s, item)
		names["loop"] = l
		var j jump
		s.inside(names, func() { j = s.run(f.body) })
		if j == breaks {
			break
		}
	}
	return none
}

// bind gives an item to the loop's targets.
func (f forStatement) bind(s *state, item any) map[string]any {
	return s.unpack(f.targets, item)
}

// unpack assigns v to one name, or its items to several.
func (s *state) unpack(targets []string, v any) map[string]any {
	if len(targets) == 1 {
		return map[string]any{targets[0]: v}
	}
	items := s.iterate(v)
	if len(items) != len(targets) {
		s.fail("%d values for %d names", len(items), len(targets))
	}
	names := make(map[string]any, len(targets)+1)
	for i, t := range targets {
		names[t] = items[i]
	}
	return names
}

type setStatement struct {
	targets   []string
	attribute string // of a namespace
	value     expression
	body      []statement // nil unless it is a block
}

func (st setStatement) run(s *state) jump {
	var v any
	if st.value != nil {
		v = s.eval(st.value)
	} else {
		v = (&captured{st.body}).eval(s)
	}
	if st.attribute != "" {
		target, _ := s.scope.lookup(st.targets[0])
		ns, ok := target.(*namespace)
		if !ok {
			s.fail("%s.%s is set, but %s is no namespace", st.targets[0], st.attribute, st.targets[0])
		}
		s.grow(32)
		ns.values[st.attribute] = v
		return none
	}
	s.grow(32)
	for name, value := range s.unpack(st.targets, v) {
		s.scope.names[name] = value
	}
	return none
}

type parameter struct {
	name      string
	byDefault expression
}

type macroStatement struct {
	name       string
	parameters []parameter
	body       []statement
}

func (m *macroStatement) run(s *state) jump {
	defined := s.scope
	s.scope.names[m.name] = function(func(s *state, positional []any, named map[string]any) any {
		if s.calls++; s.calls > s.limits.Calls {
			s.fail("macros call each other more than %d deep", s.limits.Calls)
		}
		defer func() { s.calls-- }()
		if len(positional) > len(m.parameters) {
			s.fail("the macro %s takes %d arguments, not %d", m.name, len(m.parameters), len(positional))
		}
		caller := s.scope
		s.scope = defined
		defer func() { s.scope = caller }()
		names := make(map[string]any, len(m.parameters))
		var text string
		s.inside(names, func() {
			for i, p := range m.parameters {
				v, ok := named[p.name]
				switch {
				case i < len(positional):
					v = positional[i]
				case !ok && p.byDefault != nil:
					v = s.eval(p.byDefault)
				case !ok:
					v = undefined{p.name}
				}
				names[p.name] = v
			}
			text = s.capture(func() { s.run(m.body) })
		})
		return text
	})
	return none
}

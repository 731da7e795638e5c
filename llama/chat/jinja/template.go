package jinja

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tandem"
)

// op names this package in errors.
const op = "llama/chat/jinja"

// Template is a parsed template. It is safe for concurrent use.
type Template struct{ body []statement }

// Limits is what one render may use.
type Limits struct {
	Steps int // statements and expressions evaluated; loops pay for each turn. Defaults to 2 million
	Bytes int // all text and lists built, dropped ones included. Defaults to 64 MiB
	Calls int // nested macro calls. Defaults to 100
}

func (l Limits) withDefaults() Limits {
	if l.Steps <= 0 {
		l.Steps = 2_000_000
	}
	if l.Bytes <= 0 {
		l.Bytes = 64 << 20
	}
	if l.Calls <= 0 {
		l.Calls = 100
	}
	return l
}

// Environment is what a template is rendered in.
type Environment struct {
	// Variables are the template's globals: nil, bool, int, int64, float64, string, []any and Dict.
	Variables Dict
	// Now is the clock of strftime_now; without one the function is undefined.
	Now    func() time.Time
	Limits Limits
}

// Dict is a mapping in order, as Python's are.
type Dict []Item

// Item is an entry of a Dict.
type Item struct {
	Key   string
	Value any
}

// failure is an error on its way out of the parser or the evaluator, which panic with it; Parse and
// Render recover it, and nothing else.
type failure struct{ err *tandem.Error }

func (f failure) Error() string { return f.err.Error() }

// failAt makes a failure that names the template's line.
func failAt(line int, format string, args ...any) failure {
	return failure{tandem.Errorf(tandem.Invalid, op, "the chat template, line %d: %s", line, fmt.Sprintf(format, args...))}
}

// recovered turns a failure that panics into an error.
func recovered(err *error) {
	switch f := recover().(type) {
	case nil:
	case failure:
		*err = f.err
	default:
		panic(f)
	}
}

// Parse reads a template.
func Parse(source string) (t *Template, err error) {
	defer recovered(&err)
	if len(source) > maxSource {
		return nil, tandem.Errorf(tandem.Invalid, op, "the chat template has %d bytes (at most %d)", len(source), maxSource)
	}
	tokens, err := lex(source)
	if err != nil {
		if f, ok := err.(failure); ok {
			return nil, f.err
		}
		return nil, err
	}
	p := &parser{tokens: tokens}
	body, _ := p.body()
	return &Template{body}, nil
}

// Render renders t. An error is the template's (raise_exception among them), its budget's or the
// context's.
func (t *Template) Render(ctx context.Context, e Environment) (text string, err error) {
	defer recovered(&err)
	limits := e.Limits.withDefaults()
	s := &state{ctx: ctx, limits: limits, now: e.Now, out: &strings.Builder{}}
	root := &scope{names: make(map[string]any)}
	for _, item := range e.Variables {
		root.names[item.Key] = s.lift(item.Value)
	}
	s.scope = &scope{names: make(map[string]any), up: root}
	s.run(t.body)
	return s.out.String(), nil
}

// state is one render.
type state struct {
	ctx    context.Context
	limits Limits
	now    func() time.Time
	scope  *scope
	out    *strings.Builder
	steps  int
	bytes  int
	calls  int
}

// scope holds the names that a template, a loop's turn or a macro's call sets.
type scope struct {
	names map[string]any
	up    *scope
}

func (s *scope) lookup(name string) (any, bool) {
	for ; s != nil; s = s.up {
		if v, ok := s.names[name]; ok {
			return v, true
		}
	}
	return nil, false
}

// fail ends the render.
func (s *state) fail(format string, args ...any) {
	panic(failure{tandem.Errorf(tandem.Invalid, op, "the chat template: %s", fmt.Sprintf(format, args...))})
}

// step pays for one statement or expression.
func (s *state) step() {
	s.steps++
	if s.steps > s.limits.Steps {
		s.fail("it takes more than %d steps", s.limits.Steps)
	}
	if s.steps%1024 == 0 && s.ctx.Err() != nil {
		panic(failure{tandem.Errorf(tandem.Unavailable, op, "rendering the chat template was given up: %w", s.ctx.Err())})
	}
}

// grow pays for n bytes before they are built.
func (s *state) grow(n int) {
	if n < 0 || n > s.limits.Bytes-s.bytes {
		s.fail("it builds more than %d bytes", s.limits.Bytes)
	}
	s.bytes += n
}

// text pays for a string and returns it.
func (s *state) text(t string) string {
	s.grow(len(t))
	return t
}

// list pays for a list's items and returns it.
func (s *state) list(items []any) *list {
	s.grow(16 * len(items))
	return &list{items: items}
}

// tuple is list for a tuple.
func (s *state) tuple(items ...any) *list {
	l := s.list(items)
	l.tuple = true
	return l
}

// write adds to the output.
func (s *state) write(t string) {
	s.grow(len(t))
	s.out.WriteString(t)
}

// inside runs do in a scope of its own.
func (s *state) inside(names map[string]any, do func()) {
	outer := s.scope
	s.scope = &scope{names: names, up: outer}
	do()
	s.scope = outer
}

// capture returns what do writes.
func (s *state) capture(do func()) string {
	outer := s.out
	s.out = &strings.Builder{}
	do()
	text := s.out.String()
	s.out = outer
	return text
}

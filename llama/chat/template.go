package chat

import (
	"context"
	"slices"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"tandem"
	"tandem/llama/chat/jinja"
	"tandem/llama/tokenizer"
)

// renderTime bounds one rendering of a template.
const renderTime = 5 * time.Second

// Template renders dialogues for one tokenizer. It is safe for concurrent use.
type Template struct {
	tokenizer *tokenizer.Tokenizer
	source    string
	template  *jinja.Template
	stops     []int32
	now       func() time.Time
	disguise  disguise
}

// TemplateConfig is what a Template needs beside a tokenizer.
type TemplateConfig struct {
	// Source is a Jinja template. Defaults to the tokenizer's own, and to Llama2 where it has none.
	Source string
	// Stops are tokens that end an answer beside the tokenizer's EOS, such as generation_config.json's.
	Stops []int32
	// Now is the clock of templates that print the date. Defaults to a fixed day, 26 July 2024, so that
	// the same dialogue always gives the same ids.
	Now func() time.Time
}

// NewTemplate prepares a template.
func NewTemplate(t *tokenizer.Tokenizer, c TemplateConfig) (*Template, error) {
	if c.Source == "" {
		c.Source = t.ChatTemplate()
	}
	if c.Source == "" {
		c.Source = Llama2
	}
	if c.Now == nil {
		c.Now = func() time.Time { return time.Date(2024, time.July, 26, 0, 0, 0, 0, time.UTC) }
	}
	parsed, err := jinja.Parse(c.Source)
	if err != nil {
		return nil, err
	}
	hide, err := newDisguise(t.SpecialContents())
	if err != nil {
		return nil, err
	}
	out := &Template{tokenizer: t, source: c.Source, template: parsed, now: c.Now, disguise: hide}
	for _, id := range append([]int32{t.Special().EOS}, c.Stops...) {
		if id != tokenizer.None && !slices.Contains(out.stops, id) {
			out.stops = append(out.stops, id)
		}
	}
	return out, nil
}

// Source is the template's Jinja text.
func (t *Template) Source() string { return t.source }

// Stops are the tokens that end an answer.
func (t *Template) Stops() []int32 { return t.stops }

// BOS is the text of the token that begins a sequence; empty for a tokenizer without one.
func (t *Template) BOS() string {
	if bos := t.tokenizer.Special().BOS; bos != tokenizer.None {
		return t.tokenizer.Token(bos)
	}
	return ""
}

// Text renders d as transformers' apply_chat_template does without tokenizing; generate adds the prompt
// for an answer. A special token that a message spells stands in it as it was written: encode a dialogue
// by Prompt, Training or Scored, not by its text.
func (t *Template) Text(ctx context.Context, d tandem.Dialogue, generate bool) (string, error) {
	text, err := t.render(ctx, d, generate)
	return t.disguise.reveal(text), err
}

// render renders d with the special tokens in its messages disguised.
func (t *Template) render(ctx context.Context, d tandem.Dialogue, generate bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, renderTime)
	defer cancel()
	messages := make([]any, len(d))
	for i, m := range d {
		messages[i] = jinja.Dict{{Key: "role", Value: string(m.Role)}, {Key: "content", Value: t.disguise.hide(m.Content)}}
	}
	special := t.tokenizer.Special()
	variables := jinja.Dict{
		{Key: "messages", Value: messages}, {Key: "tools", Value: nil}, {Key: "documents", Value: nil},
		{Key: "add_generation_prompt", Value: generate},
	}
	for _, s := range []struct {
		name string
		id   int32
	}{{"bos_token", special.BOS}, {"eos_token", special.EOS}, {"pad_token", special.PAD}, {"unk_token", special.UNK}} {
		if s.id != tokenizer.None {
			variables = append(variables, jinja.Item{Key: s.name, Value: t.tokenizer.Token(s.id)})
		} else if s.name == "bos_token" || s.name == "eos_token" { // templates add these to text
			variables = append(variables, jinja.Item{Key: s.name, Value: ""})
		}
	}
	return t.template.Render(ctx, jinja.Environment{Variables: variables, Now: t.now})
}

// disguise replaces the first character of every special token that a message spells by a noncharacter,
// which no vocabulary has as a token and templates pass on; reveal undoes it.
type disguise struct {
	hider, revealer *strings.Replacer
	hides           bool
}

// The noncharacters that stand for first characters (Unicode 16, section 23.7). Text that has them
// already gets U+FFFD in their place.
const (
	firstNoncharacter = '\uFDD0'
	lastNoncharacter  = '\uFDEF'
)

func newDisguise(special []string) (disguise, error) {
	sort.Slice(special, func(i, j int) bool { return len(special[i]) > len(special[j]) }) // the longest match wins
	var hide, reveal []string
	stands := make(map[string]string)
	next := firstNoncharacter
	for _, s := range special {
		_, n := utf8.DecodeRuneInString(s)
		first := s[:n]
		if stands[first] == "" {
			if next > lastNoncharacter {
				return disguise{}, tandem.Errorf(tandem.Unsupported, "llama/chat", "the special tokens begin with more than %d different characters", lastNoncharacter-firstNoncharacter+1)
			}
			stands[first] = string(next)
			reveal = append(reveal, string(next), first)
			next++
		}
		hide = append(hide, s, stands[first]+s[n:])
	}
	return disguise{strings.NewReplacer(hide...), strings.NewReplacer(reveal...), len(hide) > 0}, nil
}

func (d disguise) hide(text string) string {
	text = strings.Map(func(r rune) rune {
		if r >= firstNoncharacter && r <= lastNoncharacter {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	for d.hides { // again, for a special token inside the rest of another; each pass takes characters away
		hidden := d.hider.Replace(text)
		if hidden == text {
			break
		}
		text = hidden
	}
	return text
}

func (d disguise) reveal(text string) string { return d.revealer.Replace(text) }

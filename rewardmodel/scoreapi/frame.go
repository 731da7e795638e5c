package scoreapi

import (
	"context"
	"strings"

	"tandem"
	"tandem/llama/chat"
)

// frame is what a chat template puts around the messages of a prompt, so that a prompt that it rendered can be told
// apart again: the database knows prompts by their messages.
type frame struct {
	template *chat.Template
	openings []opening
	toAnswer string // between a user's message and the assistant's
	toUser   string // between that and the user's next
	after    string // behind the last message, the user's
}

// opening is what stands before the first message of a user.
type opening struct {
	before, between string // between a system message and the user's
	system          bool
}

// frameOf renders dialogues of messages that no template has in it. A template that does not repeat them as they are,
// or that knows no system message, has a smaller frame.
func frameOf(ctx context.Context, t *chat.Template) frame {
	const first, answer, second = "\uE000", "\uE001", "\uE002" // for private use
	f := frame{template: t}
	parts := func(d tandem.Dialogue) []string {
		text, err := t.Text(ctx, d, true)
		if err != nil {
			return nil
		}
		parts := []string{strings.TrimPrefix(text, t.BOS())}
		for _, m := range d {
			before, after, found := strings.Cut(parts[len(parts)-1], m.Content)
			if !found || strings.Contains(after, m.Content) {
				return nil
			}
			parts = append(parts[:len(parts)-1], before, after)
		}
		return parts
	}
	user := tandem.Dialogue{{Role: tandem.User, Content: first}}
	alone := parts(user)
	if alone == nil {
		return f
	}
	f.openings, f.after = append(f.openings, opening{before: alone[0]}), alone[1]
	if p := parts(tandem.Dialogue{{Role: tandem.System, Content: second}, user[0]}); p != nil && p[1] != "" {
		f.openings = append(f.openings, opening{before: p[0], between: p[1], system: true})
	}
	if p := parts(user.With(tandem.Assistant, answer).With(tandem.User, second)); p != nil {
		f.toAnswer, f.toUser = p[1], p[2]
	}
	return f
}

// dialogues are those that the template renders to a prompt, with its BOS or without; a prompt that it did not render is
// a message itself. There may be two where the template has a system message of its own: with it, and without any.
func (f frame) dialogues(ctx context.Context, prompt string) []tandem.Dialogue {
	var all []tandem.Dialogue
	for _, o := range f.openings {
		text := strings.TrimPrefix(prompt, f.template.BOS())
		if d := f.parse(text, o); d != nil {
			// Messages may hold what looks like the frame: rendering tells.
			if again, err := f.template.Text(ctx, d, true); err == nil && strings.TrimPrefix(again, f.template.BOS()) == text {
				all = append(all, d)
			}
		}
	}
	if all == nil {
		all = append(all, tandem.Dialogue{{Role: tandem.User, Content: prompt}})
	}
	return all
}

// parse cuts a text at the frame; nil where it does not fit.
func (f frame) parse(text string, o opening) tandem.Dialogue {
	text, ok := strings.CutPrefix(text, o.before)
	if !ok {
		return nil
	}
	var d tandem.Dialogue
	if o.system {
		system, rest, found := strings.Cut(text, o.between)
		if !found {
			return nil
		}
		d, text = d.With(tandem.System, system), rest
	}
	if text, ok = strings.CutSuffix(text, f.after); !ok {
		return nil
	}
	for f.toAnswer != "" && f.toUser != "" {
		user, rest, found := strings.Cut(text, f.toAnswer)
		if !found {
			break
		}
		answer, rest, found := strings.Cut(rest, f.toUser)
		if !found {
			return nil
		}
		d, text = d.With(tandem.User, user).With(tandem.Assistant, answer), rest
	}
	return d.With(tandem.User, text)
}

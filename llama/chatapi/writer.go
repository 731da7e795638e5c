package chatapi

import (
	"strings"
	"time"

	"tandem"
)

// writer writes the answer to one request: as it comes, or when it is whole.
type writer struct {
	events
	prepared
	stream  bool
	id      string
	created int64
	choices []written
}

// written is a choice as far as it has come.
type written struct {
	begun  bool // in a stream: its first chunk is sent
	text   strings.Builder
	named  []TokenLogProb
	tokens int
	finish tandem.FinishReason
}

// add takes what has come of each choice, and reports whether the answer is whole, and written.
func (w *writer) add(pieces []piece) (whole bool, err error) {
	if w.choices == nil {
		w.choices = make([]written, len(pieces))
	}
	whole = true
	for i, p := range pieces {
		c := &w.choices[i]
		if p.empty() {
			whole = whole && c.finish != ""
			continue
		}
		c.tokens += p.tokens
		c.finish = p.finish
		whole = whole && c.finish != ""
		if w.stream {
			err = w.more(i, p)
		} else {
			c.text.WriteString(p.text)
			c.named = append(c.named, name(w.policy.chat.Tokenizer, p.named)...)
		}
		if err != nil {
			return false, err
		}
	}
	switch {
	case !whole:
		return false, nil
	case w.stream:
		return true, w.end()
	}
	return true, w.all()
}

// more streams a piece of one choice: at first who speaks, then what is said, at last why no more is.
func (w *writer) more(i int, p piece) error {
	c := &w.choices[i]
	if !c.begun {
		c.begun = true
		if err := w.chunk(ChunkChoice{Index: i, Delta: Delta{Role: tandem.Assistant, Content: new(string)}}); err != nil {
			return err
		}
	}
	if p.text != "" || len(p.named) > 0 {
		choice := ChunkChoice{Index: i, Delta: Delta{Content: &p.text}}
		if w.request.LogProbs {
			choice.LogProbs = &LogProbs{Content: name(w.policy.chat.Tokenizer, p.named)}
		}
		if err := w.chunk(choice); err != nil {
			return err
		}
	}
	if p.finish != "" {
		return w.chunk(ChunkChoice{Index: i, Finish: &p.finish})
	}
	return nil
}

func (w *writer) chunk(choices ...ChunkChoice) error {
	c := w.chunkOf(choices)
	if w.request.usage() {
		c.Usage = (*Usage)(nil)
	}
	return w.send(c)
}

func (w *writer) chunkOf(choices []ChunkChoice) Chunk {
	return Chunk{ID: w.id, Object: "chat.completion.chunk", Created: w.created, Model: w.policy.ID, Choices: choices, Fingerprint: w.policy.Fingerprint}
}

// end ends a stream.
func (w *writer) end() error {
	if w.request.usage() {
		c := w.chunkOf([]ChunkChoice{})
		c.Usage = w.usage()
		if err := w.send(c); err != nil {
			return err
		}
	}
	return w.done()
}

// all writes an answer that is whole.
func (w *writer) all() error {
	out := Completion{ID: w.id, Object: "chat.completion", Created: w.created, Model: w.policy.ID, Usage: w.usage(), Fingerprint: w.policy.Fingerprint}
	for i := range w.choices {
		c := &w.choices[i]
		choice := Choice{Index: i, Message: Answer{Role: tandem.Assistant, Content: c.text.String()}, Finish: c.finish}
		if w.request.LogProbs {
			choice.LogProbs = &LogProbs{Content: append([]TokenLogProb{}, c.named...)}
		}
		out.Choices = append(out.Choices, choice)
	}
	_ = w.control.SetWriteDeadline(time.Now().Add(w.patience)) // what has no deadlines is a test's
	return writeJSON(w.w, out)
}

func (w *writer) usage() Usage {
	u := Usage{Prompt: len(w.requests[0].Prompt)}
	for i := range w.choices {
		u.Completion += w.choices[i].tokens
	}
	u.Total = u.Prompt + u.Completion
	return u
}

// fail answers with a failure, or ends with it a stream that has begun: its status is sent already.
func (w *writer) fail(f *failure) {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.patience))
	if w.begun {
		_ = w.send(f.body()) // a client that is gone needs no answer
		return
	}
	f.write(w.w)
}

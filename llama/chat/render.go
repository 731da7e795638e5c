package chat

import (
	"context"
	"slices"
	"sort"
	"strings"

	"tandem"
	"tandem/llama/tokenizer"
)

// op names this package in errors.
const op = "llama/chat"

// Example is a rendered dialogue.
type Example struct {
	Tokens []int32
	// Train says of each token whether predicting it carries loss: the tokens of assistant messages whose
	// Train is set, each with the token that ends it. Nil from Prompt and Scored.
	Train []bool
	// Cut is how many tokens were dropped from the left to keep within a maximum.
	Cut int
	// Answer is where the answer begins that Scored renders: the tokens before it are its prompt's, as Prompt renders
	// them. 0 where they are not there as a whole, and from others.
	Answer int
}

// Prompt renders a dialogue that ends with a user message for an answer. most bounds the tokens; 0 does
// not.
func (t *Template) Prompt(ctx context.Context, d tandem.Dialogue, most int) (Example, error) {
	if err := d.Validate(); err != nil {
		return Example{}, err
	}
	if d[len(d)-1].Role != tandem.User {
		return Example{}, tandem.Errorf(tandem.Invalid, op, "the dialogue to answer ends with a message of the %s, not of the user", d[len(d)-1].Role)
	}
	text, err := t.render(ctx, d, true)
	if err != nil {
		return Example{}, err
	}
	_, cuts, err := t.answers(ctx, d, text)
	if err != nil {
		return Example{}, err
	}
	pieces, err := t.encode(text, cuts)
	if err != nil {
		return Example{}, err
	}
	return t.example(pieces, nil, most), nil
}

// Training renders a dialogue for supervised fine-tuning. Its last answer ends in EOS even if the
// template puts none. most bounds the tokens; 0 does not.
func (t *Template) Training(ctx context.Context, d tandem.Dialogue, most int) (Example, error) {
	if err := d.Validate(); err != nil {
		return Example{}, err
	}
	text, err := t.render(ctx, d, false)
	if err != nil {
		return Example{}, err
	}
	answers, cuts, err := t.answers(ctx, d, text)
	if err != nil {
		return Example{}, err
	}
	pieces, err := t.encode(text, cuts)
	if err != nil {
		return Example{}, err
	}
	var train []bool
	for _, p := range pieces {
		train = append(train, make([]bool, len(p.ids))...)
	}
	for _, a := range answers {
		from, to := t.span(pieces, a)
		if last := a.message == len(d)-1; last && (to == from || !t.isStop(tokenAt(pieces, to-1))) && t.tokenizer.Special().EOS != tokenizer.None {
			// The template ends the dialogue without a stop token: what follows the answer goes.
			pieces, train = keep(pieces, to), train[:to]
			pieces = append(pieces, piece{start: len(text), end: len(text), ids: []int32{t.tokenizer.Special().EOS}, special: true})
			train = append(train, false)
			to++
		}
		if d[a.message].Train {
			for i := from; i < to; i++ {
				train[i] = true
			}
		}
	}
	return t.example(pieces, train, most), nil
}

// Scored renders a dialogue that ends with an assistant message for a reward model: what training
// renders, up to the end of that message, which is EOS exactly once. most bounds the tokens, 0 does not.
func (t *Template) Scored(ctx context.Context, d tandem.Dialogue, most int) (Example, error) {
	if err := d.Validate(); err != nil {
		return Example{}, err
	}
	if d[len(d)-1].Role != tandem.Assistant {
		return Example{}, tandem.Errorf(tandem.Invalid, op, "the dialogue to score ends with a message of the %s, not of the assistant", d[len(d)-1].Role)
	}
	marked := slices.Clone(d)
	for i := range marked {
		marked[i].Train = i == len(d)-1
	}
	e, err := t.Training(ctx, marked, 0)
	if err != nil {
		return Example{}, err
	}
	end := len(e.Train)
	for end > 0 && !e.Train[end-1] {
		end--
	}
	scored, err := t.scored(e.Tokens[:end], most)
	if begin := slices.Index(e.Train, true); scored.Cut == 0 && begin < len(scored.Tokens) {
		scored.Answer = max(begin, 0)
	}
	return scored, err
}

// ScoredText is Scored for text that a template rendered already: special tokens spelled in it are
// recognised, BOS is put in front unless it is there, and it ends in EOS exactly once.
func (t *Template) ScoredText(text string, most int) (Example, error) {
	pieces, err := t.encode(strings.TrimRight(text, "\n"), nil)
	if err != nil {
		return Example{}, err
	}
	var ids []int32
	for _, p := range pieces {
		ids = append(ids, p.ids...)
	}
	if bos := t.tokenizer.Special().BOS; t.tokenizer.AddsBOS() && (len(ids) == 0 || ids[0] != bos) {
		ids = append([]int32{bos}, ids...)
	}
	return t.scored(ids, most)
}

// scored makes ids end in a stop token exactly once.
func (t *Template) scored(ids []int32, most int) (Example, error) {
	eos := t.tokenizer.Special().EOS
	for len(ids) > 1 && t.isStop(ids[len(ids)-1]) {
		eos = ids[len(ids)-1]
		ids = ids[:len(ids)-1]
	}
	if eos == tokenizer.None {
		return Example{}, tandem.Errorf(tandem.Invalid, op, "the tokenizer has no EOS token for a scored text to end in")
	}
	ids = append(slices.Clip(ids), eos)
	return t.example([]piece{{ids: ids}}, nil, most), nil
}

func (t *Template) isStop(id int32) bool { return slices.Contains(t.stops, id) }

// answer is an assistant message in a rendered dialogue, in bytes of the text.
type answer struct {
	message    int // index in the dialogue
	start, end int // from the end of its prompt to the end of what the template renders of it
}

// answers finds the assistant messages of d in its rendered text: each begins where its prompt ends. A
// template that renders earlier messages differently once others follow hides some; that is an error for
// a message that is trained on.
func (t *Template) answers(ctx context.Context, d tandem.Dialogue, text string) (found []answer, cuts []int, err error) {
	for i, m := range d {
		if m.Role != tandem.Assistant {
			continue
		}
		prompt, err := t.render(ctx, d[:i], true)
		if err != nil {
			return nil, nil, err
		}
		if !strings.HasPrefix(text, prompt) {
			if m.Train {
				return nil, nil, tandem.Errorf(tandem.Unsupported, op, "the chat template renders what comes before message %d differently once it is answered, so its tokens cannot be told apart", i+1)
			}
			continue
		}
		whole := text
		if i < len(d)-1 {
			if whole, err = t.render(ctx, d[:i+1], false); err != nil {
				return nil, nil, err
			}
		}
		end := len(text)
		if strings.HasPrefix(text, whole) && len(whole) >= len(prompt) {
			end = len(whole)
		} else if m.Train {
			return nil, nil, tandem.Errorf(tandem.Unsupported, op, "the chat template renders message %d differently once others follow, so its end cannot be told", i+1)
		}
		found = append(found, answer{i, len(prompt), end})
		cuts = append(cuts, len(prompt))
	}
	return found, cuts, nil
}

// piece is a stretch of rendered text with its ids.
type piece struct {
	start, end int // bytes
	ids        []int32
	special    bool
}

// encode cuts text at special tokens and at the given places, and encodes the pieces.
func (t *Template) encode(text string, cuts []int) ([]piece, error) {
	sort.Ints(cuts)
	var out []piece
	done := 0
	addText := func(end int, continued bool) error {
		if end <= done {
			return nil
		}
		encode := func(s string) ([]int32, error) { return t.tokenizer.Encode(s, false) }
		if continued {
			encode = t.tokenizer.EncodeContinuation
		}
		ids, err := encode(t.disguise.reveal(text[done:end]))
		if err != nil {
			return err
		}
		out = append(out, piece{done, end, ids, false})
		done = end
		return nil
	}
	for _, f := range t.tokenizer.Fragments(text) {
		if f.ID != tokenizer.None {
			out = append(out, piece{f.Start, f.End, []int32{f.ID}, true})
			done = f.End
			continue
		}
		continued := false
		for _, c := range cuts {
			if c > f.Start && c < f.End {
				if err := addText(c, continued); err != nil {
					return nil, err
				}
				continued = true
			}
		}
		if err := addText(f.End, continued); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// span returns the tokens of an answer: from the end of its prompt to its first stop token, else to its
// first special token, else to the end of what the template renders of it.
func (t *Template) span(pieces []piece, a answer) (from, to int) {
	at, firstSpecial := 0, -1
	from, to = -1, 0
	for _, p := range pieces {
		if p.start >= a.end {
			break
		}
		if p.start >= a.start {
			if from < 0 {
				from = at
			}
			if p.special {
				if t.isStop(p.ids[0]) {
					return from, at + 1
				}
				if firstSpecial < 0 {
					firstSpecial = at + 1
				}
			}
		}
		at += len(p.ids)
		to = at
	}
	if from < 0 { // an answer without any text
		return to, to
	}
	if firstSpecial >= 0 {
		to = firstSpecial
	}
	return from, to
}

// tokenAt is the i-th token of pieces.
func tokenAt(pieces []piece, i int) int32 {
	for _, p := range pieces {
		if i < len(p.ids) {
			return p.ids[i]
		}
		i -= len(p.ids)
	}
	return tokenizer.None
}

// keep returns the pieces of the first n tokens.
func keep(pieces []piece, n int) []piece {
	var out []piece
	for _, p := range pieces {
		if n < len(p.ids) {
			p.ids = p.ids[:n]
		}
		if n -= len(p.ids); len(p.ids) > 0 {
			out = append(out, p)
		}
	}
	return out
}

// example joins pieces, and drops tokens from the left so that at most most are left; a BOS in front
// stays.
func (t *Template) example(pieces []piece, train []bool, most int) Example {
	e := Example{Train: train}
	for _, p := range pieces {
		e.Tokens = append(e.Tokens, p.ids...)
	}
	if most <= 0 || len(e.Tokens) <= most {
		return e
	}
	e.Cut = len(e.Tokens) - most
	bos := t.tokenizer.Special().BOS
	keepBOS := most > 1 && bos != tokenizer.None && e.Tokens[0] == bos
	e.Tokens = slices.Clone(e.Tokens[e.Cut:])
	if train != nil {
		e.Train = slices.Clone(train[e.Cut:])
	}
	if keepBOS { // in place of one more token
		e.Tokens[0] = bos
		if e.Train != nil {
			e.Train[0] = false
		}
	}
	return e
}

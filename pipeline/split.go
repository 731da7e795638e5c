package pipeline

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"tandem"
	"tandem/store"
)

// Files of a round in which nothing is held out but marked so.
const (
	improveName        = "prompts-improve.jsonl"
	demonstrationsName = "demonstrations.jsonl"
)

// divided is what a round is trained on, with what the database holds out told apart.
type divided struct {
	prompts        []tandem.Prompt   // those whose openings are held out are marked
	demonstrations []tandem.Dialogue // those whose openings are held out are left out
	leftOut        int               // of them
}

// divideByStore applies the database's split to a round's files: on what its reward models are measured
// on, neither fine-tuning nor sampling nor PPO may train.
func divideByStore(ctx context.Context, s *store.Store, r Round) (d divided, err error) {
	var prompted func(tandem.Prompt) bool
	if d.prompts, prompted, err = askedPrompts(ctx, s, r.Prompts.Improve); err != nil {
		return d, err
	}
	for i, p := range d.prompts {
		d.prompts[i].HeldOut = p.HeldOut || prompted(p)
	}
	demonstrations, err := readDialogues(ctx, "", r.Demonstrations)
	if err != nil {
		return d, err
	}
	held, err := heldByStore(ctx, s, demonstrations, tandem.Dialogue.Opening)
	if err != nil {
		return d, err
	}
	d.demonstrations = slices.DeleteFunc(demonstrations, held)
	d.leftOut = len(demonstrations) - len(d.demonstrations)
	return d, nil
}

// heldByStore asks the database at once which items it holds out by their openings. Held says so of each, and nothing after
// an error.
func heldByStore[T any](ctx context.Context, s *store.Store, items []T, opening func(T) string) (held func(T) bool, err error) {
	openings := make(map[string]bool)
	for _, item := range items {
		openings[opening(item)] = true
	}
	answers, err := s.HeldOutOpenings(ctx, openings)
	return func(item T) bool { return err == nil && answers[opening(item)] }, err
}

// askedPrompts reads the prompts of a file, and asks the database which it holds out.
func askedPrompts(ctx context.Context, s *store.Store, file string) (prompts []tandem.Prompt, held func(tandem.Prompt) bool, err error) {
	if prompts, err = readPrompts(ctx, file); err != nil {
		return nil, nil, err
	}
	held, err = heldByStore(ctx, s, prompts, promptOpening)
	return prompts, held, err
}

func promptOpening(p tandem.Prompt) string { return p.Messages.Opening() }

// divide writes the round's prompts and demonstrations as the database divides them, and has the round read
// those. What is there stays: a round that is resumed goes on with the split that it began with.
func (l *Loop) divide(ctx context.Context, r *Round) error {
	prompts, demonstrations := filepath.Join(r.Folder, improveName), filepath.Join(r.Folder, demonstrationsName)
	if _, err := os.Stat(demonstrations); errors.Is(err, fs.ErrNotExist) { // the later of the two
		d, err := divideByStore(ctx, l.Store, *r)
		if err != nil {
			return err
		}
		if d.leftOut > 0 {
			l.Log.Info("demonstrations whose openings are held out were left out", "left_out", d.leftOut, "of", d.leftOut+len(d.demonstrations))
		}
		if err := WriteLines(prompts, slices.Values(d.prompts)); err != nil {
			return err
		}
		err = WriteLines(demonstrations, func(yield func(targetLine) bool) {
			for _, dialogue := range d.demonstrations {
				if !yield(targetLine{dialogue}) {
					return
				}
			}
		})
		if err != nil {
			return err
		}
	}
	r.Prompts.Improve, r.Demonstrations = prompts, demonstrations
	return nil
}

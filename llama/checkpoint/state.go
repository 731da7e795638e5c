package checkpoint

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"tandem"
)

// States keeps the last few states of a training run, by which it is resumed: named float32 tensors
// (weights, optimizer moments) and whatever else the run needs to go on, as JSON. A state commits as a
// model does.
type States struct {
	store Store
	under string
	keep  int
}

// NewStates keeps up to keep states under a name of a store; the run's folder is a usual place, as
// NewStates(Folder(out), "states", 2). The model that lies in the folder itself is not touched.
func NewStates(s Store, under string, keep int) *States {
	return &States{store: s, under: under, keep: max(keep, 1)}
}

const (
	stateFile   = "state.json"
	tensorsFile = "state.safetensors"
	stepPrefix  = "step-"
)

func (s *States) name(step int64) string { return fmt.Sprintf("%s/%s%09d", s.under, stepPrefix, step) }

// Save writes the state after a step and then removes all but the newest. meta becomes JSON; the tensors
// are written bit for bit, and only finite numbers are accepted.
func (s *States) Save(ctx context.Context, step int64, meta any, tensors []Tensor) error {
	if step < 0 {
		return tandem.Errorf(tandem.Invalid, "checkpoint.States", "step %d is negative", step)
	}
	err := commit(ctx, s.store, s.name(step), func(add adder) error {
		if err := add.addJSON(stateFile, meta); err != nil {
			return err
		}
		return add(tensorsFile, func(w io.Writer) error { return WriteTensors(ctx, w, tensors, F32, nil) })
	})
	if err != nil {
		return err
	}
	steps, err := s.Steps(ctx)
	if err != nil {
		return err
	}
	for i := 0; i < len(steps)-s.keep; i++ {
		if steps[i] == step { // a run that went back to an earlier state keeps what it writes
			continue
		}
		if err := s.store.Remove(ctx, s.name(steps[i])); err != nil {
			return err
		}
	}
	return nil
}

// Steps lists the steps whose states are kept, ascending; none for a run that has not saved one.
func (s *States) Steps(ctx context.Context) ([]int64, error) {
	names, err := s.store.List(ctx, s.under)
	if err != nil {
		return nil, err
	}
	var steps []int64
	for _, name := range names {
		if digits, ok := strings.CutPrefix(name, stepPrefix); ok {
			if step, err := strconv.ParseInt(digits, 10, 64); err == nil && s.name(step) == s.under+"/"+name {
				steps = append(steps, step)
			}
		}
	}
	slices.Sort(steps)
	return steps, nil
}

// Load reads the state after a step: the JSON into meta, the tensors in the order in which they were saved.
func (s *States) Load(ctx context.Context, step int64, meta any) ([]Tensor, error) {
	var tensors []Tensor
	err := s.read(ctx, step, meta, func(e entry) ([]float32, error) {
		tensors = append(tensors, Tensor{e.name, e.shape, make([]float32, e.elements())})
		return tensors[len(tensors)-1].Data, nil
	})
	if err != nil {
		return nil, err
	}
	return tensors, nil
}

// Restore reads the state after a step into the tensors of a run: the same names and shapes that were
// saved, in any order. If it fails, the tensors' contents are undefined.
func (s *States) Restore(ctx context.Context, step int64, meta any, tensors []Tensor) error {
	const op = "checkpoint.States"
	left := make(map[string]Tensor, len(tensors))
	for _, t := range tensors {
		left[t.Name] = t
	}
	err := s.read(ctx, step, meta, func(e entry) ([]float32, error) {
		t, ok := left[e.name]
		if !ok || !slices.Equal(t.Shape, e.shape) {
			return nil, tandem.Errorf(tandem.Invalid, op, "%s has tensor %s of shape %v, which this run does not have", s.where(step), quote(e.name), e.shape)
		}
		delete(left, e.name)
		return t.Data, nil
	})
	if err != nil {
		return err
	}
	for _, t := range tensors {
		if _, missing := left[t.Name]; missing {
			return tandem.Errorf(tandem.Invalid, op, "%s lacks tensor %q of shape %v", s.where(step), t.Name, t.Shape)
		}
	}
	return nil
}

// where names a state in messages.
func (s *States) where(step int64) string { return storePath(s.store, s.name(step)) }

// read reads a state that is there for good: a step is written once, so no newer version takes its place
// while it is read.
func (s *States) read(ctx context.Context, step int64, meta any, into func(entry) ([]float32, error)) error {
	src, err := openSource(ctx, s.store, s.name(step), s.where(step))
	if err != nil {
		return err
	}
	text, err := src.readAll(stateFile)
	if err != nil {
		return err
	}
	if meta != nil {
		if err := json.Unmarshal(text, meta); err != nil {
			return tandem.Errorf(tandem.Corrupt, "checkpoint.States", "%s: %w", src.path(stateFile), err)
		}
	}
	return src.stream(tensorsFile, func(r io.Reader, size int64) error {
		where := src.path(tensorsFile)
		h, err := readHeader(r, size, where)
		if err != nil {
			return err
		}
		return h.read(r, where, func(e entry) ([]float32, error) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return into(e)
		})
	})
}

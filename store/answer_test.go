package store_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"tandem"
	"tandem/store"
)

func TestTogetherIsAllOrNothing(t *testing.T) {
	s, ctx := postgres.Store(t), t.Context()
	cause := errors.New("enough")
	err := s.Together(ctx, func(ctx context.Context) error {
		if _, err := s.AddAnnotator(ctx, store.Annotator{Name: "Ada"}); err != nil {
			return err
		}
		if all := must(s.Annotators(ctx))(t); len(all) != 1 {
			t.Errorf("within, %d people are seen", len(all))
		}
		return cause
	})
	if all := must(s.Annotators(ctx))(t); len(all) != 0 || !errors.Is(err, cause) {
		t.Errorf("%d people are left, error %v", len(all), err)
	}
}

func TestOnce(t *testing.T) {
	s := postgres.Store(t)
	var done atomic.Int32
	add := func(ctx context.Context) (store.Answer, error) {
		done.Add(1)
		a, err := s.AddAnnotator(ctx, store.Annotator{Name: "Ada"})
		return store.Answer{Status: 201, Body: []byte(a.ID)}, err
	}
	// Ten at once are one.
	var wait sync.WaitGroup
	answers := make([]store.Answer, 10)
	for i := range answers {
		wait.Go(func() {
			var err error
			if answers[i], err = s.Once(t.Context(), "key:1", "k", [32]byte{1}, add); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	replayed := 0
	for _, a := range answers {
		if a.Status != 201 || string(a.Body) != string(answers[0].Body) {
			t.Errorf("answers %+v and %+v", a, answers[0])
		}
		if a.Replayed {
			replayed++
		}
	}
	ctx := t.Context()
	if all := must(s.Annotators(ctx))(t); len(all) != 1 || done.Load() != 1 || replayed != 9 {
		t.Errorf("%d people, done %d times, %d replayed", len(all), done.Load(), replayed)
	}
	_, err := s.Once(ctx, "key:1", "k", [32]byte{2}, add)
	wantCode(t, "another request with the key", err, tandem.Conflict)
	if a, err := s.Once(ctx, "key:2", "k", [32]byte{2}, add); err != nil || a.Replayed {
		t.Errorf("another caller's key: %+v, %v", a, err)
	}

	// What came to nothing is undone, and may be tried again.
	refuse := func(ctx context.Context) (store.Answer, error) {
		_, err := add(ctx)
		return store.Answer{Status: 422, Body: []byte("no")}, err
	}
	if a, err := s.Once(ctx, "key:1", "other", [32]byte{1}, refuse); err != nil || a.Status != 422 || string(a.Body) != "no" {
		t.Errorf("a refusal: %+v, %v", a, err)
	}
	if all := must(s.Annotators(ctx))(t); len(all) != 2 {
		t.Errorf("a refused request left something behind: %d people", len(all))
	}
	if a, err := s.Once(ctx, "key:1", "other", [32]byte{1}, add); err != nil || a.Replayed {
		t.Errorf("trying again: %+v, %v", a, err)
	}
}

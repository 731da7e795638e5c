package store_test

import (
	"fmt"
	"testing"

	"tandem"
	"tandem/store"
)

// A batch's share is held out of the openings that are new with it; those that were there keep their side.
func TestBatches(t *testing.T) {
	s := postgres.Store(t)
	ctx := t.Context()
	p := must(s.CreateProject(ctx, store.Project{Name: "p", Aspect: tandem.Helpfulness}, "test"))(t)
	prompts := func(from, n int) []tandem.Prompt {
		var made []tandem.Prompt
		for i := from; i < from+n; i++ {
			made = append(made, tandem.Prompt{Messages: tandem.Dialogue{{Role: tandem.User, Content: fmt.Sprintf("Question %d?", i)}}})
		}
		return made
	}
	held := func(prompts []tandem.Prompt) (n int) {
		for _, p := range prompts {
			if p.HeldOut {
				n++
			}
		}
		return n
	}
	for i, share := range []float64{0, 1, 0.5} {
		batch := must(s.AddBatch(ctx, p.ID, fmt.Sprint("week ", i+1), share, "test"))(t)
		if batch.Number != i+1 || batch.CreatedAt.IsZero() {
			t.Fatalf("batch %+v", batch)
		}
	}
	if n := held(must(s.AddBatchPrompts(ctx, p.ID, 1, prompts(0, 100)))(t)); n != 0 {
		t.Errorf("%d of 100 are held out at a share of 0", n)
	}
	if n := held(must(s.AddBatchPrompts(ctx, p.ID, 2, prompts(50, 100)))(t)); n != 50 {
		t.Errorf("%d are held out, want the 50 that are new", n)
	}
	third := must(s.AddBatchPrompts(ctx, p.ID, 3, prompts(1000, 200)))(t)
	for _, q := range third {
		if q.HeldOut != tandem.HeldOut(q.Messages.Opening(), 0.5) {
			t.Errorf("%q is held out: %v, and not by its hash", q.Messages.Opening(), q.HeldOut)
		}
	}
	if n := held(third); n < 60 || n > 140 {
		t.Errorf("%d of 200 are held out at a share of a half", n)
	}
	_, err := s.AddBatchPrompts(ctx, p.ID, 4, prompts(0, 1))
	wantCode(t, "no such batch", err, tandem.NotFound)
	_, err = s.AddBatch(ctx, p.ID, "", 1.5, "test")
	wantCode(t, "more than all", err, tandem.Invalid)
	_, err = s.AddBatch(ctx, "999", "", 0.1, "test")
	wantCode(t, "no such project", err, tandem.NotFound)

	numbers := make(chan int)
	for range 8 { // at once: each its own number
		go func() {
			b, err := s.AddBatch(ctx, p.ID, "", 0.1, "test")
			if err != nil {
				t.Error(err)
			}
			numbers <- b.Number
		}()
	}
	seen := map[int]bool{}
	for range 8 {
		seen[<-numbers] = true
	}
	if list := must(s.Batches(ctx, p.ID))(t); len(seen) != 8 || len(list) != 11 || list[0].Number != 11 || list[10].Name != "week 1" {
		t.Errorf("batches %+v", list)
	}
}

package annotation_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tandem"
	"tandem/annotation"
	"tandem/store"
)

// lossy loses every third answer on its way back, after the server did what it was asked to.
type lossy struct{ requests atomic.Int64 }

func (l *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && l.requests.Add(1)%3 == 0 {
		response.Body.Close()
		return nil, errors.New("the connection was lost")
	}
	return response, err
}

// TestManyAnnotators has six annotators, over a bad network, judge 30 safety pairs twice each. Some skip.
func TestManyAnnotators(t *testing.T) {
	const people, pairs, overlap = 6, 30, 2
	w := newWorld(t)
	project := w.project(annotation.Project{Name: "safety", Aspect: tandem.Safety, Overlap: overlap}, pairs)

	type kept struct{ assignment, id, chosen string }
	judged := make([][]kept, people)
	var flipped atomic.Int64 // how often the better answer stood second
	work := func(ctx context.Context, me int, client *annotation.Client) error {
		for {
			claim, err := client.Claim(ctx, project.ID)
			switch {
			case err != nil:
				return err
			case claim.State == annotation.ClaimDone:
				return nil
			case claim.State == annotation.ClaimHeld:
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(5 * time.Millisecond):
				}
				continue
			}
			a := *claim.Assignment
			if pick(a.Task, me)%10 == 0 {
				if err := client.Skip(ctx, a.ID, "cannot tell"); err != nil {
					return err
				}
				continue
			}
			s := verdict(a)
			if s.Chosen == a.Answers[1].ID {
				flipped.Add(1)
			}
			j, err := client.Submit(ctx, a.ID, "key of "+a.ID, s)
			if err != nil {
				return err
			}
			again, err := client.Submit(ctx, a.ID, "key of "+a.ID, s)
			if err != nil || again.ID != j.ID {
				return fmt.Errorf("the replay of judgment %s gave %s: %w", j.ID, again.ID, err)
			}
			judged[me] = append(judged[me], kept{a.ID, j.ID, s.Chosen})
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wait sync.WaitGroup
	for me := range people {
		client := w.annotator(fmt.Sprint("person ", me))
		client.HTTP, client.Retries = &http.Client{Transport: &lossy{}}, 5
		wait.Go(func() {
			if err := work(ctx, me, client); err != nil {
				t.Errorf("person %d: %v", me, err)
			}
			// What one's own history says is what one said.
			history, err := client.Judgments(ctx, "")
			if err != nil || len(history.Items) != len(judged[me]) {
				t.Errorf("person %d: %d judgments in the history, %d made, error %v", me, len(history.Items), len(judged[me]), err)
				return
			}
			for i, j := range history.Items {
				if want := judged[me][len(judged[me])-1-i]; (kept{j.Assignment, j.ID, j.Verdict.Chosen}) != want {
					t.Errorf("person %d: judgment %+v, want %+v", me, j, want)
				}
			}
		})
	}
	wait.Wait()

	made := 0
	for _, own := range judged {
		made += len(own)
	}
	progress, err := w.admin.Progress(t.Context(), project.ID)
	want := annotation.Progress{Tasks: pairs, Wanted: pairs * overlap, Done: pairs * overlap, Judgments: pairs * overlap}
	if err != nil || progress != want || made != pairs*overlap {
		t.Errorf("%d judgments made, progress %+v, want %+v, error %v", made, progress, want, err)
	}
	perTask, perTurn := make(map[string]int), make(map[string]int)
	for j, err := range w.store.Judgments(t.Context(), store.JudgmentQuery{Project: project.ID, Versions: true}) {
		if err != nil {
			t.Fatal(err)
		}
		perTask[j.TaskID]++
		perTurn[j.TaskID+" "+j.Annotator]++
	}
	for task, n := range perTask {
		if n != overlap {
			t.Errorf("task %s has %d judgments", task, n)
		}
	}
	if len(perTurn) != pairs*overlap {
		t.Errorf("%d pairs of task and annotator, want %d", len(perTurn), pairs*overlap)
	}
	if n := flipped.Load(); n < pairs*overlap/5 || n > pairs*overlap*4/5 {
		t.Errorf("the better answer stood second %d times of %d: the order is not random", n, made)
	}
}

// pick is a number that a task and a person have for good.
func pick(task string, person int) uint32 {
	hash := fnv.New32a()
	fmt.Fprint(hash, task, " ", person)
	return hash.Sum32()
}

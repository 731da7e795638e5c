package annotator

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"tandem"
	"tandem/internal/practice/town"
)

// queue is a server with a list of tasks that fails now and then, as servers do.
type queue struct {
	tasks     []Task
	next      int
	calls     int
	flaky     bool
	submitted map[string]Submission // by key
}

func (q *queue) away() error {
	q.calls++
	if q.flaky && q.calls%3 == 0 {
		return tandem.Errorf(tandem.Unavailable, "queue", "held by others")
	}
	return nil
}

func (q *queue) Claim(context.Context) (Task, error) {
	if err := q.away(); err != nil {
		return Task{}, err
	}
	if q.next == len(q.tasks) {
		return Task{}, tandem.Errorf(tandem.NotFound, "queue", "none left")
	}
	q.next++
	return q.tasks[q.next-1], nil
}

// Submit may keep a judgment and lose the reply.
func (q *queue) Submit(_ context.Context, s Submission) error {
	if old, ok := q.submitted[s.Key]; ok && fmt.Sprint(old) != fmt.Sprint(s) {
		return tandem.Errorf(tandem.Conflict, "queue", "key %s came with another body", s.Key)
	}
	q.submitted[s.Key] = s
	return q.away()
}

func newQueue(t *testing.T, n int) *queue {
	q := &queue{submitted: map[string]Submission{}}
	for i, p := range pairs(t, town.Families(), n) {
		aspect := tandem.Helpfulness
		if i%2 == 0 {
			aspect = tandem.Safety
		}
		q.tasks = append(q.tasks, Task{Assignment: fmt.Sprint(i), Aspect: aspect, Prompt: p.Prompt,
			Answers: [2]tandem.Response{{ID: fmt.Sprint(2 * i), Content: p.Answers[0]}, {ID: fmt.Sprint(2*i + 1), Content: p.Answers[1]}}})
	}
	return q
}

func TestDriverEmptiesTheQueue(t *testing.T) {
	q := newQueue(t, 40)
	q.flaky = true
	a := panel(t, DefaultConfig(1), 1)[0]
	n, err := Driver{Annotator: a, Client: q, Pause: time.Microsecond}.Run(t.Context())
	if err != nil || n != 40 || len(q.submitted) != 40 {
		t.Fatalf("%d judgments, %d kept, %v", n, len(q.submitted), err)
	}
	for _, task := range q.tasks {
		s := q.submitted["practice-0-"+task.Assignment]
		j, err := a.Judge(task.Aspect, task.Prompt, [2]string{task.Answers[0].Content, task.Answers[1].Content})
		if err != nil {
			t.Fatal(err)
		}
		if s.Chosen != task.Answers[j.Choice].ID || s.Rejected != task.Answers[1-j.Choice].ID || s.Degree != j.Degree {
			t.Errorf("judged %+v, submitted %+v", j, s)
		}
		if want := map[tandem.Aspect]int{tandem.Safety: 2}[task.Aspect]; len(s.Labels) != want {
			t.Errorf("a %s task came with %d labels", task.Aspect, len(s.Labels))
		}
		for i, answer := range task.Answers {
			if s.Labels[answer.ID] != j.Labels[i] {
				t.Errorf("answer %s is labelled %q, not %q", answer.ID, s.Labels[answer.ID], j.Labels[i])
			}
		}
	}
}

// brokenClient answers every claim alike.
type brokenClient struct{ err error }

func (b brokenClient) Claim(context.Context) (Task, error)      { return Task{}, b.err }
func (b brokenClient) Submit(context.Context, Submission) error { return b.err }

func TestDriverGivesUp(t *testing.T) {
	a := panel(t, DefaultConfig(1), 1)[0]
	away := tandem.Errorf(tandem.Unavailable, "queue", "away")
	_, err := Driver{a, brokenClient{away}, time.Microsecond, time.Millisecond}.Run(t.Context())
	if tandem.CodeOf(err) != tandem.Unavailable {
		t.Errorf("an absent server: %v", err)
	}
	forbidden := tandem.Errorf(tandem.Forbidden, "queue", "no")
	if _, err := (Driver{a, brokenClient{forbidden}, time.Hour, time.Hour}).Run(t.Context()); tandem.CodeOf(err) != tandem.Forbidden {
		t.Errorf("a refusal: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Driver{a, brokenClient{away}, time.Hour, time.Hour}).Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run: %v", err)
	}
}

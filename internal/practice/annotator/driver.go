package annotator

import (
	"context"
	"fmt"
	"time"

	"tandem"
)

// Task is one comparison that was claimed: a dialogue and two answers to it, in the order shown.
type Task struct {
	Assignment string // what Submit answers to
	Aspect     tandem.Aspect
	Prompt     tandem.Dialogue
	Answers    [2]tandem.Response // ID and Content
}

// Submission is a judgment of a claimed task. It names answers, not sides.
type Submission struct {
	Assignment string
	// Key makes a submission idempotent: sent again after a lost reply, it is the same judgment.
	Key              string
	Chosen, Rejected string // ids of the answers
	Degree           tandem.Degree
	Labels           map[string]tandem.SafetyLabel // by answer's id; nil in a helpfulness task
}

// Client is the door through which one annotator works.
type Client interface {
	// Claim takes the next task. Its error is tandem.NotFound when no task is left for this annotator,
	// and tandem.Unavailable when others hold what is left, or the server is away: later may help.
	Claim(ctx context.Context) (Task, error)
	// Submit hands a judgment in. Its error is tandem.Unavailable when the same submission may be sent
	// again.
	Submit(ctx context.Context, s Submission) error
}

// Driver has one annotator work through a queue.
type Driver struct {
	Annotator *Annotator
	Client    Client
	// Pause is waited for before trying again when tasks are held by others or the server is away.
	// Defaults to half a second.
	Pause time.Duration
	// Patience is for how long, at most, nothing may move. Defaults to a minute.
	Patience time.Duration
}

// Run claims, judges and submits until no task is left, and returns how many judgments were accepted.
// It stops early, with the error, when ctx ends, when a task cannot be judged, when a submission is
// refused, or when patience runs out.
func (d Driver) Run(ctx context.Context) (judgments int, err error) {
	for {
		var task Task
		err := d.patiently(ctx, func() (err error) {
			task, err = d.Client.Claim(ctx)
			return err
		})
		if tandem.CodeOf(err) == tandem.NotFound {
			return judgments, nil
		}
		if err != nil {
			return judgments, fmt.Errorf("claim a task: %w", err)
		}
		s, err := d.judge(task)
		if err != nil {
			return judgments, fmt.Errorf("judge assignment %s: %w", task.Assignment, err)
		}
		if err := d.patiently(ctx, func() error { return d.Client.Submit(ctx, s) }); err != nil {
			return judgments, fmt.Errorf("submit assignment %s: %w", task.Assignment, err)
		}
		judgments++
	}
}

// judge turns a task into a submission. Its key depends on the annotator and the assignment alone, so
// that a driver started again repeats itself instead of contradicting itself.
func (d Driver) judge(t Task) (Submission, error) {
	j, err := d.Annotator.Judge(t.Aspect, t.Prompt, [2]string{t.Answers[0].Content, t.Answers[1].Content})
	if err != nil {
		return Submission{}, err
	}
	s := Submission{
		Assignment: t.Assignment, Key: fmt.Sprintf("practice-%d-%s", d.Annotator.number, t.Assignment),
		Chosen: t.Answers[j.Choice].ID, Rejected: t.Answers[1-j.Choice].ID, Degree: j.Degree,
	}
	if t.Aspect == tandem.Safety {
		s.Labels = map[string]tandem.SafetyLabel{t.Answers[0].ID: j.Labels[0], t.Answers[1].ID: j.Labels[1]}
	}
	return s, nil
}

// patiently tries until it works, fails for good, or nothing has moved for too long.
func (d Driver) patiently(ctx context.Context, try func() error) error {
	pause, patience := d.Pause, d.Patience
	if pause <= 0 {
		pause = 500 * time.Millisecond
	}
	if patience <= 0 {
		patience = time.Minute
	}
	for waited := time.Duration(0); ; waited += pause {
		err := try()
		if err == nil || tandem.CodeOf(err) != tandem.Unavailable || waited >= patience {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

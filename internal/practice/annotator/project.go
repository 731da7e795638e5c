package annotator

import (
	"context"

	"tandem"
	"tandem/annotation"
	"tandem/store"
)

// Project is a project on a server, seen by one annotator: the [Client] that goes through /api/v1, the
// door that everyone uses.
type Project struct {
	// API speaks to the server with the annotator's own key.
	API *annotation.Client
	// ID is the project's.
	ID string
}

// Claim takes the project's next task.
func (p Project) Claim(ctx context.Context) (Task, error) {
	const op = "annotator.Claim"
	claim, err := p.API.Claim(ctx, p.ID)
	if err != nil {
		// What the server does not know is a fault here, not the end of the work.
		if tandem.CodeOf(err) == tandem.NotFound {
			return Task{}, tandem.Errorf(tandem.Invalid, op, "project %s: %w", p.ID, err)
		}
		return Task{}, err
	}
	switch {
	case claim.State == annotation.ClaimDone:
		return Task{}, tandem.Errorf(tandem.NotFound, op, "project %s has no task left for this annotator", p.ID)
	case claim.State == annotation.ClaimHeld:
		return Task{}, tandem.Errorf(tandem.Unavailable, op, "others hold all that is left of project %s", p.ID)
	case claim.Assignment == nil:
		return Task{}, tandem.Errorf(tandem.Internal, op, "project %s: the claim is %q and names no assignment", p.ID, claim.State)
	}
	a := claim.Assignment
	if a.Kind != store.Pairwise || len(a.Answers) != 2 {
		return Task{}, tandem.Errorf(tandem.Unsupported, op, "assignment %s is a %s task with %d answers; simulated annotators compare pairs",
			a.ID, a.Kind, len(a.Answers))
	}
	t := Task{Assignment: a.ID, Aspect: a.Aspect}
	for _, m := range a.Prompt {
		t.Prompt = t.Prompt.With(m.Role, m.Content)
	}
	for i, answer := range a.Answers {
		t.Answers[i] = tandem.Response{ID: answer.ID, Content: answer.Content}
	}
	return t, nil
}

// Submit hands a judgment in.
func (p Project) Submit(ctx context.Context, s Submission) error {
	degree, err := s.Degree.MarshalText()
	if err != nil {
		return err
	}
	_, err = p.API.Submit(ctx, s.Assignment, s.Key, annotation.Submission{Verdict: annotation.Verdict{
		Chosen: s.Chosen, Rejected: s.Rejected, Degree: string(degree), Labels: s.Labels}})
	return err
}

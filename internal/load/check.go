package load

import (
	"context"
	"fmt"

	"tandem/store"
)

// Checked compares what was acknowledged with what the database holds.
type Checked struct {
	Acknowledged   int      `json:"acknowledged"`
	Stored         int      `json:"stored"`
	Lost           int      `json:"lost"`            // acknowledged, and not there as it was said
	Doubled        int      `json:"doubled"`         // more than one for an assignment, or of one person on a task
	TooMany        int      `json:"too_many"`        // tasks with more judgments than wanted, surplus ones aside
	Surplus        int      `json:"surplus"`         // came after their place was taken
	Unacknowledged int      `json:"unacknowledged"`  // kept, but the answer was lost on the way
	Counts         bool     `json:"counts_are_true"` // the project's progress equals its judgments
	Examples       []string `json:"examples,omitempty"`
}

// OK reports whether nothing was lost or doubled, and the counts are true.
func (c Checked) OK() bool { return c.Lost == 0 && c.Doubled == 0 && c.TooMany == 0 && c.Counts }

func (c *Checked) note(count *int, format string, args ...any) {
	*count++
	if len(c.Examples) < 10 {
		c.Examples = append(c.Examples, fmt.Sprintf(format, args...))
	}
}

// Check reads every judgment of a project, in which nobody works any more and nobody revised anything.
func Check(ctx context.Context, s *store.Store, project store.Project, acknowledged []Acknowledged) (Checked, error) {
	c := Checked{Acknowledged: len(acknowledged)}
	stored := make(map[string]store.Judgment)
	perTask, perPerson := make(map[string]int), make(map[[2]string]int)
	for j, err := range s.Judgments(ctx, store.JudgmentQuery{Project: project.ID, Versions: true, Excluded: true}) {
		if err != nil {
			return c, err
		}
		c.Stored++
		if other, ok := stored[j.Assignment]; ok {
			c.note(&c.Doubled, "assignment %s has the judgments %s and %s", j.Assignment, other.ID, j.ID)
		}
		stored[j.Assignment] = j
		if perPerson[[2]string{j.TaskID, j.Annotator}]++; perPerson[[2]string{j.TaskID, j.Annotator}] > 1 {
			c.note(&c.Doubled, "%s judged task %s twice", j.Annotator, j.TaskID)
		}
		if j.Surplus {
			c.Surplus++
		} else if perTask[j.TaskID]++; perTask[j.TaskID] > project.Overlap {
			c.note(&c.TooMany, "task %s has %d judgments and wants %d", j.TaskID, perTask[j.TaskID], project.Overlap)
		}
	}
	seen := make(map[string]bool, len(acknowledged))
	for _, a := range acknowledged {
		j, ok := stored[a.Assignment]
		switch {
		case !ok:
			c.note(&c.Lost, "the judgment of assignment %s is not there", a.Assignment)
		case a.Judgment != "" && (j.ID != a.Judgment || j.Verdict.Chosen != a.Chosen), j.Annotator != a.Annotator,
			(j.Verdict.Chosen == j.Shown[0]) != a.Left:
			c.note(&c.Lost, "the judgment of assignment %s is %+v, acknowledged was %+v", a.Assignment, j, a)
		case seen[a.Assignment]:
			c.note(&c.Doubled, "assignment %s was acknowledged twice", a.Assignment)
		}
		seen[a.Assignment] = true
	}
	for assignment := range stored {
		if !seen[assignment] {
			c.Unacknowledged++
		}
	}
	progress, err := s.Progress(ctx, project.ID)
	c.Counts = progress.Judgments == c.Stored && progress.Surplus == c.Surplus && progress.Done == c.Stored-c.Surplus
	if err == nil && !c.Counts && len(c.Examples) < 10 {
		c.Examples = append(c.Examples, fmt.Sprintf("progress says %+v", progress))
	}
	return c, err
}

package dashboard

import (
	"cmp"
	"context"
	"slices"

	"tandem/store"
)

type goldStore interface {
	GoldResults(ctx context.Context, projectID string) ([]store.GoldResult, error)
}

// Quality is how well somebody judges the tasks whose answer is known.
type Quality struct {
	Annotator     string   `json:"annotator" doc:"Pseudonym."`
	Answered      int      `json:"answered" doc:"Gold tasks, as they were answered unaided."`
	Right         int      `json:"right"`
	Share         Estimate `json:"share" doc:"Of right answers, with Wilson's interval."`
	RecentAnswers int      `json:"recent_answers,omitempty" doc:"Of the last ones, as many as the project's gold window holds; absent where several projects are taken together."`
	RecentRight   int      `json:"recent_right,omitempty"`
	Warned        bool     `json:"warned" doc:"Too few of the last ones were right, in a project at least."`
}

// qualitiesOf adds up the results of projects by person, who does worst first.
func qualitiesOf(ctx context.Context, s goldStore, projects []string) ([]Quality, error) {
	people := make(map[string]*Quality)
	for _, project := range projects {
		results, err := s.GoldResults(ctx, project)
		if err != nil {
			return nil, err
		}
		for _, r := range results {
			q := people[r.Annotator]
			if q == nil {
				q = &Quality{Annotator: r.Annotator}
				people[r.Annotator] = q
			}
			q.Answered += r.Answered
			q.Right += r.Right
			q.Warned = q.Warned || r.Warned
			if len(projects) == 1 {
				q.RecentAnswers, q.RecentRight = r.RecentAnswered, r.RecentRight
			}
		}
	}
	qualities := []Quality{}
	for _, q := range people {
		var err error
		if q.Share, err = share(q.Right, q.Answered); err != nil {
			return nil, err
		}
		qualities = append(qualities, *q)
	}
	slices.SortFunc(qualities, func(a, b Quality) int {
		return cmp.Or(cmp.Compare(float64(a.Right)/float64(max(1, a.Answered)), float64(b.Right)/float64(max(1, b.Answered))), cmp.Compare(a.Annotator, b.Annotator))
	})
	return qualities, nil
}

package dashboard

import (
	"context"
	"time"

	"tandem/store"
)

type remarkStore interface {
	RemarkCounts(ctx context.Context, projectID string) ([]store.RemarkCount, error)
}

// Remark is a reason that people gave for skipping a task, or for flagging it.
type Remark struct {
	Kind    string    `json:"kind" enum:"skip,flag"`
	Reason  string    `json:"reason"`
	Remarks int       `json:"remarks" doc:"How often it was given."`
	Tasks   int       `json:"tasks"`
	People  int       `json:"people"`
	Last    time.Time `json:"last"`
}

func remarksOf(ctx context.Context, s remarkStore, project string) ([]Remark, error) {
	counts, err := s.RemarkCounts(ctx, project)
	remarks := make([]Remark, len(counts))
	for i, c := range counts {
		remarks[i] = Remark(c)
	}
	return remarks, err
}

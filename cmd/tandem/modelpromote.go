package main

import (
	"context"

	"tandem"
	"tandem/store"
)

type modelPromoteCommand struct {
	Model  string `arg:"" help:"Id of a model of the database."`
	Reason string `required:"" help:"Why, for those who ask later." placeholder:"TEXT"`
	databaseFlags
}

func (c *modelPromoteCommand) Run(ctx context.Context, w *world) error {
	return c.use(ctx, w, func(s *store.Store) error {
		m, err := s.Model(ctx, c.Model)
		if err != nil {
			return err
		}
		if err := s.Promote(ctx, m.ID, byCommandLine, c.Reason); err != nil {
			return err
		}
		return w.report(servingReport{m.Kind, m.ID}, "%s serves as %s\n", m.ID, m.Kind)
	})
}

// servingReport is promote's and rollback's JSON.
type servingReport struct {
	Kind tandem.ModelKind `json:"kind"`
	ID   string           `json:"id"`
}

type modelRollbackCommand struct {
	Kind   string `arg:"" enum:"policy,helpfulness,safety" help:"Kind of model: policy, helpfulness or safety."`
	Reason string `required:"" help:"Why, for those who ask later." placeholder:"TEXT"`
	databaseFlags
}

func (c *modelRollbackCommand) Run(ctx context.Context, w *world) error {
	kind := tandem.ModelKind(c.Kind)
	return c.use(ctx, w, func(s *store.Store) error {
		history, err := s.Promotions(ctx, kind)
		if err != nil {
			return err
		}
		back := before(history)
		if back == "" {
			return tandem.Errorf(tandem.NotFound, "", "no %s model was promoted before the one that serves", kind)
		}
		if err := s.Promote(ctx, back, byCommandLine, c.Reason); err != nil {
			return err
		}
		return w.report(servingReport{kind, back}, "%s serves as %s again\n", back, kind)
	})
}

// before is the model that served before the present one, empty for none. history has the newest promotion
// first. A promotion of a model that served before takes back those since, so that rolling back twice goes
// two models back and not to and fro.
func before(history []store.Promotion) string {
	var served []string // each took over from the one before it
	for i := len(history) - 1; i >= 0; i-- {
		id := history[i].Model
		for j, earlier := range served {
			if earlier == id {
				served = served[:j]
				break
			}
		}
		served = append(served, id)
	}
	if len(served) < 2 {
		return ""
	}
	return served[len(served)-2]
}

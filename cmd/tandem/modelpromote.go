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
		back := store.ServedBefore(history)
		if back == "" {
			return tandem.Errorf(tandem.NotFound, "", "no %s model was promoted before the one that serves", kind)
		}
		if err := s.Promote(ctx, back, byCommandLine, c.Reason); err != nil {
			return err
		}
		return w.report(servingReport{kind, back}, "%s serves as %s again\n", back, kind)
	})
}

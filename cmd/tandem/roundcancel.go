package main

import (
	"context"
	"errors"
)

// roundsCommand is what can be done with rounds: to run one, which needs no word for it, and to cancel it.
type roundsCommand struct {
	Run    roundCommand       `cmd:"" default:"withargs" help:"Run one round, or go on with it; the word run may be left out."`
	Cancel roundCancelCommand `cmd:"" help:"Have the workers and the command of a round stop; --resume goes on with it."`
}

type roundCancelCommand struct {
	Number int `arg:"" name:"round" help:"The round's number."`
	databaseFlags
}

func (c *roundCancelCommand) Run(ctx context.Context, w *world) (err error) {
	db, err := c.open(ctx, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	if err := db.CancelRound(ctx, c.Number, byCommandLine); err != nil {
		return err
	}
	round, err := db.Round(ctx, c.Number)
	if err != nil {
		return err
	}
	return w.report(round, "round %d (%s) is cancelled: workers give its work back within seconds\n", round.Number, round.Name)
}

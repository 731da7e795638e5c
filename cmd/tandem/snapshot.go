package main

import (
	"context"
	"strconv"
	"time"

	"tandem/store"
)

// snapshotCommand freezes sets of comparisons, so that what a model was fitted to can be had again.
type snapshotCommand struct {
	Create snapshotCreateCommand `cmd:"" help:"Freeze the comparisons that count now under a name."`
	List   snapshotListCommand   `cmd:"" help:"List the snapshots, the newest first."`
}

type snapshotCreateCommand struct {
	Name string `arg:"" help:"Name that no other snapshot has."`
	comparisonFlags
	databaseFlags
}

type snapshotListCommand struct {
	databaseFlags
}

// snapshotReport is a snapshot's JSON.
type snapshotReport struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Hash        string    `json:"hash"` // SHA-256 over what the comparisons say
	Comparisons int       `json:"comparisons"`
	CreatedAt   time.Time `json:"created_at"`
}

func reportSnapshot(s store.Snapshot) snapshotReport {
	return snapshotReport{s.ID, s.Name, s.Hash, s.Comparisons, s.CreatedAt}
}

func (c *snapshotCreateCommand) Run(ctx context.Context, w *world) error {
	return c.use(ctx, w, func(s *store.Store) error {
		made, err := s.CreateSnapshot(ctx, c.Name, c.query())
		if err != nil {
			return err
		}
		return w.report(reportSnapshot(made), "snapshot %s: %d comparisons, %s\n", made.ID, made.Comparisons, made.Hash)
	})
}

func (c *snapshotListCommand) Run(ctx context.Context, w *world) error {
	return c.use(ctx, w, func(s *store.Store) error {
		snapshots, err := s.Snapshots(ctx)
		if err != nil {
			return err
		}
		list := struct {
			Snapshots []snapshotReport `json:"snapshots"`
		}{[]snapshotReport{}}
		var rows [][]string
		for _, s := range snapshots {
			list.Snapshots = append(list.Snapshots, reportSnapshot(s))
			rows = append(rows, []string{s.ID, s.Name, strconv.Itoa(s.Comparisons), day(s.CreatedAt), s.Hash})
		}
		return w.table(list, []string{"ID", "NAME", "COMPARISONS", "CREATED", "HASH"}, rows)
	})
}

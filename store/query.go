package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// one runs a query for the one row that thing names. Errors: NotFound where there is none.
func one[T any](ctx context.Context, db querier, op, thing, sql string, args pgx.NamedArgs, scan pgx.RowToFunc[T]) (T, error) {
	var none T
	rows, err := db.Query(ctx, sql, args)
	if err != nil {
		return none, fail(op, err)
	}
	value, err := pgx.CollectOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return none, tandem.Errorf(tandem.NotFound, op, "there is no %s", thing)
	}
	return value, fail(op, err)
}

// all runs a query and collects its rows.
func all[T any](ctx context.Context, db querier, op, sql string, args pgx.NamedArgs, scan pgx.RowToFunc[T]) ([]T, error) {
	rows, err := db.Query(ctx, sql, args)
	if err != nil {
		return nil, fail(op, err)
	}
	values, err := pgx.CollectRows(rows, scan)
	return values, fail(op, err)
}

// nilIfZero makes a zero value NULL.
func nilIfZero[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

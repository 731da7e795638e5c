package store

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Together runs fn in one transaction: whatever is asked of the store with the context that fn is given
// happens there, all of it or nothing. That context is for one goroutine.
func (s *Store) Together(ctx context.Context, fn func(ctx context.Context) error) error {
	return s.within(ctx, "store.Together", func(tx pgx.Tx) error {
		return fn(context.WithValue(ctx, transactionKey{}, tx))
	})
}

// transactionKey keys the transaction of a context.
type transactionKey struct{}

// transactionOf is the transaction that Together put into ctx; nil outside one.
func transactionOf(ctx context.Context) pgx.Tx {
	tx, _ := ctx.Value(transactionKey{}).(pgx.Tx)
	return tx
}

// ambient is a pool that works in the context's transaction, where there is one.
type ambient struct{ pool *pgxpool.Pool }

func (a ambient) of(ctx context.Context) querier {
	if tx := transactionOf(ctx); tx != nil {
		return tx
	}
	return a.pool
}

func (a ambient) Begin(ctx context.Context) (pgx.Tx, error) { return a.of(ctx).Begin(ctx) }

func (a ambient) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return a.of(ctx).Exec(ctx, sql, args...)
}

func (a ambient) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return a.of(ctx).Query(ctx, sql, args...)
}

func (a ambient) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return a.of(ctx).QueryRow(ctx, sql, args...)
}

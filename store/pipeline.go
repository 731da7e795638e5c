package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// pipelined is within with fewer round trips: BEGIN travels with the statements that first queues, and COMMIT with
// those of the batch that fn returns (nil for none, as where fn is nil). So a transaction of any number of statements that need
// nothing of each other but what first read takes two. Whatever waits for a lock and what must see what was done
// meanwhile are still statements of their own: each has a snapshot of its own, however they travel.
func (s *Store) pipelined(ctx context.Context, op string, first func(*pgx.Batch), fn func(tx pgx.Tx) (last *pgx.Batch, err error)) error {
	_, bound := s.db.(pgx.Tx)
	if bound || transactionOf(ctx) != nil { // somebody else's transaction, whose BEGIN and COMMIT are theirs
		return s.within(ctx, op, func(tx pgx.Tx) error {
			batch := &pgx.Batch{}
			first(batch)
			if err := tx.SendBatch(ctx, batch).Close(); err != nil {
				return err
			}
			if fn == nil {
				return nil
			}
			last, err := fn(tx)
			if err == nil && last != nil {
				err = tx.SendBatch(ctx, last).Close()
			}
			return err
		})
	}
	for try := 0; ; try++ {
		err := s.pipelineOnce(ctx, first, fn)
		if err == nil {
			return nil
		}
		if try == retries || !passing(err) {
			return fail(op, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(10<<try) * time.Millisecond):
		}
	}
}

func (s *Store) pipelineOnce(ctx context.Context, first func(*pgx.Batch), fn func(tx pgx.Tx) (*pgx.Batch, error)) (err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release() // which closes a connection that is left within a transaction
	tx := openTx{conn.Conn()}
	batch := &pgx.Batch{}
	batch.Queue(`BEGIN`)
	// These statements look for single rows by their ids: the plan is the same whichever. Postgres would plan some of
	// them anew each time, which takes longer than doing them.
	batch.Queue(`SET LOCAL plan_cache_mode = force_generic_plan`)
	first(batch)
	var last *pgx.Batch
	if err = tx.SendBatch(ctx, batch).Close(); err == nil && fn != nil {
		last, err = fn(tx)
	}
	if err == nil {
		if last == nil {
			last = &pgx.Batch{}
		}
		last.Queue(`COMMIT`).Exec(func(tag pgconn.CommandTag) error {
			if tag.String() == "ROLLBACK" {
				return pgx.ErrTxCommitRollback
			}
			return nil
		})
		err = tx.SendBatch(ctx, last).Close()
	}
	if err != nil && tx.conn.PgConn().TxStatus() != 'I' && !tx.conn.IsClosed() {
		_ = tx.Rollback(ctx) // else the connection is closed, which rolls back as well
	}
	return err
}

// openTx is a transaction whose BEGIN has been sent, for what wants a pgx.Tx.
type openTx struct{ conn *pgx.Conn }

var errNoTx = errors.New("not within a pipelined transaction")

func (t openTx) Begin(ctx context.Context) (pgx.Tx, error) { return nil, errNoTx }
func (t openTx) Commit(ctx context.Context) error          { return errNoTx }
func (t openTx) Rollback(ctx context.Context) error {
	_, err := t.conn.Exec(ctx, `ROLLBACK`)
	return err
}
func (t openTx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	return t.conn.CopyFrom(ctx, table, columns, rows)
}
func (t openTx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	return t.conn.SendBatch(ctx, b)
}
func (t openTx) LargeObjects() pgx.LargeObjects { return pgx.LargeObjects{} }
func (t openTx) Prepare(ctx context.Context, name, sql string) (*pgconn.StatementDescription, error) {
	return t.conn.Prepare(ctx, name, sql)
}
func (t openTx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return t.conn.Exec(ctx, sql, args...)
}
func (t openTx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return t.conn.Query(ctx, sql, args...)
}
func (t openTx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return t.conn.QueryRow(ctx, sql, args...)
}
func (t openTx) Conn() *pgx.Conn { return t.conn }

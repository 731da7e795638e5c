package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// Answer is what a request that makes something was answered with.
type Answer struct {
	Status   int
	Body     []byte
	Replayed bool // it was given before, and nothing was done this time
}

// errNotKept rolls back what a request did that came to nothing.
var errNotKept = errors.New("the answer is not kept")

// Once does what a request asks for, once for each key of a caller: do runs in a transaction that its
// answer is kept in, and the same request is given that answer from then on. An answer with a status of
// 400 or more rolls back what was done, and is not kept. Hash is the request's. Errors: Conflict when the
// key came with another request before.
func (s *Store) Once(ctx context.Context, caller, key string, hash [32]byte, do func(ctx context.Context) (Answer, error)) (Answer, error) {
	const op = "store.Once"
	args := pgx.NamedArgs{"caller": caller, "key": key}
	var answer Answer
	err := s.Together(ctx, func(ctx context.Context) error {
		// One of several requests with the same key is first; the others wait for its answer.
		if _, err := s.db.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('tandem request ' || @caller || ' ' || @key, 0))`, args); err != nil {
			return err
		}
		type row struct {
			Hash   []byte
			Status int
			Body   []byte
		}
		first, err := one(ctx, s.db, op, "answer", `SELECT body_hash, status, body FROM idempotency WHERE caller = @caller AND key = @key`, args, pgx.RowToStructByPos[row])
		switch {
		case err == nil && string(first.Hash) != string(hash[:]):
			return tandem.Errorf(tandem.Conflict, op, "the Idempotency-Key %q came with another request before", key)
		case err == nil:
			answer = Answer{first.Status, first.Body, true}
			return nil
		case tandem.CodeOf(err) != tandem.NotFound:
			return err
		}
		if answer, err = do(ctx); err != nil {
			return err
		}
		if answer.Status >= 400 {
			return errNotKept
		}
		body := answer.Body
		if body == nil {
			body = []byte{}
		}
		_, err = s.db.Exec(ctx, `INSERT INTO idempotency (caller, key, body_hash, status, body) VALUES (@caller, @key, @hash, @status, @body)`,
			pgx.NamedArgs{"caller": caller, "key": key, "hash": hash[:], "status": answer.Status, "body": body})
		return err
	})
	if errors.Is(err, errNotKept) {
		return answer, nil
	}
	return answer, err
}

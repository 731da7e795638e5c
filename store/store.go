package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"tandem"
	"tandem/migrations"
)

// Store keeps the loop's state. It is safe for concurrent use.
type Store struct {
	pool *pgxpool.Pool
	db   querier // pool, or a transaction: the context's, or the one that WithLease binds a Store to
}

// querier is what a pool and a transaction have in common. Begin on a transaction is a savepoint.
type querier interface {
	Begin(ctx context.Context) (pgx.Tx, error)
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// defaultConns is how many connections a process holds at most, unless the URL says pool_max_conns. A
// stream keeps one for as long as it is read.
const defaultConns = 16

// Open connects to the database at url and takes on the role tandem_app, which the user of url must be
// or be a member of. Errors: Unavailable when it does not answer or was never migrated, Conflict when its
// schema is not the one that this program was written for.
func Open(ctx context.Context, url string) (*Store, error) {
	const op = "store.Open"
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, tandem.Errorf(tandem.Invalid, op, "the database's URL: %w", err)
	}
	if !strings.Contains(url, "pool_max_conns") {
		config.MaxConns = defaultConns
	}
	parameters := config.ConnConfig.RuntimeParams
	parameters["search_path"] = schema
	parameters["role"] = appRole
	parameters["timezone"] = "UTC"
	parameters["client_min_messages"] = "warning"
	// Statements here read few rows by index, also those whose cost is overestimated: compiling such a plan takes a hundred
	// times as long as running it (40 ms for who opens their home beside a project of a million comparisons).
	parameters["jit"] = "off"
	if parameters["application_name"] == "" {
		parameters["application_name"] = "tandem"
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fail(op, err)
	}
	s := &Store{pool: pool, db: ambient{pool}}
	if err := s.checkVersion(ctx); err != nil {
		pool.Close()
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "42501" { // insufficient_privilege
			return nil, tandem.Errorf(tandem.Forbidden, op,
				"the user %s may not act as the role %s; have an administrator run: GRANT %[2]s TO %[1]s: %[3]w", config.ConnConfig.User, appRole, err)
		}
		return nil, fail(op, err)
	}
	return s, nil
}

// Close waits for what is under way and closes every connection.
func (s *Store) Close() { s.pool.Close() }

// Pool is the connection pool, for the queue that delivers work, which lives in the same database.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return fail("store.Ping", s.pool.Ping(ctx)) }

// checkVersion compares the database's schema with the one that this program was written for.
func (s *Store) checkVersion(ctx context.Context) error {
	files, err := migrations.Files.ReadDir(".")
	if err != nil {
		return err
	}
	known := int32(len(files))
	var version int32
	switch err := s.pool.QueryRow(ctx, `SELECT version FROM schema_version`).Scan(&version); {
	case err != nil:
		return err
	case version > known:
		return newer(version, known)
	case version < known:
		return tandem.Errorf(tandem.Conflict, "store.Open", "the database's schema is version %d and this tandem needs %d: run tandem migrate", version, known)
	}
	return nil
}

// retries is how often a transaction is tried again that lost to another or never reached the server.
const retries = 4

// within runs fn in one transaction. What fn does must bear being done again from the start: everything
// of a lost try is rolled back.
func (s *Store) within(ctx context.Context, op string, fn func(tx pgx.Tx) error) error {
	for try := 0; ; try++ {
		err := pgx.BeginFunc(ctx, s.db, fn)
		if err == nil {
			return nil
		}
		_, nested := s.db.(pgx.Tx)
		nested = nested || transactionOf(ctx) != nil // a savepoint cannot outlive its transaction's failure
		if nested || try == retries || !passing(err) {
			return fail(op, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(10<<try) * time.Millisecond):
		}
	}
}

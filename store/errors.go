package store

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tandem"
)

// fail turns an error of Postgres's into one of the domain's. It is the one place where SQLSTATEs are
// read (https://www.postgresql.org/docs/current/errcodes-appendix.html). Errors of the domain pass as they are.
func fail(op string, err error) error {
	if err == nil {
		return nil
	}
	var ours *tandem.Error
	if errors.As(err, &ours) {
		return err
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return failPostgres(op, pg, err)
	}
	var network net.Error
	var connect *pgconn.ConnectError
	switch {
	case errors.Is(err, context.Canceled):
		return err // the caller knows; it is no fault of the database's
	case errors.Is(err, pgx.ErrNoRows):
		return tandem.Errorf(tandem.NotFound, op, "there is none such: %w", err)
	case errors.Is(err, errRaced):
		return tandem.Errorf(tandem.Unavailable, op, "the database was too busy with the same rows: %w", err)
	case errors.As(err, &connect), errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, net.ErrClosed), errors.Is(err, context.DeadlineExceeded), pgconn.SafeToRetry(err):
		return tandem.Errorf(tandem.Unavailable, op, "the database does not answer: %w", err)
	}
	return tandem.Errorf(tandem.Internal, op, "%w", err)
}

// violates reports whether an error is a row's that broke the named constraint.
func violates(err error, constraint string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.ConstraintName == constraint
}

// failPostgres maps what the server itself reports.
func failPostgres(op string, pg *pgconn.PgError, err error) error {
	switch pg.Code {
	case "23505": // unique_violation
		return tandem.Errorf(tandem.Conflict, op, "one with this %s exists already in %s: %w", columnOf(pg), pg.TableName, err)
	case "23503": // foreign_key_violation
		return tandem.Errorf(tandem.NotFound, op, "%s names something that does not exist: %w", columnOf(pg), err)
	case "23514", "23502": // check_violation, not_null_violation
		return tandem.Errorf(tandem.Invalid, op, "%s cannot have this value in %s: %w", columnOf(pg), pg.TableName, err)
	case "40001", "40P01", "55P03": // serialization_failure, deadlock_detected, lock_not_available
		return tandem.Errorf(tandem.Unavailable, op, "the database was too busy with the same rows: %w", err)
	case "42501": // insufficient_privilege
		return tandem.Errorf(tandem.Forbidden, op, "the database refuses: %w", err)
	case "22023": // invalid_parameter_value: a role that is missing where a connection begins, and else a time zone that is none
		if connect := (*pgconn.ConnectError)(nil); !errors.As(err, &connect) {
			return tandem.Errorf(tandem.Invalid, op, "the database cannot hold this value: %w", err)
		}
		fallthrough
	case "42P01", "3F000": // undefined_table, invalid_schema_name
		return tandem.Errorf(tandem.Unavailable, op, "the database has not been migrated (run tandem migrate): %w", err)
	case "53100": // disk_full
		return tandem.Errorf(tandem.Unavailable, op, "the database's disk is full: %w", err)
	case "25P03": // idle_in_transaction_session_timeout: this process was stopped, or slow, in the middle of it
		return tandem.Errorf(tandem.Unavailable, op, "the database did not wait for the rest of the transaction: %w", err)
	case "57014": // query_canceled
		return tandem.Errorf(tandem.Unavailable, op, "the database gave up on a query: %w", err)
	}
	switch pg.Code[:2] {
	case "22": // data exception: a NUL in a text, a number out of range
		return tandem.Errorf(tandem.Invalid, op, "the database cannot hold this value: %w", err)
	case "08", "53", "57", "58": // connection, insufficient resources, operator intervention, system error
		return tandem.Errorf(tandem.Unavailable, op, "the database is away: %w", err)
	case "28": // invalid authorization
		return tandem.Errorf(tandem.Unavailable, op, "the database does not let tandem in: %w", err)
	}
	return tandem.Errorf(tandem.Internal, op, "%w", err)
}

// columnOf is the column that a violated constraint is about: Postgres names a constraint by its table, its
// columns and its kind. The name itself is said of rules between columns.
func columnOf(pg *pgconn.PgError) string {
	if pg.ColumnName != "" {
		return pg.ColumnName
	}
	name, ofTable := strings.CutPrefix(pg.ConstraintName, pg.TableName+"_")
	if end := strings.LastIndexByte(name, '_'); ofTable && end > 0 {
		return name[:end]
	}
	return "the rule " + pg.ConstraintName
}

// passing reports whether a transaction that failed with err has left nothing behind and may go through
// when it is tried again: it lost to another, or never reached the server.
func passing(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "40001" || pg.Code == "40P01"
	}
	return errors.Is(err, errRaced) || pgconn.SafeToRetry(err)
}

// errRaced ends a transaction that met another's row between two looks at it.
var errRaced = errors.New("another transaction made the same row")

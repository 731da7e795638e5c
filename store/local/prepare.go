package local

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tandem"
)

// prepare waits until the server answers and sees to it that roles and database exist.
func (s *Server) prepare(ctx context.Context) error {
	const op = "local.Start"
	conn, err := s.connect(ctx)
	if errors.Is(err, errGone) {
		return err
	}
	if err != nil {
		return tandem.Errorf(tandem.Unavailable, op, "%v does not answer: %w", s, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for role, password := range map[string]string{ownerRole: s.secrets.Owner, appRole: s.secrets.App} {
		var exists bool
		if err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`, role).Scan(&exists); err == nil && !exists {
			// DDL takes no parameters; both texts are letters and digits of our own.
			_, err = conn.Exec(ctx, `CREATE ROLE `+role+` LOGIN PASSWORD '`+password+`'`)
		}
		if err != nil {
			return tandem.Errorf(tandem.Unavailable, op, "making the role %s: %w", role, err)
		}
	}
	var exists bool
	if err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, database).Scan(&exists); err == nil && !exists {
		_, err = conn.Exec(ctx, `CREATE DATABASE `+database+` OWNER `+ownerRole)
	}
	if err != nil {
		return tandem.Errorf(tandem.Unavailable, op, "making the database %s: %w", database, err)
	}
	return nil
}

// connect connects as the superuser, patiently: a server that was adopted may still be replaying its log.
// The error is errGone where the server goes away meanwhile.
func (s *Server) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for began := time.Now(); ; {
		conn, err := pgx.Connect(ctx, s.AdminURL())
		if err == nil {
			return conn, nil
		}
		running, errRead := readPostmaster(s.cluster.data())
		if errRead != nil {
			return nil, errors.Join(err, errRead)
		}
		if running == nil {
			return nil, errGone
		}
		if _, errSocket := os.Stat(socketPath(running.socket)); running.status == "ready" && errors.Is(errSocket, fs.ErrNotExist) {
			return nil, errGone
		}
		var refused *pgconn.PgError
		starting := errors.As(err, &refused) && refused.Code == "57P03" // cannot_connect_now
		if ctx.Err() != nil || (refused != nil && !starting) || (running.status == "ready" && !starting && time.Since(began) > deafPatience) {
			return nil, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

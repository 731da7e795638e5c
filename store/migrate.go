package store

import (
	"context"
	"errors"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/tern/v2/migrate"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"tandem"
	"tandem/migrations"
)

const (
	schema       = "tandem"
	versionTable = schema + ".schema_version"
	appRole      = "tandem_app"
	// riverVersion pins River's schema to what the linked river release was written for.
	riverVersion = 8
	// migrationLock is the advisory lock under which one process at a time migrates: "tandem" in hexadecimal.
	migrationLock int64 = 0x74616e64656d
)

// RiverSchema is the schema in which River keeps its jobs.
const RiverSchema = "river"

// Migrate brings the database to the newest schema: tandem's own, then River's. It connects as the
// owner, waits for any other migration to end, and changes nothing where there is nothing to do. It
// makes the role tandem_app where it is missing and may. Errors: Conflict when the database is newer
// than this program, Forbidden when the owner may not do what is needed, Unavailable when it cannot be reached.
func Migrate(ctx context.Context, ownerURL string) error {
	const op = "store.Migrate"
	config, err := pgxpool.ParseConfig(ownerURL)
	if err != nil {
		return tandem.Errorf(tandem.Invalid, op, "the database's URL: %w", err)
	}
	config.MaxConns = 2
	config.ConnConfig.RuntimeParams["search_path"] = schema
	config.ConnConfig.RuntimeParams["client_min_messages"] = "warning"
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig.Copy())
	if err != nil {
		return fail(op, err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) // and with it the lock
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, migrationLock); err != nil {
		return fail(op, err)
	}
	if err := ensureAppRole(ctx, conn); err != nil {
		return fail(op, err)
	}
	if err := migrateOwn(ctx, conn); err != nil {
		return fail(op, err)
	}
	return fail(op, migrateRiver(ctx, conn, config))
}

// ensureAppRole makes the role that everything but migrations runs as, where it is missing. Roles belong
// to the whole server, so it may stand already, and may be one that logs in.
func ensureAppRole(ctx context.Context, conn *pgx.Conn) error {
	var exists, usable bool
	if err := conn.QueryRow(ctx, `
		SELECT count(*) > 0, coalesce(bool_or(rolcanlogin OR pg_has_role(current_user, oid, 'MEMBER')), false)
		FROM pg_roles WHERE rolname = $1`,
		appRole).Scan(&exists, &usable); err != nil {
		return err
	}
	if !exists {
		if _, err := conn.Exec(ctx, `CREATE ROLE `+appRole); err != nil {
			return tandem.Errorf(tandem.Forbidden, "store.Migrate",
				"the role %s does not exist and could not be made; have an administrator run: CREATE ROLE %[1]s; GRANT %[1]s TO the user of DATABASE_URL: %w", appRole, err)
		}
	}
	if !usable {
		// It cannot log in, so the user of DATABASE_URL takes it on in Open. Who may not grant it is told then.
		_, _ = conn.Exec(ctx, `GRANT `+appRole+` TO CURRENT_USER`)
	}
	return nil
}

// migrateOwn runs the embedded files.
func migrateOwn(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, `CREATE SCHEMA IF NOT EXISTS `+schema); err != nil {
		return err
	}
	m, err := migrate.NewMigrator(ctx, conn, versionTable)
	if err != nil {
		return err
	}
	if err := m.LoadMigrations(migrations.Files); err != nil {
		return err
	}
	version, err := m.GetCurrentVersion(ctx)
	if err != nil {
		return err
	}
	if int(version) > len(m.Migrations) {
		return newer(version, int32(len(m.Migrations)))
	}
	err = m.Migrate(ctx)
	var failed migrate.MigrationPgError
	if errors.As(err, &failed) {
		return tandem.Errorf(tandem.Internal, "store.Migrate", "%s: %w", failed.MigrationName, err)
	}
	return err
}

func newer(database, known int32) error {
	return tandem.Errorf(tandem.Conflict, "store.Migrate",
		"the database's schema is version %d and this tandem knows versions up to %d: use a newer tandem", database, known)
}

// migrateRiver brings River's schema to the pinned version and opens it to the application.
func migrateRiver(ctx context.Context, conn *pgx.Conn, config *pgxpool.Config) error {
	if _, err := conn.Exec(ctx, `CREATE SCHEMA IF NOT EXISTS `+RiverSchema); err != nil {
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	river, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: RiverSchema, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	existing, err := river.ExistingVersions(ctx)
	if err != nil {
		return err
	}
	if n := len(existing); n > 0 && existing[n-1].Version > riverVersion {
		return tandem.Errorf(tandem.Conflict, "store.Migrate",
			"the queue's schema is version %d and this tandem knows versions up to %d: use a newer tandem", existing[n-1].Version, riverVersion)
	}
	if len(existing) < riverVersion {
		if _, err := river.Migrate(ctx, rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: riverVersion}); err != nil {
			return err
		}
	}
	_, err = conn.Exec(ctx, `
		GRANT USAGE ON SCHEMA river TO tandem_app;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA river TO tandem_app;
		GRANT USAGE ON ALL SEQUENCES IN SCHEMA river TO tandem_app;
		REVOKE INSERT, UPDATE, DELETE ON river.river_migration FROM tandem_app`)
	return err
}

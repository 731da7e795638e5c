package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"
)

// AuditEntry says what was done in whose name.
type AuditEntry struct {
	ID      string          // given by the database
	At      time.Time       // given by the database
	Actor   string          // an annotator's id, "key:ID" or "cli"
	Action  string          // "key.revoke"
	Subject string          // the id of what it was done to
	Detail  json.RawMessage // anything else worth keeping; no names of people
}

// AddAudit keeps an entry that no other operation writes by itself.
func (s *Store) AddAudit(ctx context.Context, entry AuditEntry) error {
	return fail("store.AddAudit", audit(ctx, s.db, entry))
}

func audit(ctx context.Context, db querier, entry AuditEntry) error {
	if len(entry.Detail) == 0 {
		entry.Detail = json.RawMessage(`{}`)
	}
	_, err := db.Exec(ctx, `INSERT INTO audit (actor, action, subject, detail) VALUES (@actor, @action, @subject, @detail)`,
		pgx.NamedArgs{"actor": entry.Actor, "action": entry.Action, "subject": entry.Subject, "detail": entry.Detail})
	return err
}

const auditColumns = `id::text, at, actor, action, subject, detail`

// Audit lists what was done to a subject, the last first.
func (s *Store) Audit(ctx context.Context, subject string) ([]AuditEntry, error) {
	return all(ctx, s.db, "store.Audit", `SELECT `+auditColumns+` FROM audit WHERE subject = @subject ORDER BY audit.id DESC`,
		pgx.NamedArgs{"subject": subject}, pgx.RowToStructByPos[AuditEntry])
}

// AuditLog lists what was done, the last first: to one subject, or to all for an empty one.
func (s *Store) AuditLog(ctx context.Context, subject string, page Page) ([]AuditEntry, error) {
	const op = "store.AuditLog"
	var before *int64
	if page.After != "" {
		n, err := parseID(op, "entry", page.After)
		if err != nil {
			return nil, err
		}
		before = &n
	}
	return all(ctx, s.db, op, `
		SELECT `+auditColumns+` FROM audit
		WHERE (@subject = '' OR subject = @subject) AND (@before::bigint IS NULL OR audit.id < @before)
		ORDER BY audit.id DESC LIMIT @limit`,
		pgx.NamedArgs{"subject": subject, "before": before, "limit": page.limit()}, pgx.RowToStructByPos[AuditEntry])
}

package store_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
)

// grants is all that the application may do with each table beside reading it, written by hand: a column named here
// may change, "+" is adding rows and "-" deleting them. Whoever widens a grant has thought about who entered what it holds.
var grants = map[string]string{
	// What was said, and what was done: added to, and nothing else.
	"activity": "+", "audit": "+", "batches": "+", "comparisons": "+", "decisions": "+", "declines": "+", "events": "+", "exclusions": "+", "golds": "+", "guidelines": "+",
	"idempotency": "+", "imported_comparisons": "+", "imports": "+", "judgment_ranks": "+", "judgments": "+", "labels": "+", "messages": "+",
	"openings": "+", "promotions": "+", "prompts": "+", "remarks": "+", "replay_attacks": "+", "replays": "+", "responses": "+", "returns": "+", "scores": "+", "snapshot_items": "+",
	"snapshots": "+", "task_responses": "+",
	"gold_answers": "", "schema_version": "",
	// Who people are, and how they come in.
	"annotators":       "+ disabled_at role time_zone",
	"identities":       "+- email name", // erasing a person is the one deletion
	"passwords":        "+ changed_at phc",
	"api_keys":         "+ revoked_at",
	"invitations":      "+ revoked_at used_at",
	"sessions":         "+ ended_at seen_at",
	"sign_in_failures": "+- *",
	// Work in progress.
	"assignments": "+ claimed_at closed_at outcome",
	"drafts":      "+ body closed_at revision updated_at",
	"projects": "+ answer_tokens blurred closed_at daily_limit gold_every gold_floor gold_window lease pass_share qualification_id " +
		"risks stretch temperatures vectors warning",
	"project_counts":   "+ *",
	"project_variants": "+-", // a setting
	"slots":            "+ assignment_id done_at gold lease_until",
	"tasks":            "+ closed_at",
	"stretches":        "+ ended_at",
	"variants":         "+ retired_at",
	"live_turns":       "+ abandoned_at task_id",
	"live_answers":     "+ error failures lease_until response_id seed temperature variant_id",
	"metrics":          "+- *", // a run that is resumed measures steps again
	"models":           "+ *",
	"rounds":           "+ *",
	"runs":             "+ *",
	"units":            "+ *",
}

// TestGrants holds what the application may do against the table above: by grants, not by habit.
func TestGrants(t *testing.T) {
	conn := connect(t, postgres.Database(t).OwnerURL)
	rows, err := conn.Query(t.Context(), `
		SELECT c.relname,
		       has_table_privilege('tandem_app', c.oid, 'INSERT'), has_table_privilege('tandem_app', c.oid, 'DELETE'),
		       has_table_privilege('tandem_app', c.oid, 'TRUNCATE') OR has_table_privilege('tandem_app', c.oid, 'TRIGGER') OR pg_has_role('tandem_app', c.relowner, 'MEMBER'),
		       CASE WHEN has_table_privilege('tandem_app', c.oid, 'UPDATE') THEN '{*}' ELSE ARRAY(
		           SELECT a.attname::text FROM pg_attribute a
		           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege('tandem_app', c.oid, a.attnum, 'UPDATE')
		           ORDER BY a.attname::text) END
		FROM pg_class c WHERE c.relnamespace = 'tandem'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`)
	if err != nil {
		t.Fatal(err)
	}
	left := maps.Clone(grants)
	var table string
	var insert, remove, more bool
	var columns []string
	if _, err := pgx.ForEachRow(rows, []any{&table, &insert, &remove, &more, &columns}, func() error {
		got := ""
		for mark, may := range map[string]bool{"+": insert, "-": remove} {
			if may {
				got = string(slices.Sorted(slices.Values([]rune(got + mark)))) // + stands before -
			}
		}
		for _, column := range columns {
			got += " " + column
		}
		if want, ok := grants[table]; !ok || got != want || more {
			t.Errorf("%s is granted as %q (more: %v), want %q", table, got, more, want)
		}
		delete(left, table)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Error(fmt.Sprint("there are no tables ", slices.Sorted(maps.Keys(left))))
	}
}

package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// Import is the record of one file of comparisons.
type Import struct {
	ID         string
	File       string
	SHA256     string // of the file, hexadecimal
	Format     string
	Aspects    string // "helpfulness", "safety", "both", or empty for what each record says
	Records    int    // comparisons read
	Added      int
	Duplicates int            // of each other or of earlier imports
	Skipped    map[string]int // records left out, by reason
	CreatedAt  time.Time
	Repeated   bool // the same file was imported before; the counts are those of then, and nothing was added
}

// ImportSource is a file of comparisons on its way in.
type ImportSource struct {
	File    string // its name, for people
	Format  string // "hh", "ultrafeedback", "trl" …
	Aspects string // what it is imported as; see Import
	// Comparisons yields the file's records. An error, of reading or of a malformed record, ends the import
	// and is returned as it is; nothing of the file is kept.
	Comparisons iter.Seq2[tandem.Comparison, error]
	// End is asked once, after the last record, for the SHA-256 of the file and for what the reader left
	// out, by reason.
	End func() (sum [sha256.Size]byte, skipped map[string]int)
}

// ImportComparisons keeps all comparisons of a file, or none. They are streamed into a table of the
// connection's own and settled in one short step at the end. A file that was imported before, as the
// same format and aspects, changes nothing and returns the first import; a comparison that is there
// already, from any file, is counted as a duplicate. Errors: Invalid names the record.
func (s *Store) ImportComparisons(ctx context.Context, source ImportSource) (Import, error) {
	const op = "store.ImportComparisons"
	var repeated Import
	var id int64
	// Not tried again when it loses to another: the source cannot be read twice.
	err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, createIncomingPrompts+`;`+extendIncoming); err != nil {
			return err
		}
		records, err := s.copyComparisons(ctx, tx, op, source.Comparisons)
		if err != nil {
			return err
		}
		sum, skipped := source.End()
		// One import settles at a time: the count of what is new must hold until it is written.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('tandem import'))`); err != nil {
			return err
		}
		repeated, err = one(ctx, tx, op, "import", selectImport+` WHERE sha256 = @sha256 AND format = @format AND aspects = @aspects`,
			pgx.NamedArgs{"sha256": sum[:], "format": source.Format, "aspects": source.Aspects}, scanImport)
		if err == nil {
			return errRepeated
		} else if tandem.CodeOf(err) != tandem.NotFound {
			return err
		}
		if skipped == nil {
			skipped = map[string]int{}
		}
		id, err = settleComparisons(ctx, tx, pgx.NamedArgs{
			"file": source.File, "sha256": sum[:], "format": source.Format, "aspects": source.Aspects,
			"records": records, "skipped": skipped,
		})
		return err
	})
	if errors.Is(err, errRepeated) {
		repeated.Repeated = true
		return repeated, nil
	}
	if err != nil {
		return Import{}, fail(op, err)
	}
	return one(ctx, s.db, op, "import", selectImport+` WHERE id = @id`, pgx.NamedArgs{"id": id}, scanImport)
}

// errRepeated rolls back an import that finds its file imported.
var errRepeated = errors.New("the file was imported before")

// Imports lists all imports, the newest first.
func (s *Store) Imports(ctx context.Context) ([]Import, error) {
	return all(ctx, s.db, "store.Imports", selectImport+` ORDER BY id DESC`, nil, scanImport)
}

const selectImport = `
	SELECT id, file, sha256, format, aspects, records, added, duplicates, skipped, created_at FROM imports`

func scanImport(row pgx.CollectableRow) (Import, error) {
	var i Import
	var id int64
	var sum []byte
	err := row.Scan(&id, &i.File, &sum, &i.Format, &i.Aspects, &i.Records, &i.Added, &i.Duplicates, &i.Skipped, &i.CreatedAt)
	i.ID, i.SHA256 = idText(id), hex.EncodeToString(sum)
	return i, err
}

const extendIncoming = `
	ALTER TABLE incoming
		ADD content_key bytea, ADD aspect text, ADD degree text, ADD margin double precision, ADD comparison_source text, ADD batch integer, ADD ranking text,
		ADD chosen text, ADD chosen_hash bytea, ADD chosen_origin text, ADD chosen_label text,
		ADD rejected text, ADD rejected_hash bytea, ADD rejected_origin text, ADD rejected_label text`

// copyComparisons streams the records into the table incoming and returns how many there were.
func (s *Store) copyComparisons(ctx context.Context, tx pgx.Tx, op string, comparisons iter.Seq2[tandem.Comparison, error]) (int, error) {
	next, stop := iter.Pull2(comparisons)
	defer stop()
	records := 0
	var bad error // kept aside: what comes back through the connection has lost its code
	columns := append(append([]string{}, incomingPromptColumns...),
		"content_key", "aspect", "degree", "margin", "comparison_source", "batch", "ranking",
		"chosen", "chosen_hash", "chosen_origin", "chosen_label",
		"rejected", "rejected_hash", "rejected_origin", "rejected_label")
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"incoming"}, columns, pgx.CopyFromFunc(func() ([]any, error) {
		c, err, ok := next()
		if !ok {
			return nil, nil
		}
		if err != nil {
			bad = err
			return nil, err
		}
		records++
		row, err := s.comparisonColumns(records, c)
		if err != nil {
			bad = tandem.Errorf(tandem.Invalid, op, "record %d: %w", records, err)
			return nil, bad
		}
		return row, nil
	}))
	if bad != nil {
		return 0, bad
	}
	return records, err
}

// comparisonColumns checks record n and returns its row of incoming.
func (s *Store) comparisonColumns(n int, c tandem.Comparison) ([]any, error) {
	p, err := s.incomingPrompt(c.Prompt)
	if err != nil {
		return nil, err
	}
	for _, text := range []string{c.Chosen.Content, c.Rejected.Content, c.Ranking} {
		if err := storable(text); err != nil {
			return nil, err
		}
	}
	if c.Chosen.Content == c.Rejected.Content {
		return nil, tandem.Errorf(tandem.Invalid, "", "the two answers are equal")
	}
	key, err := contentKey(c)
	if err != nil {
		return nil, err
	}
	chosen, rejected := sha256.Sum256([]byte(c.Chosen.Content)), sha256.Sum256([]byte(c.Rejected.Content))
	row := append([]any{n}, p.columns()...)
	return append(row, key, string(c.Aspect), degreeText(c.Degree), c.Margin, c.Source, c.Batch, c.Ranking,
		c.Chosen.Content, chosen[:], c.Chosen.Model, string(c.Chosen.Label),
		c.Rejected.Content, rejected[:], c.Rejected.Model, string(c.Rejected.Label)), nil
}

// contentKey is SHA-256 over all that a comparison says, without where it came from.
func contentKey(c tandem.Comparison) ([]byte, error) {
	said := struct {
		Aspect           tandem.Aspect
		Messages         []string // roles and texts in turn
		Safety           bool
		Chosen, Rejected [2]string
		Degree           tandem.Degree
		Margin           *float64
	}{
		Aspect: c.Aspect, Safety: c.Prompt.Safety,
		Chosen:   [2]string{c.Chosen.Content, string(c.Chosen.Label)},
		Rejected: [2]string{c.Rejected.Content, string(c.Rejected.Label)},
		Degree:   c.Degree, Margin: c.Margin,
	}
	for _, m := range c.Prompt.Messages {
		said.Messages = append(said.Messages, string(m.Role), m.Content)
	}
	text, err := json.Marshal(said)
	if err != nil {
		return nil, tandem.Errorf(tandem.Invalid, "", "%w", err)
	}
	sum := sha256.Sum256(text)
	return sum[:], nil
}

// settleComparisons makes the rows that the comparisons in the table incoming lack, and the import's own.
func settleComparisons(ctx context.Context, tx pgx.Tx, args pgx.NamedArgs) (id int64, err error) {
	if err := settlePrompts(ctx, tx); err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO responses (prompt_id, content, content_hash, origin)
		SELECT prompt_id, content, hash, origin FROM (
			SELECT DISTINCT ON (i.prompt_id, r.hash, r.origin) i.prompt_id, i.n, r.side, r.content, r.hash, r.origin
			FROM incoming i, LATERAL (VALUES
				(0, i.chosen, i.chosen_hash, i.chosen_origin),
				(1, i.rejected, i.rejected_hash, i.rejected_origin)) r (side, content, hash, origin)
			ORDER BY i.prompt_id, r.hash, r.origin, i.n, r.side
		) fresh ORDER BY n, side
		ON CONFLICT (prompt_id, content_hash, origin) WHERE model_id IS NULL DO NOTHING`); err != nil {
		return 0, err
	}
	if err := tx.QueryRow(ctx, `
		WITH fresh AS (
			SELECT count(DISTINCT content_key) AS added FROM incoming i
			WHERE NOT EXISTS (SELECT FROM imported_comparisons c WHERE c.content_key = i.content_key)
		)
		INSERT INTO imports (file, sha256, format, aspects, records, added, duplicates, skipped)
		SELECT @file, @sha256, @format, @aspects, @records::integer, added, @records::integer - added, @skipped FROM fresh
		RETURNING id`, args).Scan(&id); err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO imported_comparisons (import_id, content_key, aspect, prompt_id, chosen, rejected, degree, margin,
		                                  chosen_label, rejected_label, source, batch, ranking)
		SELECT @import, i.content_key, i.aspect, i.prompt_id, c.id, r.id, i.degree, i.margin,
		       i.chosen_label, i.rejected_label, i.comparison_source, i.batch, i.ranking
		FROM (SELECT DISTINCT ON (content_key) * FROM incoming ORDER BY content_key, n) i
		JOIN responses c ON c.prompt_id = i.prompt_id AND c.content_hash = i.chosen_hash AND c.origin = i.chosen_origin AND c.model_id IS NULL
		JOIN responses r ON r.prompt_id = i.prompt_id AND r.content_hash = i.rejected_hash AND r.origin = i.rejected_origin AND r.model_id IS NULL
		ORDER BY i.n
		ON CONFLICT (content_key) DO NOTHING`, pgx.NamedArgs{"import": id})
	return id, err
}

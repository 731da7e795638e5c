package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"tandem"
)

// AddPrompts keeps prompts and returns them with their ids and their side of the split, in order. A
// prompt that is there already, by its dialogue and its safety flag, keeps its first row. Errors:
// Invalid names the prompt that no policy could answer.
func (s *Store) AddPrompts(ctx context.Context, prompts []tandem.Prompt) ([]tandem.Prompt, error) {
	return s.addPrompts(ctx, "store.AddPrompts", prompts, tandem.HeldOutShare)
}

// addPrompts keeps prompts; of their openings that are new, the share is held out.
func (s *Store) addPrompts(ctx context.Context, op string, prompts []tandem.Prompt, share float64) ([]tandem.Prompt, error) {
	incoming := make([]incomingPrompt, len(prompts))
	for i, p := range prompts {
		var err error
		if incoming[i], err = s.incomingPrompt(p); err != nil {
			return nil, tandem.Errorf(tandem.Invalid, op, "prompt %d: %w", i+1, err)
		}
		incoming[i].HeldOut = tandem.HeldOut(p.Messages.Opening(), share)
	}
	var kept []tandem.Prompt
	err := s.within(ctx, op, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, createIncomingPrompts); err != nil {
			return err
		}
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{"incoming"}, incomingPromptColumns, pgx.CopyFromSlice(len(incoming), func(i int) ([]any, error) {
			return append([]any{i}, incoming[i].columns()...), nil
		})); err != nil {
			return err
		}
		if err := settlePrompts(ctx, tx); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, selectPrompt+` JOIN incoming i ON i.prompt_id = p.id ORDER BY i.n`)
		if err != nil {
			return err
		}
		kept, err = pgx.CollectRows(rows, scanPrompt)
		return err
	})
	return kept, err
}

// PromptQuery selects prompts.
type PromptQuery struct {
	Split  Split
	Safety *bool  // only safety prompts, or only others; nil for both
	Source string // only those of one source; empty for all
	Page
}

// Prompts lists prompts by id.
func (s *Store) Prompts(ctx context.Context, q PromptQuery) ([]tandem.Prompt, error) {
	const op = "store.Prompts"
	after := int64(0)
	if q.After != "" {
		var err error
		if after, err = parseID(op, "prompt", q.After); err != nil {
			return nil, err
		}
	}
	rows, err := s.db.Query(ctx, selectPrompt+`
		WHERE p.id > @after
		  AND (@held_out::boolean IS NULL OR p.held_out = @held_out)
		  AND (@safety::boolean IS NULL OR p.safety = @safety)
		  AND (@source = '' OR p.source = @source)
		ORDER BY p.id LIMIT @limit`,
		pgx.NamedArgs{"after": after, "held_out": q.Split.heldOut(), "safety": q.Safety, "source": q.Source, "limit": q.limit()})
	if err != nil {
		return nil, fail(op, err)
	}
	prompts, err := pgx.CollectRows(rows, scanPrompt)
	return prompts, fail(op, err)
}

// HeldOutOpenings tells which of the openings the database holds out: as it decided when the first prompt with one came,
// and for those that it has not met by the rule that it will decide by (see [tandem.HeldOut]).
func (s *Store) HeldOutOpenings(ctx context.Context, openings map[string]bool) (held map[string]bool, err error) {
	type decided struct {
		Hash    []byte
		HeldOut bool
	}
	held = make(map[string]bool)
	hashes, byHash := make([][]byte, 0, len(openings)), make(map[[sha256.Size]byte]string, len(openings))
	for opening := range openings {
		sum := sha256.Sum256([]byte(opening))
		hashes, byHash[sum] = append(hashes, sum[:]), opening
		held[opening] = tandem.HeldOut(opening, tandem.HeldOutShare)
	}
	rows, err := all(ctx, s.db, "store.HeldOutOpenings", `SELECT hash, held_out FROM openings WHERE hash = ANY(@hashes)`,
		pgx.NamedArgs{"hashes": hashes}, pgx.RowToStructByPos[decided])
	for _, row := range rows {
		held[byHash[[sha256.Size]byte(row.Hash)]] = row.HeldOut
	}
	return held, err
}

// Split selects a side of the one train / held-out split.
type Split string

const (
	AllData     Split = ""
	TrainData   Split = "train"
	HeldOutData Split = "held_out"
)

// heldOut is the side as the schema has it; nil for both.
func (s Split) heldOut() *bool {
	switch s {
	case TrainData:
		return new(false)
	case HeldOutData:
		return new(true)
	}
	return nil
}

const selectPrompt = `
	SELECT p.id, dialogue(p.message_id), p.safety, p.risk_category, p.attack_vector, p.source, p.held_out
	FROM prompts p`

func scanPrompt(row pgx.CollectableRow) (tandem.Prompt, error) {
	var p tandem.Prompt
	var id int64
	err := row.Scan(&id, &p.Messages, &p.Safety, &p.Risk, &p.Vector, &p.Source, &p.HeldOut)
	p.ID = idText(id)
	return p, err
}

// incomingPrompt is a prompt on its way in: its dialogue as a branch of the tree of messages.
type incomingPrompt struct {
	tandem.Prompt
	ids, parents    [][]byte // of each message; the first has no parent
	roles, contents []string
	opening         []byte
	author          pgtype.UUID // who wrote it here; null for one from elsewhere
}

// incomingPrompt checks p and computes its messages' ids. The side of the split is proposed here and
// decided by the opening's row, which may stand already.
func (s *Store) incomingPrompt(p tandem.Prompt) (incomingPrompt, error) {
	if err := p.Validate(); err != nil {
		return incomingPrompt{}, err
	}
	in := incomingPrompt{Prompt: p}
	var parent []byte
	for _, m := range p.Messages {
		if err := storable(m.Content); err != nil {
			return incomingPrompt{}, err
		}
		id := messageID(parent, m)
		in.ids, in.parents = append(in.ids, id), append(in.parents, parent)
		in.roles, in.contents = append(in.roles, string(m.Role)), append(in.contents, m.Content)
		parent = id
	}
	opening := p.Messages.Opening()
	sum := sha256.Sum256([]byte(opening))
	in.opening = sum[:]
	in.HeldOut = tandem.HeldOut(opening, tandem.HeldOutShare)
	return in, nil
}

// storable reports what Postgres could not hold as text.
func storable(text string) error {
	if !utf8.ValidString(text) {
		return tandem.Errorf(tandem.Invalid, "", "the text is not UTF-8")
	}
	if strings.ContainsRune(text, 0) {
		return tandem.Errorf(tandem.Invalid, "", "the text holds a NUL character, which the database cannot keep")
	}
	return nil
}

// messageID is SHA-256 over the parent's id, the role and the text, each led by its length.
func messageID(parent []byte, m tandem.Message) []byte {
	h := sha256.New()
	for _, part := range [][]byte{parent, []byte(m.Role), []byte(m.Content)} {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write(part)
	}
	return h.Sum(nil)
}

// createIncomingPrompts makes the table that prompts are copied into before they are settled. A
// transaction that adds prompts twice meets the first one's.
const createIncomingPrompts = `
	DROP TABLE IF EXISTS pg_temp.incoming;
	CREATE TEMP TABLE incoming (
		n integer PRIMARY KEY,
		message_ids bytea[], parents bytea[], roles text[], contents text[],
		message_id bytea, opening bytea, held_out boolean,
		safety boolean, risk_category text, attack_vector text, source text, author uuid,
		prompt_id bigint
	) ON COMMIT DROP`

var incomingPromptColumns = []string{"n", "message_ids", "parents", "roles", "contents",
	"message_id", "opening", "held_out", "safety", "risk_category", "attack_vector", "source", "author"}

// columns are p's values for incomingPromptColumns but n.
func (p incomingPrompt) columns() []any {
	return []any{p.ids, p.parents, p.roles, p.contents, p.ids[len(p.ids)-1], p.opening, p.HeldOut,
		p.Safety, string(p.Risk), string(p.Vector), p.Source, p.author}
}

// settlePrompts makes the rows that the prompts in the table incoming lack, and writes their ids there.
// One transaction does so at a time: two that bring the same prompts in another order would wait for
// each other in a circle, and a file cannot be read again.
func settlePrompts(ctx context.Context, tx pgx.Tx) error {
	for _, sql := range []string{
		`ANALYZE incoming`,
		`SELECT pg_advisory_xact_lock(hashtext('tandem prompts'))`,
		`INSERT INTO messages (id, parent, role, content)
		 SELECT DISTINCT ON (m.id) m.id, m.parent, m.role, m.content
		 FROM incoming i, unnest(i.message_ids, i.parents, i.roles, i.contents) AS m (id, parent, role, content)
		 ORDER BY m.id
		 ON CONFLICT (id) DO NOTHING`,
		`INSERT INTO openings (hash, held_out)
		 SELECT DISTINCT ON (opening) opening, held_out FROM incoming ORDER BY opening
		 ON CONFLICT (hash) DO NOTHING`,
		`INSERT INTO prompts (message_id, opening, held_out, safety, risk_category, attack_vector, source, author)
		 SELECT i.message_id, i.opening, o.held_out, i.safety, i.risk_category, i.attack_vector, i.source, i.author
		 FROM (SELECT DISTINCT ON (message_id, safety) * FROM incoming ORDER BY message_id, safety, n) i
		 JOIN openings o ON o.hash = i.opening
		 ORDER BY i.n
		 ON CONFLICT (message_id, safety) DO NOTHING`,
		`UPDATE incoming i SET prompt_id = p.id FROM prompts p
		 WHERE p.message_id = i.message_id AND p.safety = i.safety`,
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

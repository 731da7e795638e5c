package store

import (
	"strconv"

	"github.com/jackc/pgx/v5/pgtype"

	"tandem"
)

// Rows are numbered by the database and named by text outside it, so that callers need not care.

func idText(id int64) string { return strconv.FormatInt(id, 10) }

// parseID reads the id of a noun ("prompt"). What is no id names nothing that exists.
func parseID(op, noun, id string) (int64, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return 0, tandem.Errorf(tandem.NotFound, op, "there is no %s %q", noun, id)
	}
	return n, nil
}

func parseIDs(op, noun string, ids []string) ([]int64, error) {
	numbers := make([]int64, len(ids))
	for i, id := range ids {
		n, err := parseID(op, noun, id)
		if err != nil {
			return nil, err
		}
		numbers[i] = n
	}
	return numbers, nil
}

// parseAnnotator reads a pseudonym, which is a UUID.
func parseAnnotator(op, id string) (pgtype.UUID, error) {
	var annotator pgtype.UUID
	if err := annotator.Scan(id); err != nil {
		return annotator, tandem.Errorf(tandem.NotFound, op, "there is no annotator %q", id)
	}
	return annotator, nil
}

// parseTurn reads a person's pseudonym and the id of an assignment of theirs.
func parseTurn(op, annotator, assignment string) (person pgtype.UUID, id int64, err error) {
	if person, err = parseAnnotator(op, annotator); err == nil {
		id, err = parseID(op, "assignment", assignment)
	}
	return person, id, err
}

// Page asks for a part of a list.
type Page struct {
	After string // id that the last page ended with; empty for the first page
	Limit int    // rows at most; defaults to 100, and 1,000 is the most
}

func (p Page) limit() int {
	if p.Limit <= 0 {
		return 100
	}
	return min(p.Limit, 1000)
}

package store

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// drawn is who gives an answer, and how.
type drawn struct {
	variant     int64
	temperature float64
	seed        uint64
}

// drawPool is what a project's answers are drawn from.
type drawPool struct {
	variants     []int64 // at least one
	temperatures []float64
}

// draw chooses the two answers of a turn, left and right, by the seed alone: two different variants at different
// temperatures (section 3.2.1: "two different model variants, varying the temperature"). Where there is one
// variant both answers are its own, and where there is one temperature both have it; the seeds differ in any case.
//
// For a turn whose answers failed, stays is the one that is kept and tried are the variants that failed: the
// first answer drawn avoids the one, and others as far as there are others. The answer's seed is the draw's own,
// the second's is the number after it.
func (p drawPool) draw(seed uint64, stays *drawn, tried []int64) [2]drawn {
	random := rand.New(rand.NewPCG(seed, 0x6c697665))
	variants, temperatures := slices.Clone(p.variants), slices.Clone(p.temperatures)
	random.Shuffle(len(variants), func(i, j int) { variants[i], variants[j] = variants[j], variants[i] })
	random.Shuffle(len(temperatures), func(i, j int) { temperatures[i], temperatures[j] = temperatures[j], temperatures[i] })
	slices.SortStableFunc(variants, avoiding(func(v int64) bool { return slices.Contains(tried, v) }))
	if stays != nil {
		slices.SortStableFunc(variants, avoiding(func(v int64) bool { return v == stays.variant }))
		slices.SortStableFunc(temperatures, avoiding(func(t float64) bool { return t == stays.temperature }))
	}
	var picks [2]drawn
	for i := range picks {
		picks[i] = drawn{variants[i%len(variants)], temperatures[i%len(temperatures)], seed + uint64(i)}
	}
	return picks
}

// avoiding orders what is avoided behind what is not.
func avoiding[T any](avoided func(T) bool) func(a, b T) int {
	rank := func(v T) int {
		if avoided(v) {
			return 1
		}
		return 0
	}
	return func(a, b T) int { return rank(a) - rank(b) }
}

// RedrawTurn draws anew, from seed, who gives those of a turn's answers that failed for good. An answer that is
// there, or on its way, stays. Errors: NotFound when it is not theirs, Conflict when the answers are both there,
// the turn was given up, or nothing can answer any more.
func (s *Store) RedrawTurn(ctx context.Context, annotator, id string, seed uint64) error {
	const op = "store.RedrawTurn"
	return s.changeTurn(ctx, op, annotator, id, func(tx pgx.Tx, turn int64) error {
		args := pgx.NamedArgs{"turn": turn, "tries": LiveTries}
		type row struct {
			Number      int
			Variant     int64
			Temperature float64
			Failed      bool
		}
		answers, err := all(ctx, tx, op, `SELECT a.number, a.variant_id, a.temperature, NOT (`+unanswered+`) AND a.response_id IS NULL
			FROM live_answers a WHERE a.turn_id = @turn ORDER BY a.number FOR UPDATE`, args, pgx.RowToStructByPos[row])
		if err != nil {
			return err
		}
		pool, err := one(ctx, tx, op, "project", `
			SELECT CASE WHEN s.id IS NULL THEN p.temperatures ELSE ARRAY[s.temperature] END,
			       CASE WHEN s.id IS NULL THEN
			           ARRAY(SELECT v.id FROM project_variants pv JOIN variants v ON v.id = pv.variant_id WHERE pv.project_id = p.id AND v.retired_at IS NULL ORDER BY v.id)
			       ELSE ARRAY[s.variant_id] END -- a stretch attacks one alone
			FROM live_turns t JOIN projects p ON p.id = t.project_id LEFT JOIN stretches s ON s.id = t.stretch_id WHERE t.id = @turn AND t.abandoned_at IS NULL`, args,
			func(row pgx.CollectableRow) (p drawPool, err error) { return p, row.Scan(&p.temperatures, &p.variants) })
		if tandem.CodeOf(err) == tandem.NotFound || err == nil && len(pool.variants) == 0 {
			return tandem.Errorf(tandem.Conflict, op, "nothing can answer this prompt any more")
		}
		if err != nil {
			return err
		}
		var stays *drawn
		var tried []int64
		for _, a := range answers {
			if a.Failed {
				tried = append(tried, a.Variant)
			} else {
				stays = &drawn{variant: a.Variant, temperature: a.Temperature}
			}
		}
		picks := pool.draw(seed, stays, tried)
		for _, a := range answers {
			if !a.Failed {
				continue
			}
			pick := picks[0]
			if stays == nil {
				pick = picks[a.Number-1]
			}
			if _, err := tx.Exec(ctx, `
				UPDATE live_answers SET variant_id = @variant, temperature = @temperature, seed = @seed, failures = 0, error = '', lease_until = NULL
				WHERE turn_id = @turn AND number = @number`,
				pgx.NamedArgs{"turn": turn, "number": a.Number, "variant": pick.variant, "temperature": pick.temperature, "seed": int64(pick.seed)}); err != nil {
				return err
			}
		}
		return nil
	})
}

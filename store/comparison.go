package store

import (
	"context"
	"fmt"
	"iter"
	"strconv"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// ComparisonQuery selects comparisons: imported pairs, pairwise judgments, and every pair of a ranking.
type ComparisonQuery struct {
	Aspect tandem.Aspect // empty for both
	Split  Split
	// Snapshot is the id of a frozen set. Without one, what counts now is selected: the newest version
	// of every judgment that is not excluded.
	Snapshot string
	// Project is the id of a project whose judgments alone are selected. Empty for all, and for what was imported.
	Project string
	// All selects what does not count, too: judgments that are excluded, and those of gold tasks.
	All bool
	// Judgments asks how each was judged.
	Judgments bool
}

// fromComparisons selects rows of the view comparisons as c, with prompts as p.
const fromComparisons = `
	FROM comparisons c JOIN prompts p ON p.id = c.prompt_id
	WHERE (@aspect = '' OR c.aspect = @aspect)
	  AND (@held_out::boolean IS NULL OR p.held_out = @held_out)
	  AND (@project::bigint IS NULL OR c.kind = 'j' AND EXISTS (SELECT FROM judgments j WHERE j.id = c.number AND j.project_id = @project))
	  AND CASE WHEN @snapshot::bigint IS NULL THEN c.newest AND (@all OR NOT c.excluded)
	      ELSE EXISTS (SELECT FROM snapshot_items i WHERE i.snapshot_id = @snapshot AND i.kind = c.kind AND i.number = c.number) END`

func (q ComparisonQuery) args(op string) (pgx.NamedArgs, error) {
	args := pgx.NamedArgs{"aspect": string(q.Aspect), "held_out": q.Split.heldOut(), "snapshot": nil, "project": nil, "all": q.All}
	if q.Project != "" {
		id, err := parseID(op, "project", q.Project)
		if err != nil {
			return nil, err
		}
		args["project"] = id
	}
	if q.Snapshot != "" {
		id, err := parseID(op, "snapshot", q.Snapshot)
		if err != nil {
			return nil, err
		}
		args["snapshot"] = id
	}
	return args, nil
}

// selectHow reads how the comparison c was judged, as JSON; null where it was imported.
const selectHow = `(
	SELECT jsonb_build_object('id', j.id::text, 'version', j.version, 'task_id', j.task_id::text, 'project_id', t.project_id::text,
	           'annotator_id', j.annotator_id, 'simulated', a.simulated, 'left', CASE WHEN j.kind = 'pairwise' THEN j.shown[1]::text END, 'right', CASE WHEN j.kind = 'pairwise' THEN j.shown[2]::text END, 'comment', j.comment,
	           'flag', (SELECT string_agg(f.reason, E'\n' ORDER BY f.id) FROM remarks f
	                    WHERE f.task_id = j.task_id AND f.annotator_id = j.annotator_id AND f.kind = 'flag'),
	           'guideline_version', j.guideline, 'active_seconds', extract(epoch FROM j.duration), 'surplus', j.surplus,
	           'gold', EXISTS (SELECT FROM golds g WHERE g.task_id = j.task_id),
	           'excluded', coalesce(e.excluded, false), 'excluded_because', CASE WHEN e.excluded THEN e.reason END, 'created_at', j.created_at)
	FROM judgments j
	JOIN tasks t ON t.id = j.task_id
	JOIN annotators a ON a.id = j.annotator_id
	LEFT JOIN LATERAL (SELECT excluded, reason FROM exclusions WHERE assignment_id = j.assignment_id ORDER BY id DESC LIMIT 1) e ON true
	WHERE c.kind = 'j' AND j.id = c.number)`

// Comparisons streams comparisons, the imported ones first, each kind in the order in which it came. All
// are of one moment. An error ends the sequence.
func (s *Store) Comparisons(ctx context.Context, q ComparisonQuery) iter.Seq2[tandem.Comparison, error] {
	const op = "store.Comparisons"
	args, err := q.args(op)
	if err != nil {
		return func(yield func(tandem.Comparison, error) bool) { yield(tandem.Comparison{}, err) }
	}
	how := "NULL::jsonb"
	if q.Judgments {
		how = selectHow
	}
	// The texts are joined after sorting, row by row, so that the sort holds numbers alone.
	return stream(ctx, s, op, `
		SELECT c.kind, c.number, c.aspect, c.degree, c.margin, c.source, c.batch, c.ranking,
		       c.prompt_id, dialogue(c.message_id), c.safety, c.risk_category, c.attack_vector, c.prompt_source, c.held_out,
		       c.chosen, chosen.content, coalesce(chosen.model_id, chosen.origin), c.chosen_label,
		       c.rejected, rejected.content, coalesce(rejected.model_id, rejected.origin), c.rejected_label, `+how+`
		FROM (
			SELECT c.*, p.message_id, p.safety, coalesce(c.entered_risk, p.risk_category) AS risk_category,
			       coalesce(c.entered_vector, p.attack_vector) AS attack_vector, p.source AS prompt_source, p.held_out`+
		fromComparisons+`
		) c
		JOIN responses chosen ON chosen.id = c.chosen
		JOIN responses rejected ON rejected.id = c.rejected
		ORDER BY c.kind, c.number, c.chosen, c.rejected`, args, scanComparison)
}

// CountComparisons counts what Comparisons would stream.
func (s *Store) CountComparisons(ctx context.Context, q ComparisonQuery) (int, error) {
	const op = "store.CountComparisons"
	args, err := q.args(op)
	if err != nil {
		return 0, err
	}
	var n int
	err = s.db.QueryRow(ctx, `SELECT count(*)`+fromComparisons, args).Scan(&n)
	return n, fail(op, err)
}

func scanComparison(row pgx.CollectableRow) (tandem.Comparison, error) {
	var c tandem.Comparison
	var kind, degree string
	var number, prompt, chosen, rejected int64
	err := row.Scan(&kind, &number, &c.Aspect, &degree, &c.Margin, &c.Source, &c.Batch, &c.Ranking,
		&prompt, &c.Prompt.Messages, &c.Prompt.Safety, &c.Prompt.Risk, &c.Prompt.Vector, &c.Prompt.Source, &c.HeldOut,
		&chosen, &c.Chosen.Content, &c.Chosen.Model, &c.Chosen.Label,
		&rejected, &c.Rejected.Content, &c.Rejected.Model, &c.Rejected.Label, &c.Judgment)
	if err != nil {
		return c, err
	}
	c.ID = kind + strconv.FormatInt(number, 10)
	if kind == "j" && c.Ranking != "" {
		c.ID = fmt.Sprintf("%s:%d:%d", c.ID, chosen, rejected)
	}
	c.Prompt.ID, c.Chosen.ID, c.Rejected.ID = idText(prompt), idText(chosen), idText(rejected)
	c.Prompt.HeldOut = c.HeldOut
	return c, c.Degree.UnmarshalText([]byte(degree))
}

// degreeText is d as the schema has it; d is valid.
func degreeText(d tandem.Degree) string {
	if d == tandem.Unrated {
		return ""
	}
	return d.String()
}

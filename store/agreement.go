package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// Statistics of judgments are over those that count: of pairs, in their newest versions, not excluded, surplus
// ones included. Gold tasks are left out wherever people are compared with each other, since they were chosen
// for being clear and everybody gets them.

// counting begins a query with what does not count, which a hash holds once instead of one look for each row.
const counting = `
	WITH out AS MATERIALIZED (
		SELECT assignment_id FROM (
			SELECT DISTINCT ON (assignment_id) assignment_id, excluded FROM exclusions ORDER BY assignment_id, id DESC
		) newest WHERE excluded
	)`

// counted is what counts, of judgments j of pairs with their tasks t; conditions may follow.
const counted = `
	WHERE j.kind = 'pairwise'
	  AND NOT EXISTS (SELECT FROM judgments newer WHERE newer.replaces = j.id)
	  AND NOT EXISTS (SELECT FROM out WHERE out.assignment_id = j.assignment_id)`

const notGold = ` AND NOT EXISTS (SELECT FROM golds g WHERE g.task_id = t.id)`

// position is where the judgment j stands between its task's two answers: 0 where the one with the smaller id is
// significantly better, to 7 where the other is.
const position = `
	CASE j.degree WHEN 'negligibly_better' THEN 0 WHEN 'slightly_better' THEN 1 WHEN 'better' THEN 2 ELSE 3 END
	* CASE WHEN j.chosen < j.rejected THEN -1 ELSE 1 END + CASE WHEN j.chosen < j.rejected THEN 3 ELSE 4 END`

// withinProject limits a query to one project; all for an empty id.
func withinProject(op, projectID, column string) (string, pgx.NamedArgs, error) {
	if projectID == "" {
		return "", pgx.NamedArgs{}, nil
	}
	id, err := parseID(op, "project", projectID)
	return " AND " + column + " = @project", pgx.NamedArgs{"project": id}, err
}

// Choice is one person's judgment of a pair, as far as it can be compared with others' of the same pair.
type Choice struct {
	Project   int
	Task      int // numbers tell tasks and people apart, no more
	Annotator int
	Position  int // 0 … 7, from "the answer with the smaller id is significantly better" to "the other is"
	// First and Second are the labels of the answer with the smaller id and of the other.
	First, Second tandem.SafetyLabel
}

// Choices lists what people chose on the pairs of a project, or of all for an empty id; gold ones are left out.
func (s *Store) Choices(ctx context.Context, projectID string) ([]Choice, error) {
	const op = "store.Choices"
	within, args, err := withinProject(op, projectID, "t.project_id")
	if err != nil {
		return nil, err
	}
	return all(ctx, s.db, op, counting+`, people AS (
			SELECT id, row_number() OVER (ORDER BY id) AS number FROM annotators
		)
		SELECT t.project_id, j.task_id, p.number,`+position+`, coalesce(one.label, ''), coalesce(two.label, '')
		FROM judgments j
		JOIN tasks t ON t.id = j.task_id
		JOIN people p ON p.id = j.annotator_id
		LEFT JOIN labels one ON one.judgment_id = j.id AND one.response_id = least(j.chosen, j.rejected)
		LEFT JOIN labels two ON two.judgment_id = j.id AND two.response_id = greatest(j.chosen, j.rejected)`+counted+notGold+within,
		args, pgx.RowToStructByPos[Choice])
}

// ChoiceCount is how many judgments of pairs are alike in all of this.
type ChoiceCount struct {
	Project          string
	Aspect           tandem.Aspect
	Batch            int
	Annotator        string // pseudonym
	Gold             bool
	Left             bool // the chosen answer stood first
	Degree           tandem.Degree
	Chosen, Rejected tandem.SafetyLabel
	Judgments        int
}

// ChoiceCounts counts the judgments of pairs of a project, or of all for an empty id.
func (s *Store) ChoiceCounts(ctx context.Context, projectID string) ([]ChoiceCount, error) {
	const op = "store.ChoiceCounts"
	within, args, err := withinProject(op, projectID, "t.project_id")
	if err != nil {
		return nil, err
	}
	return all(ctx, s.db, op, counting+`
		SELECT c.project::text, p.aspect, c.batch, c.annotator_id::text, c.gold, c."left", c.degree, c.chosen_label, c.rejected_label, c.n
		FROM (
			SELECT t.project_id AS project, t.batch, j.annotator_id, g.task_id IS NOT NULL AS gold, j.shown[1] = j.chosen AS "left", j.degree,
			       coalesce(c.label, '') AS chosen_label, coalesce(r.label, '') AS rejected_label, count(*) AS n
			FROM judgments j
			JOIN tasks t ON t.id = j.task_id
			LEFT JOIN golds g ON g.task_id = t.id
			LEFT JOIN labels c ON c.judgment_id = j.id AND c.response_id = j.chosen
			LEFT JOIN labels r ON r.judgment_id = j.id AND r.response_id = j.rejected`+counted+within+`
			GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
		) c JOIN projects p ON p.id = c.project
		ORDER BY c.project, c.batch, c.annotator_id`,
		args, func(row pgx.CollectableRow) (ChoiceCount, error) {
			var c ChoiceCount
			var degree string
			err := row.Scan(&c.Project, &c.Aspect, &c.Batch, &c.Annotator, &c.Gold, &c.Left, &degree, &c.Chosen, &c.Rejected, &c.Judgments)
			if err != nil {
				return c, err
			}
			return c, c.Degree.UnmarshalText([]byte(degree))
		})
}

// Disagreement is a pair that people judged differently: another side, two or more degrees apart, or another
// safety label.
type Disagreement struct {
	Task      string
	Project   string // its name
	ProjectID string
	Aspect    tandem.Aspect
	Batch     int
	Prompt    tandem.Dialogue
	Responses []tandem.Response // by id, without their models
	Side      bool              // people chose different answers
	Spread    int               // positions between the farthest two
	Labels    bool              // the labels of an answer differ
	Judgments []Contribution
}

// Contribution is one person's part in a disagreement.
type Contribution struct {
	Judgment   string
	Assignment string
	Annotator  string // pseudonym
	Chosen     string // id of the response
	Degree     tandem.Degree
	Position   int  // 0 … 7, as in Choice
	Left       bool // the chosen answer stood first
	Labels     map[string]tandem.SafetyLabel
	Comment    string
	Version    int
	CreatedAt  time.Time
	Returned   string // why it was sent back and waits for an answer, empty otherwise
}

// responsesByID are the task t's answers, without their models.
const responsesByID = `
	(SELECT jsonb_agg(jsonb_build_object('id', r.id::text, 'content', r.content) ORDER BY r.id)
	 FROM task_responses tr JOIN responses r ON r.id = tr.response_id WHERE tr.task_id = t.id)`

// Disagreements lists the pairs of a project, or of all for an empty id, that people judged differently, the
// newest pair first. Gold ones are left out.
func (s *Store) Disagreements(ctx context.Context, projectID string, page Page) ([]Disagreement, error) {
	const op = "store.Disagreements"
	within, args, err := withinProject(op, projectID, "t.project_id")
	if err != nil {
		return nil, err
	}
	if page.After != "" {
		if args["before"], err = parseID(op, "task", page.After); err != nil {
			return nil, err
		}
		within += ` AND t.id < @before`
	}
	args["limit"] = page.limit()
	// Tasks are looked at from the newest one on, until there are enough.
	disagreements, err := all(ctx, s.db, op, `
		SELECT t.id::text, p.name, p.id::text, p.aspect, t.batch, dialogue(q.message_id),`+responsesByID+`,
		       v.side, v.spread, v.labels, v.judgments
		FROM tasks t
		JOIN projects p ON p.id = t.project_id
		JOIN prompts q ON q.id = t.prompt_id
		CROSS JOIN LATERAL (
			SELECT min(position) < 4 AND max(position) > 3 AS side, max(position) - min(position) AS spread,
			       count(DISTINCT one) > 1 OR count(DISTINCT two) > 1 AS labels, count(*) AS n,
			       array_agg(id ORDER BY id) AS judgments
			FROM (
				SELECT j.id,`+position+` AS position, one.label AS one, two.label AS two
				FROM judgments j
				LEFT JOIN labels one ON one.judgment_id = j.id AND one.response_id = least(j.chosen, j.rejected)
				LEFT JOIN labels two ON two.judgment_id = j.id AND two.response_id = greatest(j.chosen, j.rejected)
				WHERE j.task_id = t.id AND NOT EXISTS (SELECT FROM judgments newer WHERE newer.replaces = j.id)
				  AND NOT coalesce((SELECT e.excluded FROM exclusions e WHERE e.assignment_id = j.assignment_id ORDER BY e.id DESC LIMIT 1), false)
			) j
		) v
		WHERE t.kind = 'pairwise' AND v.n > 1 AND (v.side OR v.spread >= 2 OR v.labels)`+notGold+within+`
		ORDER BY t.id DESC LIMIT @limit`, args, scanDisagreement)
	if err != nil {
		return nil, err
	}
	return disagreements, s.contribute(ctx, op, disagreements)
}

func scanDisagreement(row pgx.CollectableRow) (Disagreement, error) {
	var d Disagreement
	var judgments []int64
	err := row.Scan(&d.Task, &d.Project, &d.ProjectID, &d.Aspect, &d.Batch, &d.Prompt, &d.Responses, &d.Side, &d.Spread, &d.Labels, &judgments)
	for _, id := range judgments {
		d.Judgments = append(d.Judgments, Contribution{Judgment: idText(id)})
	}
	return d, err
}

// contribute fills in what people said.
func (s *Store) contribute(ctx context.Context, op string, disagreements []Disagreement) error {
	places := make(map[string]*Contribution)
	var ids []string
	for i := range disagreements {
		for k := range disagreements[i].Judgments {
			c := &disagreements[i].Judgments[k]
			places[c.Judgment] = c
			ids = append(ids, c.Judgment)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	found, err := all(ctx, s.db, op, `
		SELECT j.id::text, j.assignment_id::text, j.annotator_id::text, j.chosen::text, j.degree,`+position+`, j.shown[1] = j.chosen,
		       (SELECT jsonb_object_agg(l.response_id::text, l.label) FROM labels l WHERE l.judgment_id = j.id),
		       j.comment, j.version, j.created_at,
		       coalesce((SELECT r.reason FROM returns r WHERE r.judgment_id = j.id AND r.taken_back IS NULL
		                 AND NOT EXISTS (SELECT FROM returns back WHERE back.taken_back = r.id) ORDER BY r.id DESC LIMIT 1), '')
		FROM judgments j
		WHERE j.id = ANY (@ids::text[]::bigint[])`, pgx.NamedArgs{"ids": ids},
		func(row pgx.CollectableRow) (Contribution, error) {
			var c Contribution
			var degree string
			err := row.Scan(&c.Judgment, &c.Assignment, &c.Annotator, &c.Chosen, &degree, &c.Position, &c.Left, &c.Labels, &c.Comment, &c.Version, &c.CreatedAt, &c.Returned)
			if err != nil {
				return c, err
			}
			return c, c.Degree.UnmarshalText([]byte(degree))
		})
	for _, c := range found {
		*places[c.Judgment] = c
	}
	return err
}

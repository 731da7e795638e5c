package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// Source says where a project's comparisons come from.
type Source string

const (
	Prepared Source = "prepared" // tasks that were made beforehand
	Live     Source = "live"     // prompts that annotators write, answered while they watch
	RedTeam  Source = "red_team" // attacks that annotators write in timed stretches, answered once and rated
)

// Written reports whether people write what is answered while they watch.
func (s Source) Written() bool { return s == Live || s == RedTeam }

// Project is a body of tasks under one guideline. CreatedAt, Closed, Qualifies and GuidelineVersion are the store's.
type Project struct {
	ID               string
	Name             string
	Aspect           tandem.Aspect
	Source           Source // defaults to Prepared
	Guideline        string // Markdown, the newest version
	GuidelineVersion int    // 0 where there is none
	Overlap          int    // judgments wanted of each task; defaults to 1
	Settings
	CreatedAt time.Time
	Closed    bool
	Qualifies bool // others have it for their qualification
}

// ContentWarning is what to know before one starts: the project's own words, or those of every safety project.
func (p Project) ContentWarning() string {
	if p.Warning == "" && p.Aspect == tandem.Safety {
		return "Texts here may be hateful, violent, sexual or otherwise hard to read. You may stop at any time, skip what you would rather not judge, or decline the project; nobody holds it against you."
	}
	return p.Warning
}

// Settings are what may change about a project while people work in it.
type Settings struct {
	Lease time.Duration // how long a claimed task is held; defaults to 30 minutes

	// Qualification is the project whose gold tasks one must have passed to work here, empty for none, and
	// PassShare the share of them to get right. Defaults to 0.8
	Qualification string
	PassShare     float64

	// GoldEvery is how often a task is a gold one: one in so many, 0 for never. Who gets fewer than GoldFloor of
	// their last GoldWindow right is warned. Default to 0.6 and 20
	GoldEvery, GoldWindow int
	GoldFloor             float64

	Warning    string // what to know before one starts
	DailyLimit int    // judgments of one person a day, 0 for any number
	Blurred    bool   // texts stay blurred until they are asked for

	// Of live projects: the temperatures that two are drawn from, and the longest answer in tokens. Default to
	// 0.7 and 1, and 256. In red teaming there is one temperature, 1 by default
	Temperatures []float64
	AnswerTokens int

	// Of red-teaming projects: how long a stretch is, and which attacks are asked for. Default to an hour, and all
	Stretch time.Duration
	Risks   []tandem.RiskCategory
	Vectors []tandem.AttackVector
}

// StretchWords is the length of a stretch for people.
func (s Settings) StretchWords() string {
	switch minutes := s.Stretch.Minutes(); {
	case s.Stretch == time.Hour:
		return "an hour"
	case minutes == 1:
		return "a minute"
	default:
		return fmt.Sprintf("%.3g minutes", minutes)
	}
}

// CreateProject opens a project. It is audited in the same transaction. Errors: Conflict when the name is taken.
func (s *Store) CreateProject(ctx context.Context, p Project, by string) (Project, error) {
	const op = "store.CreateProject"
	if p.Overlap == 0 {
		p.Overlap = 1
	}
	if p.Source == "" {
		p.Source = Prepared
	}
	args, err := p.Settings.args(op, p.Source)
	if err != nil {
		return Project{}, err
	}
	if p.Source == RedTeam && p.Aspect != tandem.Safety {
		return Project{}, tandem.Errorf(tandem.Invalid, op, "red teaming is of safety, not of %s", p.Aspect)
	}
	args["name"], args["aspect"], args["source"], args["overlap"] = p.Name, string(p.Aspect), string(p.Source), p.Overlap
	var made Project
	err = s.within(ctx, op, func(tx pgx.Tx) error {
		var id int64
		if err := tx.QueryRow(ctx, `
			INSERT INTO projects (name, aspect, source, overlap, lease, qualification_id, pass_share, gold_every, gold_window, gold_floor,
			                      warning, daily_limit, blurred, temperatures, answer_tokens, stretch, risks, vectors)
			VALUES (@name, @aspect, @source, @overlap, @lease, @qualification, @pass, @gold_every, @gold_window, @gold_floor,
			        @warning, @limit, @blurred, @temperatures, @tokens, @stretch, @risks, @vectors)
			RETURNING id`, args).Scan(&id); err != nil {
			return err
		}
		if p.Guideline != "" {
			if err := addGuideline(ctx, tx, id, p.Guideline, by); err != nil {
				return err
			}
		}
		if err := audit(ctx, tx, AuditEntry{Actor: by, Action: "project.create", Subject: "project:" + idText(id)}); err != nil {
			return err
		}
		made, err = one(ctx, tx, op, "project", selectProject+` WHERE p.id = @id`, pgx.NamedArgs{"id": id}, scanProject)
		return err
	})
	return made, err
}

// args are the settings as a statement's, defaults of a source filled in.
func (s Settings) args(op string, source Source) (pgx.NamedArgs, error) {
	if s.Lease == 0 {
		s.Lease = 30 * time.Minute
	}
	if s.PassShare == 0 {
		s.PassShare = 0.8
	}
	if s.GoldWindow == 0 {
		s.GoldWindow = 20
	}
	if s.GoldFloor == 0 {
		s.GoldFloor = 0.6
	}
	if s.AnswerTokens == 0 {
		s.AnswerTokens = 256
	}
	if len(s.Temperatures) == 0 {
		if s.Temperatures = []float64{0.7, 1}; source == RedTeam {
			s.Temperatures = []float64{1}
		}
	}
	if s.Stretch == 0 {
		s.Stretch = time.Hour
	}
	if len(s.Risks) == 0 {
		s.Risks = tandem.RiskCategories()
	}
	if len(s.Vectors) == 0 {
		s.Vectors = tandem.AttackVectors()
	}
	if err := s.attackable(op, source); err != nil {
		return nil, err
	}
	var qualification *int64
	if s.Qualification != "" {
		id, err := parseID(op, "project", s.Qualification)
		if err != nil {
			return nil, err
		}
		qualification = &id
	}
	return pgx.NamedArgs{"lease": s.Lease, "qualification": qualification, "pass": s.PassShare, "gold_every": s.GoldEvery,
		"gold_window": s.GoldWindow, "gold_floor": s.GoldFloor, "warning": s.Warning, "limit": s.DailyLimit, "blurred": s.Blurred,
		"temperatures": s.Temperatures, "tokens": s.AnswerTokens, "stretch": s.Stretch, "risks": s.Risks, "vectors": s.Vectors}, nil
}

// The shortest and the longest stretch of red teaming.
const (
	ShortestStretch = time.Minute
	LongestStretch  = 8 * time.Hour
)

// attackable reports the first of the settings that a red-teaming project cannot have.
func (s Settings) attackable(op string, source Source) error {
	invalid := func(format string, a ...any) error { return tandem.Errorf(tandem.Invalid, op, format, a...) }
	for _, risk := range s.Risks {
		if !slices.Contains(tandem.RiskCategories(), risk) {
			return invalid("there is no risk category %q", risk)
		}
	}
	for _, vector := range s.Vectors {
		if !slices.Contains(tandem.AttackVectors(), vector) {
			return invalid("there is no attack vector %q", vector)
		}
	}
	switch {
	case s.Stretch < ShortestStretch || s.Stretch > LongestStretch:
		return invalid("a stretch lasts from a minute to eight hours, not %v", s.Stretch)
	case source == RedTeam && len(s.Temperatures) != 1:
		return invalid("a policy is attacked at one temperature, not at %d", len(s.Temperatures))
	case source == RedTeam && s.GoldEvery != 0:
		return invalid("there are no gold tasks in red teaming")
	}
	return nil
}

// Configure changes a project's settings; it applies to what is claimed from then on. It is audited in the same
// transaction. Errors: NotFound for no such project or qualification.
func (s *Store) Configure(ctx context.Context, projectID string, settings Settings, by string) (Project, error) {
	return s.Reconfigure(ctx, projectID, func(present *Settings) { *present = settings }, by)
}

// Reconfigure is Configure for a change of what the settings are: two at once do not undo each other. The change
// may be asked for more than once.
func (s *Store) Reconfigure(ctx context.Context, projectID string, change func(*Settings), by string) (Project, error) {
	const op = "store.Configure"
	n, err := parseID(op, "project", projectID)
	if err != nil {
		return Project{}, err
	}
	var changed Project
	err = s.within(ctx, op, func(tx pgx.Tx) error {
		read := func(lock string) (Project, error) {
			return one(ctx, tx, op, "project "+projectID, selectProject+` WHERE p.id = @id`+lock, pgx.NamedArgs{"id": n}, scanProject)
		}
		present, err := read(` FOR NO KEY UPDATE OF p`)
		if err != nil {
			return err
		}
		settings := present.Settings
		change(&settings)
		args, err := settings.args(op, present.Source)
		if err != nil {
			return err
		}
		args["id"] = n
		if _, err := tx.Exec(ctx, `
			UPDATE projects SET lease = @lease, qualification_id = @qualification, pass_share = @pass, gold_every = @gold_every,
				gold_window = @gold_window, gold_floor = @gold_floor, warning = @warning, daily_limit = @limit, blurred = @blurred,
				temperatures = @temperatures, answer_tokens = @tokens, stretch = @stretch, risks = @risks, vectors = @vectors
			WHERE id = @id`, args); err != nil {
			return err
		}
		if changed, err = read(""); err != nil {
			return err
		}
		detail, err := json.Marshal(changed.Settings)
		if err != nil {
			return err
		}
		return audit(ctx, tx, AuditEntry{Actor: by, Action: "project.configure", Subject: "project:" + projectID, Detail: detail})
	})
	return changed, err
}

// Guideline is one version of what a project's annotators are asked to do.
type Guideline struct {
	Version   int
	Markdown  string
	CreatedBy string
	CreatedAt time.Time
}

// SetGuideline adds a version to a project's guideline. It is audited in the same transaction. Errors:
// Invalid for an empty one, NotFound for no such project.
func (s *Store) SetGuideline(ctx context.Context, projectID, markdown, by string) error {
	const op = "store.SetGuideline"
	n, err := parseID(op, "project", projectID)
	if err != nil {
		return err
	}
	return s.within(ctx, op, func(tx pgx.Tx) error {
		// The lock keeps two from taking the same number.
		if _, err := one(ctx, tx, op, "project "+projectID, `SELECT id FROM projects WHERE id = @id FOR NO KEY UPDATE`, pgx.NamedArgs{"id": n}, pgx.RowTo[int64]); err != nil {
			return err
		}
		if err := addGuideline(ctx, tx, n, markdown, by); err != nil {
			return err
		}
		return audit(ctx, tx, AuditEntry{Actor: by, Action: "project.guideline", Subject: "project:" + projectID})
	})
}

func addGuideline(ctx context.Context, tx pgx.Tx, project int64, markdown, by string) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO guidelines (project_id, version, markdown, created_by)
		SELECT @project, coalesce(max(version), 0) + 1, @markdown, @by FROM guidelines WHERE project_id = @project`,
		pgx.NamedArgs{"project": project, "markdown": markdown, "by": by})
	return err
}

// Guidelines lists a project's versions, the newest first.
func (s *Store) Guidelines(ctx context.Context, projectID string) ([]Guideline, error) {
	const op = "store.Guidelines"
	n, err := parseID(op, "project", projectID)
	if err != nil {
		return nil, err
	}
	return all(ctx, s.db, op, `SELECT version, markdown, created_by, created_at FROM guidelines WHERE project_id = @id ORDER BY version DESC`,
		pgx.NamedArgs{"id": n}, pgx.RowToStructByPos[Guideline])
}

const selectProject = `
	SELECT p.id::text, p.name, p.aspect, p.source, coalesce(g.markdown, ''), coalesce(g.version, 0), p.overlap,
	       p.lease, coalesce(p.qualification_id::text, ''), p.pass_share, p.gold_every, p.gold_window, p.gold_floor,
	       p.warning, p.daily_limit, p.blurred, p.temperatures, p.answer_tokens, p.stretch, p.risks, p.vectors, p.created_at, p.closed_at IS NOT NULL,
	       EXISTS (SELECT FROM projects q WHERE q.qualification_id = p.id)
	FROM projects p
	LEFT JOIN LATERAL (SELECT version, markdown FROM guidelines WHERE project_id = p.id ORDER BY version DESC LIMIT 1) g ON true`

func scanProject(row pgx.CollectableRow) (Project, error) {
	var p Project
	err := row.Scan(&p.ID, &p.Name, &p.Aspect, &p.Source, &p.Guideline, &p.GuidelineVersion, &p.Overlap,
		&p.Lease, &p.Qualification, &p.PassShare, &p.GoldEvery, &p.GoldWindow, &p.GoldFloor,
		&p.Warning, &p.DailyLimit, &p.Blurred, &p.Temperatures, &p.AnswerTokens, &p.Stretch, &p.Risks, &p.Vectors, &p.CreatedAt, &p.Closed, &p.Qualifies)
	return p, err
}

// Project finds a project by its id.
func (s *Store) Project(ctx context.Context, id string) (Project, error) {
	const op = "store.Project"
	n, err := parseID(op, "project", id)
	if err != nil {
		return Project{}, err
	}
	return one(ctx, s.db, op, "project "+id, selectProject+` WHERE p.id = @id`, pgx.NamedArgs{"id": n}, scanProject)
}

// Projects lists all projects, the first one first.
func (s *Store) Projects(ctx context.Context) ([]Project, error) {
	return all(ctx, s.db, "store.Projects", selectProject+` ORDER BY p.id`, nil, scanProject)
}

// CloseProject ends claiming. Who holds a task may still submit it.
func (s *Store) CloseProject(ctx context.Context, id string) error {
	const op = "store.CloseProject"
	n, err := parseID(op, "project", id)
	if err != nil {
		return err
	}
	tag, err := s.db.Exec(ctx, `UPDATE projects SET closed_at = coalesce(closed_at, clock_timestamp()) WHERE id = @id`, pgx.NamedArgs{"id": n})
	if err == nil && tag.RowsAffected() == 0 {
		return tandem.Errorf(tandem.NotFound, op, "there is no project %s", id)
	}
	return fail(op, err)
}

// TaskKind is the form in which a task's answers are judged.
type TaskKind string

const (
	Pairwise TaskKind = "pairwise" // two answers; one is chosen, with a degree
	Ranking  TaskKind = "ranking"  // two or more answers, best first
	Rating   TaskKind = "rating"   // one answer, 1 to 7

	// SideBySide is two answers of two models, on seven points with a middle (see [Verdict.Rating]): for evaluation, nothing
	// learns from it.
	SideBySide TaskKind = "side_by_side"
)

// fits reports whether a task of the kind may have n answers.
func (k TaskKind) fits(n int) bool {
	switch k {
	case Pairwise, SideBySide:
		return n == 2
	case Ranking:
		return n >= 2
	case Rating:
		return n == 1
	}
	return false
}

// NewTask is a task to be made.
type NewTask struct {
	Kind      TaskKind
	PromptID  string
	Responses []string // ids, of answers to the prompt
	Batch     int      // collection batch, from 1; 0 for none
	Priority  int      // higher ones are handed out first
}

// CreateTasks makes tasks with a slot for each judgment that the project wants, and returns their ids in
// order. A task that the project has already (the same kind and answers) is not made again. Errors:
// Invalid when the number of answers does not fit the kind, NotFound when an answer is not to the task's prompt.
func (s *Store) CreateTasks(ctx context.Context, projectID string, tasks []NewTask) ([]string, error) {
	const op = "store.CreateTasks"
	project, err := parseID(op, "project", projectID)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(tasks))
	err = s.within(ctx, op, func(tx pgx.Tx) error {
		// One makes a project's tasks at a time: two that bring the same ones in another order would wait for each
		// other in a circle.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('tandem tasks ' || @id::text, 0))`, pgx.NamedArgs{"id": projectID}); err != nil {
			return err
		}
		// FOR SHARE: the project's overlap holds until the slots stand.
		overlap, err := one(ctx, tx, op, "project "+projectID, `SELECT overlap FROM projects WHERE id = @id FOR SHARE`,
			pgx.NamedArgs{"id": project}, pgx.RowTo[int])
		if err != nil {
			return err
		}
		batch := &pgx.Batch{}
		for i, task := range tasks {
			if err := queueTask(batch, op, project, overlap, task, &ids[i]); err != nil {
				return err
			}
		}
		return tx.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// queueTask adds to batch what makes a task and puts its id into id.
func queueTask(batch *pgx.Batch, op string, project int64, overlap int, t NewTask, id *string) error {
	if !t.Kind.fits(len(t.Responses)) {
		return tandem.Errorf(tandem.Invalid, op, "a %s task of prompt %s has %d responses", t.Kind, t.PromptID, len(t.Responses))
	}
	prompt, err := parseID(op, "prompt", t.PromptID)
	if err != nil {
		return err
	}
	responses, err := parseIDs(op, "response", t.Responses)
	if err != nil {
		return err
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%s %d %v", t.Kind, prompt, responses))
	args := pgx.NamedArgs{"project": project, "prompt": prompt, "kind": string(t.Kind), "batch": t.Batch, "key": key[:],
		"responses": responses, "overlap": overlap, "priority": t.Priority}
	batch.Queue(`
		WITH made AS (
			INSERT INTO tasks (project_id, prompt_id, kind, batch, content_key) VALUES (@project, @prompt, @kind, @batch, @key)
			ON CONFLICT (project_id, content_key) DO NOTHING RETURNING id
		), answers AS (
			INSERT INTO task_responses (task_id, prompt_id, response_id, position)
			SELECT made.id, @prompt, r.id, r.n - 1 FROM made, unnest(@responses::bigint[]) WITH ORDINALITY r (id, n)
		), places AS (
			INSERT INTO slots (task_id, project_id, number, priority)
			SELECT made.id, @project, n, @priority FROM made, generate_series(1, @overlap::integer) n
		)
		SELECT id FROM made
		UNION ALL
		SELECT id FROM tasks WHERE project_id = @project AND content_key = @key
		LIMIT 1`, args).QueryRow(func(row pgx.Row) error {
		var n int64
		err := row.Scan(&n)
		*id = idText(n)
		if errors.Is(err, pgx.ErrNoRows) {
			return errRaced
		}
		return err
	})
	return nil
}

// Progress says how far a project is.
type Progress struct {
	Tasks     int
	Slots     int // judgments wanted
	Done      int // slots that have theirs
	Held      int // slots that somebody holds now
	Judgments int // people's judgments, surplus ones included, later versions not
	Surplus   int
}

// Progress counts a project's slots and judgments.
func (s *Store) Progress(ctx context.Context, projectID string) (Progress, error) {
	const op = "store.Progress"
	n, err := parseID(op, "project", projectID)
	if err != nil {
		return Progress{}, err
	}
	return one(ctx, s.db, op, "project "+projectID, `
		SELECT coalesce(sum(c.tasks), 0)::bigint, coalesce(sum(c.slots), 0)::bigint, coalesce(sum(c.done), 0)::bigint,
		       (SELECT count(*) FROM slots s WHERE s.project_id = @project AND s.assignment_id IS NOT NULL AND s.done_at IS NULL
		                                       AND NOT s.gold AND s.lease_until > (SELECT clock_timestamp())),
		       coalesce(sum(c.judgments), 0)::bigint, coalesce(sum(c.surplus), 0)::bigint
		FROM project_counts c WHERE c.project_id = @project`, pgx.NamedArgs{"project": n}, pgx.RowToStructByPos[Progress])
}

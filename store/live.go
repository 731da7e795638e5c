package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"tandem"
)

// LiveTries is how often an answer is tried before its failure is told to who waits for it.
const LiveTries = 3

// The longest prompt that a person may write, and the longest dialogue that they may carry on, in characters.
const (
	PromptLimit   = 8_000
	DialogueLimit = 60_000
)

// NewTurn is a prompt that a person wrote in a live project, or an attack in one of red teaming.
type NewTurn struct {
	Annotator, Project string
	// Key makes it safe to send again: the same key with the same words, risk and vector returns the first turn.
	Key  string
	Text string
	// Follows is the judgment whose preferred answer the prompt goes on from; empty for a new dialogue.
	Follows string
	// Risk and Vector say of a safety project's prompt, or of an attack, what it tries; empty in a helpfulness project. They are kept with
	// the turn: somebody else may have written the same prompt and meant another.
	Risk   tandem.RiskCategory
	Vector tandem.AttackVector
	// Seed is what variants, temperatures, sides and the answers' randomness are drawn from. It is stored.
	Seed uint64
}

// LiveTurn is a prompt of a live project and what has become of it, as its author may know it: it does not
// say who answers, or how.
type LiveTurn struct {
	ID        string
	ProjectID string
	Annotator string
	Stretch   string // that an attack belongs to; empty for a turn of a live project
	Prompt    tandem.Prompt
	Follows   string
	CreatedAt time.Time
	Abandoned bool
	// Assignment is the author's place on the comparison that was made of the two answers; empty before.
	Assignment string
	// Answers are the two in the order of their sides, left and right; the one to an attack.
	Answers []LiveAnswer
	// Ahead is how many answers are sampled before the first of these that waits.
	Ahead int
}

// Failed reports whether the turn waits for its author, because an answer has failed for good.
func (t LiveTurn) Failed() bool {
	return !t.Abandoned && slices.ContainsFunc(t.Answers, func(a LiveAnswer) bool { return a.State == AnswerFailed })
}

// AnswerState is how far one of a turn's answers is.
type AnswerState string

const (
	AnswerWaiting  AnswerState = "waiting"
	AnswerSampling AnswerState = "sampling"
	AnswerFailed   AnswerState = "failed" // after LiveTries
	AnswerDone     AnswerState = "done"
)

// LiveAnswer is one of the two answers, blind.
type LiveAnswer struct {
	State   AnswerState
	Content string // once done
	Error   string // of the last try; for the log and for those who look after the project
}

// BeginTurn keeps a prompt that a person wrote, with its author, its place in the tree of messages and its side
// of the split, and draws who is to answer: two different variants of the project's at different temperatures,
// as far as it has two of either (see draw). An attack is answered once, by what its author's stretch attacks. Only then is
// anything sampled. Errors: Invalid for an empty or overlong prompt, or a safety prompt without risk and vector; NotFound for
// no such project or judgment; Conflict when the project is closed or prepared, when a red-teaming stretch is not under way, when nothing can answer, when the key came with another prompt,
// when the judgment that it follows was changed since, or while the answers to an earlier prompt are open; Forbidden
// as Claim.
func (s *Store) BeginTurn(ctx context.Context, n NewTurn) (LiveTurn, error) {
	const op = "store.BeginTurn"
	n.Text = strings.TrimSpace(strings.ReplaceAll(n.Text, "\r\n", "\n"))
	person, err := parseAnnotator(op, n.Annotator)
	if err != nil {
		return LiveTurn{}, err
	}
	project, err := parseID(op, "project", n.Project)
	if err != nil {
		return LiveTurn{}, err
	}
	var follows int64
	if n.Follows != "" {
		if follows, err = parseID(op, "judgment", n.Follows); err != nil {
			return LiveTurn{}, err
		}
	}
	if n.Key == "" {
		return LiveTurn{}, tandem.Errorf(tandem.Invalid, op, "the prompt has no idempotency key")
	}
	if err := storable(n.Text); err != nil {
		return LiveTurn{}, err
	}
	args := pgx.NamedArgs{"annotator": person, "project": project, "key": n.Key, "follows": follows, "text": n.Text,
		"risk": string(n.Risk), "vector": string(n.Vector)}
	var turn int64
	err = s.within(ctx, op, func(tx pgx.Tx) error {
		if err := enter(ctx, tx, op, person); err != nil {
			return err
		}
		if turn, err = replayTurn(ctx, tx, op, args); err != nil || turn != 0 {
			return err
		}
		place, err := readPlace(ctx, tx, op, person, project)
		if err == nil {
			err = place.refusal(op)
		}
		if err != nil {
			return err
		}
		p, err := openLive(ctx, tx, op, n, args)
		if err != nil {
			return err
		}
		prompt, err := s.livePrompt(ctx, tx, op, n, p, args)
		if err != nil {
			return err
		}
		prompt.author = person
		if args["prompt"], err = settleOne(ctx, tx, prompt); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `
			INSERT INTO live_turns (project_id, annotator_id, prompt_id, follows, key, risk_category, attack_vector, stretch_id)
			VALUES (@project, @annotator, @prompt, nullif(@follows, 0::bigint), @key, @risk, @vector, nullif(@stretch, 0::bigint)) RETURNING id`, args).Scan(&turn); err != nil {
			return err
		}
		picks := p.pool.draw(n.Seed, nil, nil)
		for i, d := range picks[:p.answers()] {
			if _, err := tx.Exec(ctx, `
				INSERT INTO live_answers (turn_id, number, variant_id, temperature, seed) VALUES (@turn, @number, @variant, @temperature, @seed)`,
				pgx.NamedArgs{"turn": turn, "number": i + 1, "variant": d.variant, "temperature": d.temperature, "seed": int64(d.seed)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return LiveTurn{}, err
	}
	return s.LiveTurn(ctx, n.Annotator, idText(turn))
}

// replayTurn finds the turn that a prompt with this key made, 0 for none.
func replayTurn(ctx context.Context, tx pgx.Tx, op string, args pgx.NamedArgs) (id int64, err error) {
	var same bool
	err = tx.QueryRow(ctx, `
		SELECT t.id, t.project_id = @project AND coalesce(t.follows, 0) = @follows AND m.content = @text
		       AND t.risk_category = @risk AND t.attack_vector = @vector
		FROM live_turns t JOIN prompts q ON q.id = t.prompt_id JOIN messages m ON m.id = q.message_id
		WHERE t.annotator_id = @annotator AND t.key = @key`, args).Scan(&id, &same)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err == nil && !same {
		return 0, tandem.Errorf(tandem.Conflict, op, "the idempotency key %q came with another prompt before", args["key"])
	}
	return id, err
}

// liveProject is a project as a prompt for it meets it.
type liveProject struct {
	name   string
	aspect tandem.Aspect
	source Source
	held   float64 // share of openings that its newest batch holds out
	pool   drawPool
	// Of red teaming: what is asked for.
	risks   []tandem.RiskCategory
	vectors []tandem.AttackVector
}

// answers is how many answers a prompt gets.
func (p liveProject) answers() int {
	if p.source == RedTeam {
		return 1
	}
	return 2
}

// openLive reads a project and checks that the person may write a prompt for it now.
func openLive(ctx context.Context, tx pgx.Tx, op string, n NewTurn, args pgx.NamedArgs) (liveProject, error) {
	var p liveProject
	err := tx.QueryRow(ctx, `
		SELECT p.name, p.aspect, p.source, p.temperatures, p.risks, p.vectors,
		       ARRAY(SELECT v.id FROM project_variants pv JOIN variants v ON v.id = pv.variant_id WHERE pv.project_id = p.id AND v.retired_at IS NULL ORDER BY v.id),
		       coalesce((SELECT b.held_out_share FROM batches b WHERE b.project_id = p.id ORDER BY b.number DESC LIMIT 1), @held)
		FROM projects p WHERE p.id = @project FOR SHARE OF p`,
		pgx.NamedArgs{"project": args["project"], "held": tandem.HeldOutShare}).
		Scan(&p.name, &p.aspect, &p.source, &p.pool.temperatures, &p.risks, &p.vectors, &p.pool.variants, &p.held)
	args["stretch"] = int64(0)
	if err == nil && p.source == RedTeam {
		args["stretch"], p.pool, err = openStretch(ctx, tx, op, args)
	}
	switch {
	case err != nil:
		return p, err
	case !p.source.Written():
		return p, tandem.Errorf(tandem.Conflict, op, "the comparisons of project %s are prepared: prompts are not written there", n.Project)
	case len(p.pool.variants) == 0:
		return p, tandem.Errorf(tandem.Conflict, op, "nothing can answer in project %s yet: whoever looks after it chooses its models", n.Project)
	}
	pending, err := pendingTurn(ctx, tx, op, args)
	if err == nil && pending != 0 {
		words := "the answers to your last prompt come first: judge or skip them, or give that prompt up"
		if p.source == RedTeam {
			words = "the answer to your last attack comes first: rate or skip it, or give that attack up"
		}
		err = tandem.Errorf(tandem.Conflict, op, "%s", words)
	}
	return p, err
}

// livePrompt checks what a person wrote and puts it behind the dialogue that it carries on.
func (s *Store) livePrompt(ctx context.Context, tx pgx.Tx, op string, n NewTurn, p liveProject, args pgx.NamedArgs) (incomingPrompt, error) {
	var none incomingPrompt
	invalid := func(format string, a ...any) error { return tandem.Errorf(tandem.Invalid, op, format, a...) }
	safety := p.aspect == tandem.Safety
	switch length := utf8.RuneCountInString(n.Text); {
	case length == 0:
		return none, invalid("the prompt is empty")
	case length > PromptLimit:
		return none, invalid("the prompt has %d characters, and %d are the most", length, PromptLimit)
	case safety && n.Risk == tandem.NoRisk:
		return none, invalid("the risk category is missing: which kind of harm does the prompt ask for?")
	case safety && n.Vector == tandem.NoVector:
		return none, invalid("the attack vector is missing: in which way does the prompt ask for it?")
	case p.source == RedTeam && !slices.Contains(p.risks, n.Risk):
		return none, invalid("the project does not ask for attacks of the risk category %s", n.Risk)
	case p.source == RedTeam && !slices.Contains(p.vectors, n.Vector):
		return none, invalid("the project does not ask for attacks of the vector %s", n.Vector)
	case !safety && (n.Risk != tandem.NoRisk || n.Vector != tandem.NoVector):
		return none, invalid("only a safety project's prompts have a risk category and an attack vector")
	}
	var before tandem.Dialogue
	if n.Follows != "" {
		var err error
		if before, err = followed(ctx, tx, op, args); err != nil {
			return none, err
		}
	}
	dialogue := before.With(tandem.User, n.Text)
	length := 0
	for _, m := range dialogue {
		length += utf8.RuneCountInString(m.Content)
	}
	if length > DialogueLimit {
		return none, invalid("the dialogue has %d characters by now, and %d are the most: begin a new one", length, DialogueLimit)
	}
	in, err := s.incomingPrompt(tandem.Prompt{Messages: dialogue, Safety: safety, Risk: n.Risk, Vector: n.Vector, Source: string(p.source) + ":" + p.name})
	in.HeldOut = tandem.HeldOut(dialogue.Opening(), p.held)
	return in, err
}

// followed is the dialogue of the judgment @follows with its preferred answer, or the one that it rates.
func followed(ctx context.Context, tx pgx.Tx, op string, args pgx.NamedArgs) (tandem.Dialogue, error) {
	type row struct {
		Dialogue tandem.Dialogue
		Chosen   string
		Changed  bool
	}
	r, err := one(ctx, tx, op, "judgment to go on from", `
		SELECT dialogue(q.message_id), r.content,
		       EXISTS (SELECT FROM judgments newer WHERE newer.replaces = j.id)
		       OR coalesce((SELECT e.excluded FROM exclusions e WHERE e.assignment_id = j.assignment_id ORDER BY e.id DESC LIMIT 1), false)
		FROM judgments j JOIN tasks t ON t.id = j.task_id JOIN prompts q ON q.id = t.prompt_id
		JOIN responses r ON r.id = CASE j.kind WHEN 'rating' THEN j.shown[1] ELSE j.chosen END
		WHERE j.id = @follows AND j.annotator_id = @annotator AND t.project_id = @project`, args, pgx.RowToStructByPos[row])
	if err == nil && r.Changed {
		err = tandem.Errorf(tandem.Conflict, op, "the judgment that this goes on from was revised or taken back since; go on from the newest one")
	}
	return r.Dialogue.With(tandem.Assistant, r.Chosen), err
}

// settleOne makes the rows that a prompt lacks and returns its id.
func settleOne(ctx context.Context, tx pgx.Tx, p incomingPrompt) (id int64, err error) {
	if _, err := tx.Exec(ctx, createIncomingPrompts); err != nil {
		return 0, err
	}
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"incoming"}, incomingPromptColumns, pgx.CopyFromRows([][]any{append([]any{1}, p.columns()...)})); err != nil {
		return 0, err
	}
	if err := settlePrompts(ctx, tx); err != nil {
		return 0, err
	}
	return id, tx.QueryRow(ctx, `SELECT prompt_id FROM incoming`).Scan(&id)
}

// The turns t that are neither answered nor given up: live_turns_open holds them all, and them alone.
const openTurns = ` t.task_id IS NULL AND t.abandoned_at IS NULL `

// unanswered are the answers a that are still to be given; @tries is LiveTries.
const unanswered = ` a.response_id IS NULL AND (a.failures < @tries OR a.lease_until > clock_timestamp() AND a.error = '') `

// notAnothers keeps the slots s that do not belong to the author of a live turn, whoever that is but the person:
// they alone judge what was answered to them, however late.
const notAnothers = `
	AND ((SELECT source = 'prepared' FROM projects WHERE id = @project)
	     OR NOT EXISTS (SELECT FROM live_turns l WHERE l.task_id = s.task_id AND l.annotator_id <> @annotator))`

// LiveTurn reads one's own turn. Errors: NotFound when it is not theirs.
func (s *Store) LiveTurn(ctx context.Context, annotator, id string) (LiveTurn, error) {
	const op = "store.LiveTurn"
	person, err := parseAnnotator(op, annotator)
	if err != nil {
		return LiveTurn{}, err
	}
	n, err := parseID(op, "turn", id)
	if err != nil {
		return LiveTurn{}, err
	}
	args := pgx.NamedArgs{"turn": n, "annotator": person, "tries": LiveTries}
	turn, err := one(ctx, s.db, op, "turn "+id, `
		SELECT t.id::text, t.project_id::text, t.annotator_id::text, coalesce(t.stretch_id::text, ''), t.prompt_id::text, dialogue(q.message_id), q.safety, t.risk_category, t.attack_vector,
		       q.source, q.held_out, coalesce(t.follows::text, ''), t.created_at, t.abandoned_at IS NOT NULL,
		       coalesce((SELECT a.id::text FROM assignments a WHERE a.task_id = t.task_id AND a.annotator_id = t.annotator_id), ''),
		       CASE WHEN`+openTurns+`THEN
		           (SELECT count(*) FROM live_turns before JOIN live_answers a ON a.turn_id = before.id
		            WHERE before.task_id IS NULL AND before.abandoned_at IS NULL AND before.id < t.id AND`+unanswered+`)
		       ELSE 0 END
		FROM live_turns t JOIN prompts q ON q.id = t.prompt_id
		WHERE t.id = @turn AND t.annotator_id = @annotator`, args,
		func(row pgx.CollectableRow) (LiveTurn, error) {
			var t LiveTurn
			err := row.Scan(&t.ID, &t.ProjectID, &t.Annotator, &t.Stretch, &t.Prompt.ID, &t.Prompt.Messages, &t.Prompt.Safety, &t.Prompt.Risk, &t.Prompt.Vector,
				&t.Prompt.Source, &t.Prompt.HeldOut, &t.Follows, &t.CreatedAt, &t.Abandoned, &t.Assignment, &t.Ahead)
			return t, err
		})
	if err != nil {
		return turn, err
	}
	turn.Answers, err = all(ctx, s.db, op, `
		SELECT CASE WHEN a.response_id IS NOT NULL THEN 'done'
		            WHEN a.lease_until > clock_timestamp() AND a.error = '' THEN 'sampling'
		            WHEN a.failures >= @tries THEN 'failed'
		            ELSE 'waiting' END,
		       coalesce(r.content, ''), a.error
		FROM live_answers a LEFT JOIN responses r ON r.id = a.response_id
		WHERE a.turn_id = @turn ORDER BY a.number`, args, pgx.RowToStructByPos[LiveAnswer])
	return turn, err
}

// PendingTurn finds the turn of a person in a project whose answers are not there, or not judged, yet. Errors:
// NotFound where there is none.
func (s *Store) PendingTurn(ctx context.Context, annotator, projectID string) (LiveTurn, error) {
	const op = "store.PendingTurn"
	person, err := parseAnnotator(op, annotator)
	if err != nil {
		return LiveTurn{}, err
	}
	project, err := parseID(op, "project", projectID)
	if err != nil {
		return LiveTurn{}, err
	}
	id, err := pendingTurn(ctx, s.db, op, pgx.NamedArgs{"annotator": person, "project": project})
	switch {
	case err != nil:
		return LiveTurn{}, fail(op, err)
	case id == 0:
		return LiveTurn{}, tandem.Errorf(tandem.NotFound, op, "no prompt of yours waits in project %s", projectID)
	}
	return s.LiveTurn(ctx, annotator, idText(id))
}

// pendingTurn is the id of the newest turn that is not judged yet, 0 for none.
func pendingTurn(ctx context.Context, db querier, op string, args pgx.NamedArgs) (int64, error) {
	return one(ctx, db, op, "turn", `
		SELECT coalesce(max(id), 0) FROM (
			SELECT t.id FROM live_turns t WHERE t.annotator_id = @annotator AND t.project_id = @project AND`+openTurns+`
			UNION ALL
			SELECT t.id FROM assignments a JOIN live_turns t ON t.task_id = a.task_id
			WHERE a.annotator_id = @annotator AND a.closed_at IS NULL AND t.annotator_id = @annotator AND t.project_id = @project
		) pending`, args, pgx.RowTo[int64])
}

// AbandonTurn gives a turn up whose answers are not both there. The prompt stays. Errors: NotFound when it is
// not theirs, Conflict when the answers are there.
func (s *Store) AbandonTurn(ctx context.Context, annotator, id string) error {
	const op = "store.AbandonTurn"
	return s.changeTurn(ctx, op, annotator, id, func(tx pgx.Tx, turn int64) error {
		_, err := tx.Exec(ctx, `UPDATE live_turns SET abandoned_at = coalesce(abandoned_at, clock_timestamp()) WHERE id = @turn`, pgx.NamedArgs{"turn": turn})
		return err
	})
}

// changeTurn locks one's own turn, which must not be answered yet, and changes it.
func (s *Store) changeTurn(ctx context.Context, op, annotator, id string, change func(tx pgx.Tx, turn int64) error) error {
	person, err := parseAnnotator(op, annotator)
	if err != nil {
		return err
	}
	n, err := parseID(op, "turn", id)
	if err != nil {
		return err
	}
	return s.within(ctx, op, func(tx pgx.Tx) error {
		if err := enter(ctx, tx, op, person); err != nil {
			return err
		}
		answered, err := one(ctx, tx, op, "turn "+id, `SELECT task_id IS NOT NULL FROM live_turns WHERE id = @turn AND annotator_id = @annotator FOR UPDATE`,
			pgx.NamedArgs{"turn": n, "annotator": person}, pgx.RowTo[bool])
		if err == nil && answered {
			err = tandem.Errorf(tandem.Conflict, op, "the answers to this prompt are there: judge or skip them")
		}
		if err != nil {
			return err
		}
		return change(tx, n)
	})
}

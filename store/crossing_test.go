package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

// crossing is everything that people, reviewers and admins do to one project, at once and in any order.
type crossing struct {
	*world
	live    store.Project
	people  []string
	spare   []string // who are invited, disabled and erased, and do no work
	prompts []tandem.Prompt
	again   []store.NewTask // tasks that are made again and again
}

// TestNothingWaitsInACircle lets many do everything at once. What they do may be refused, but no two may wait for each
// other: Postgres counts the circles that it had to break (SQLSTATE 40P01), and each has cost somebody a second. What the
// triggers counted meanwhile is what the rows say.
func TestNothingWaitsInACircle(t *testing.T) {
	const people, spare, tasks, workers = 6, 2, 12, 14
	lasts := 4 * time.Second
	if testing.Short() {
		lasts = time.Second
	}
	db := postgres.Database(t)
	s := must(store.Open(t.Context(), db.URL+"&pool_max_conns=20"))(t)
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness, Overlap: 2, Settings: store.Settings{GoldEvery: 4, Lease: 20 * time.Millisecond}}, tasks: tasks})
	c := &crossing{world: w}
	for i := range 6 {
		c.prompts = append(c.prompts, tandem.Prompt{Messages: tandem.Dialogue{{Role: tandem.User, Content: fmt.Sprint("Crossing ", i)}}})
	}
	for _, task := range must(s.Tasks(t.Context(), w.project.ID, store.Page{}))(t) {
		c.again = append(c.again, store.NewTask{Kind: store.Rating, PromptID: task.PromptID, Responses: task.Responses[:1]})
	}
	for range people {
		c.people = append(c.people, w.annotator())
	}
	for i := range spare {
		a := must(s.AddAnnotator(t.Context(), store.Annotator{Name: "Spare", Email: fmt.Sprintf("spare%d@example.org", i)}))(t)
		c.spare = append(c.spare, a.ID)
	}
	c.live = must(s.CreateProject(t.Context(), store.Project{Name: "live", Aspect: tandem.Helpfulness, Source: store.Live}, "test"))(t)
	v := must(s.AddVariant(t.Context(), store.Variant{Name: "v", Kind: store.FolderVariant, URL: "/v"}, "test"))(t)
	if err := s.SetDrawing(t.Context(), c.live.ID, []string{v.ID}, []float64{0.5, 1}, 64, "test"); err != nil {
		t.Fatal(err)
	}

	var wait sync.WaitGroup
	end := time.Now().Add(lasts)
	for worker := range workers {
		random := rand.New(rand.NewPCG(uint64(worker), 40))
		wait.Go(func() {
			for n := 0; time.Now().Before(end); n++ {
				what, err := c.something(random, fmt.Sprintf("%d-%d", worker, n))
				switch tandem.CodeOf(err) {
				case "", tandem.Conflict, tandem.Stale, tandem.NotFound, tandem.Forbidden, tandem.Unauthorized:
				default:
					if err != nil {
						t.Errorf("%s: %v", what, err)
					}
				}
			}
		})
	}
	wait.Wait()
	wantNoCircle(t, s, db)
	(&crowd{world: w, db: connect(t, db.OwnerURL)}).compareRows(0, "everything at once")
}

// wantNoCircle closes the store, since who leaves tells what they counted, and reports how often two waited for each other.
func wantNoCircle(t *testing.T, s *store.Store, db pgtest.Database) {
	t.Helper()
	s.Close()
	circles := 0
	if err := connect(t, db.AdminURL).QueryRow(t.Context(), `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`).Scan(&circles); err != nil {
		t.Fatal(err)
	}
	if circles > 0 {
		t.Errorf("%d circles had to be broken", circles)
	}
}

// Two bring the same answers and the same tasks at once, one of them from the end: both get the same, and neither waits
// for a second.
func TestTheSameMadeFromTheEnd(t *testing.T) {
	const many, turns = 100, 4
	db := postgres.Database(t)
	s := must(store.Open(t.Context(), db.URL))(t)
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: many})
	tasks := must(s.Tasks(t.Context(), w.project.ID, store.Page{Limit: many}))(t)
	for turn := range turns {
		var responses []store.Response
		var made []store.NewTask
		for _, task := range tasks {
			responses = append(responses, store.Response{PromptID: task.PromptID, Content: fmt.Sprint("Another ", turn)})
			made = append(made, store.NewTask{Kind: store.Rating, PromptID: task.PromptID, Responses: task.Responses[turn%2 : turn%2+1], Batch: turn / 2})
		}
		var wait sync.WaitGroup
		var ids, taskIDs [2][]string
		for side := range 2 {
			responses, made := slices.Clone(responses), slices.Clone(made)
			wait.Go(func() {
				if side == 1 {
					slices.Reverse(responses)
					slices.Reverse(made)
				}
				var err, taskErr error
				ids[side], err = s.AddResponses(t.Context(), responses)
				taskIDs[side], taskErr = s.CreateTasks(t.Context(), w.project.ID, made)
				if err != nil || taskErr != nil {
					t.Error(err, taskErr)
				}
			})
		}
		wait.Wait()
		slices.Reverse(ids[1])
		slices.Reverse(taskIDs[1])
		if !slices.Equal(ids[0], ids[1]) || !slices.Equal(taskIDs[0], taskIDs[1]) {
			t.Errorf("answers %v and %v, tasks %v and %v", ids[0], ids[1], taskIDs[0], taskIDs[1])
		}
	}
	wantNoCircle(t, s, db)
}

// Who uses a link waits for an admin who is about to make another, and holds nothing that the admin needs.
func TestJoiningWhileAnotherLinkIsMade(t *testing.T) {
	ctx := t.Context()
	db := postgres.Database(t)
	s := pgtest.OpenStore(t, db.URL)
	_, token, err := s.Welcome(ctx, store.Annotator{Name: "Ann", Email: "ann@example.org"}, "test", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	tx := must(connect(t, db.OwnerURL).Begin(ctx))(t)
	for _, sql := range []string{`SET LOCAL lock_timeout = '200ms'`, `SELECT FROM annotators FOR UPDATE`} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	joined := make(chan error, 1)
	go func() {
		_, err := s.AcceptInvitation(ctx, token, "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA", "")
		joined <- err
	}()
	waitForLock(t, db)
	if _, err := tx.Exec(ctx, `UPDATE invitations SET revoked_at = clock_timestamp()`); err != nil {
		t.Errorf("the link could not be taken back: %v", err)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "joining by a link that was taken back", <-joined, tandem.NotFound)
}

// something does one thing, whatever chance says.
func (c *crossing) something(random *rand.Rand, key string) (what string, err error) {
	ctx, s := c.Context(), c.store
	one := func(ids []string) string { return ids[random.IntN(len(ids))] }
	person, spare := one(c.people), one(c.spare)
	project := c.project.ID
	query := store.ReviewQuery{Project: project, Annotator: one(c.people)}
	if random.IntN(3) == 0 {
		query.Annotator = ""
	}
	switch n := random.IntN(24); n {
	default: // the usual work
		claimed, err := s.Claim(ctx, person, project)
		if err != nil || claimed.Assignment == nil {
			return "claim", err
		}
		return c.work(random, *claimed.Assignment, key)
	case 8:
		history, err := s.History(ctx, person, store.Page{Limit: 5})
		if err != nil || len(history) == 0 {
			return "history", err
		}
		j := history[random.IntN(len(history))]
		if random.IntN(2) == 0 {
			return "undo", s.Undo(ctx, person, j.Assignment, []byte(`{}`))
		}
		_, err = s.Revise(ctx, store.Submission{Annotator: person, Assignment: j.Assignment, Key: key, Verdict: j.Verdict}, j.Version)
		return "revise", err
	case 9:
		_, err = s.SendBack(ctx, query, "look again", "reviewer")
		return "send back", err
	case 10:
		_, err = s.ExcludeAll(ctx, query, random.IntN(2) == 0, "careless", "reviewer")
		return "exclude", err
	case 11:
		query.Returned = new(true)
		back, err := s.Review(ctx, query)
		if err != nil || len(back) == 0 {
			return "review", err
		}
		return "take back", s.TakeBack(ctx, back[random.IntN(len(back))].Returned.ID, "never mind", "reviewer")
	case 12:
		tasks, err := s.Tasks(ctx, project, store.Page{})
		if err != nil {
			return "tasks", err
		}
		task := tasks[random.IntN(len(tasks))]
		if task.Kind != store.Pairwise || task.Closed {
			return "tasks", nil
		}
		if random.IntN(4) == 0 {
			return "retire gold", s.RetireGold(ctx, project, task.ID, "admin")
		}
		return "gold", s.AddGold(ctx, project, []store.Gold{{TaskID: task.ID, Chosen: task.Responses[0]}}, "admin")
	case 13:
		again := slices.Clone(c.again)
		random.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		for i := range again {
			again[i].Batch = 1 + random.IntN(2)
		}
		_, err = s.CreateTasks(ctx, project, again)
		return "create tasks", err
	case 14:
		prompts := slices.Clone(c.prompts)
		random.Shuffle(len(prompts), func(i, j int) { prompts[i], prompts[j] = prompts[j], prompts[i] })
		kept, err := s.AddPrompts(ctx, prompts)
		if err != nil {
			return "add prompts", err
		}
		responses := make([]store.Response, len(kept))
		for i, p := range kept {
			responses[i] = store.Response{PromptID: p.ID, Content: "An answer of " + key[:1]}
		}
		_, err = s.AddResponses(ctx, responses)
		return "add responses", err
	case 15:
		if err := s.Decline(ctx, person, project, true); err != nil {
			return "decline", err
		}
		return "take up", s.Decline(ctx, person, project, false)
	case 16:
		_, err = s.Reconfigure(ctx, project, func(p *store.Settings) { p.DailyLimit = 100_000 + random.IntN(9) }, "admin")
		return "configure", err
	case 17:
		_, err = s.AddBatch(ctx, project, "b", 0.1, "admin")
		return "add batch", err
	case 18, 19:
		return c.account(random, spare)
	case 20:
		_, err = s.ChangeAnnotator(ctx, spare, store.AnnotatorChange{Disabled: new(random.IntN(2) == 0)}, "admin")
		return "disable", err
	case 21, 22:
		return c.prompt(random, person, key)
	}
}

// work does with a held task what its annotator may do.
func (c *crossing) work(random *rand.Rand, a store.Assignment, key string) (what string, err error) {
	ctx, s := c.Context(), c.store
	switch random.IntN(8) {
	case 0:
		return "skip", s.Skip(ctx, a.Annotator, a.ID, "cannot tell")
	case 1:
		_, err = s.SaveDraft(ctx, a.Annotator, a.ID, random.IntN(2), []byte(`{}`))
		return "draft", err
	case 2:
		_, err = s.Renew(ctx, a.Annotator, a.ID)
		return "renew", err
	case 3:
		return "flag", s.Flag(ctx, a.Annotator, a.ID, "odd")
	case 4:
		time.Sleep(25 * time.Millisecond) // the lease runs out
	}
	sub := store.Submission{Annotator: a.Annotator, Assignment: a.ID, Key: key, Verdict: store.Verdict{Rating: 4}}
	if a.Kind == store.Pairwise {
		sub.Verdict = store.Verdict{Chosen: a.Responses[0].ID, Rejected: a.Responses[1].ID, Degree: tandem.Better}
	}
	_, err = s.Submit(ctx, sub)
	return "submit", err
}

// account does what happens to an account: a link, used while another is made, signing in, another password.
func (c *crossing) account(random *rand.Rand, who string) (what string, err error) {
	const phc = "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA"
	ctx, s := c.Context(), c.store
	switch random.IntN(4) {
	case 0:
		if _, _, err = s.SignIn(ctx, who, phc, "an earlier token"); err != nil {
			return "sign in", err
		}
		return "sign out", s.EndSessions(ctx, who, "admin")
	case 1:
		return "set password", s.SetPassword(ctx, who, phc)
	}
	_, token, err := s.Invite(ctx, who, "admin", time.Minute)
	if err != nil {
		return "invite", err
	}
	_, err = s.AcceptInvitation(ctx, token, phc, "Europe/Zurich")
	return "join", err
}

// prompt writes a prompt in the live project, or answers one, or judges the answers.
func (c *crossing) prompt(random *rand.Rand, person, key string) (what string, err error) {
	ctx, s := c.Context(), c.store
	switch random.IntN(4) {
	case 0:
		_, err = s.BeginTurn(ctx, store.NewTurn{Annotator: person, Project: c.live.ID, Key: key, Text: fmt.Sprint("Hello ", random.IntN(3)), Seed: random.Uint64()})
		return "begin turn", err
	case 1:
		turn, err := s.PendingTurn(ctx, person, c.live.ID)
		if err != nil {
			return "pending turn", err
		}
		if turn.Assignment == "" {
			return "abandon", s.AbandonTurn(ctx, person, turn.ID)
		}
		return "skip", s.Skip(ctx, person, turn.Assignment, "dull")
	}
	job, err := s.TakeAnswer(ctx, time.Minute)
	if err != nil {
		return "take answer", err
	}
	return "finish answer", s.FinishAnswer(ctx, job, tandem.Completion{Text: fmt.Sprint("Answer ", job.Number), Finish: tandem.FinishStop})
}

package store_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

// crowdModel is what a project should look like, kept in Go beside the database: who has which place, who judged and
// skipped what.
type crowdModel struct {
	overlap int
	places  map[string][]modelPlace     // by task
	turns   map[[2]string]*modelTurn    // by task and person
	last    map[string]store.Assignment // a person's last judgment, for undo
}

type modelPlace struct {
	person  string // empty for nobody
	expired bool
	done    bool
}

type modelTurn struct {
	assignment store.Assignment
	version    int // 0 before the first judgment
	surplus    bool
	closed     bool
	skipped    bool // for good, perhaps after an undo: there is nothing to revise
}

func (m *crowdModel) holds(person string) (task string) {
	for task, places := range m.places {
		for _, p := range places {
			if p.person == person && !p.done && !p.expired {
				return task
			}
		}
	}
	return ""
}

// mayTake reports whether a person may be given a place on the task.
func (m *crowdModel) mayTake(person, task string) bool {
	if turn := m.turns[[2]string{task, person}]; turn != nil && turn.closed {
		return false
	}
	return slices.ContainsFunc(m.places[task], func(p modelPlace) bool { return !p.done && (p.person == "" || p.expired) })
}

// take gives a person a place: their own that ran out, else one that nobody has, else another's that ran out.
func (m *crowdModel) take(person, task string) {
	places := m.places[task]
	best := -1
	for i, p := range places {
		if !p.done && (p.person == "" || p.expired) && (best < 0 || p.person == person) {
			best = i
		}
	}
	for i := range places {
		if places[i].person == person && !places[i].done {
			places[i] = modelPlace{}
		}
	}
	places[best] = modelPlace{person: person}
}

// progress is what store.Progress should say.
func (m *crowdModel) progress() store.Progress {
	p := store.Progress{Tasks: len(m.places)}
	for _, places := range m.places {
		for _, place := range places {
			p.Slots++
			if place.done {
				p.Done++
			} else if place.person != "" && !place.expired {
				p.Held++
			}
		}
	}
	for _, turn := range m.turns {
		if turn.version > 0 {
			p.Judgments++
			if turn.surplus {
				p.Surplus++
			}
		}
	}
	return p
}

// counting is how many judgments there are to learn from: all but those that are undone.
func (m *crowdModel) counting() (n int) {
	for _, turn := range m.turns {
		if turn.version > 0 && turn.closed && !turn.skipped {
			n++
		}
	}
	return n
}

// TestCountsEqualReality does at random what people do (claim, submit, submit late, skip, undo, revise, let a lease run
// out), and after each step compares the counts with a model and with the rows themselves.
func TestCountsEqualReality(t *testing.T) {
	const people, tasks, overlap = 4, 6, 2
	steps := 150
	if testing.Short() {
		steps = 40
	}
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			db := postgres.Database(t)
			w := newWorld(t, pgtest.OpenStore(t, db.URL), worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness, Overlap: overlap}, tasks: tasks})
			c := &crowd{world: w, db: connect(t, db.OwnerURL), random: rand.New(rand.NewPCG(seed, 7)),
				model: crowdModel{overlap: overlap, places: map[string][]modelPlace{}, turns: map[[2]string]*modelTurn{}, last: map[string]store.Assignment{}}}
			for _, task := range w.tasks {
				c.model.places[task] = make([]modelPlace, overlap)
			}
			for range people {
				c.people = append(c.people, w.annotator())
			}
			for step := range steps {
				what := c.step()
				if got, want := w.progress(), c.model.progress(); got != want {
					t.Fatalf("step %d, %s: progress %+v, want %+v", step, what, got, want)
				}
				if got, want := must(w.store.CountComparisons(t.Context(), store.ComparisonQuery{}))(t), c.model.counting(); got != want {
					t.Fatalf("step %d, %s: %d judgments count, want %d", step, what, got, want)
				}
				c.compareRows(step, what)
			}
		})
	}
}

// crowd is a world, its model and chance.
type crowd struct {
	*world
	db     *pgx.Conn
	random *rand.Rand
	model  crowdModel
	people []string
}

// step does one thing and says what it was.
func (c *crowd) step() string {
	person := c.people[c.random.IntN(len(c.people))]
	name := person[:4]
	held := c.model.holds(person)
	open := c.openTurns(person)
	switch n := c.random.IntN(10); {
	case n < 3:
		return name + " claims " + c.claimAny(person)
	case n < 6 && len(open) > 0: // held, or late
		turn := open[c.random.IntN(len(open))]
		return name + " submits " + c.submitTurn(person, turn)
	case n == 6 && len(open) > 0:
		turn := open[c.random.IntN(len(open))]
		if err := c.store.Skip(c.Context(), person, turn.assignment.ID, "cannot tell"); err != nil {
			c.Fatal(err)
		}
		c.leave(person, turn.assignment.TaskID)
		turn.closed, turn.skipped = true, true
		return name + " skips task " + turn.assignment.TaskID
	case n == 7 && held != "":
		c.expireOf(person)
		return name + "'s lease runs out"
	case n == 8:
		return name + " undoes " + c.undo(person)
	}
	return name + " revises " + c.revise(person)
}

func (c *crowd) openTurns(person string) (turns []*modelTurn) {
	for _, task := range c.tasks { // in an order that chance does not change
		if turn := c.model.turns[[2]string{task, person}]; turn != nil && !turn.closed {
			turns = append(turns, turn)
		}
	}
	return turns
}

// claimAny claims, and judges the answer by the model.
func (c *crowd) claimAny(person string) string {
	claimed, err := c.store.Claim(c.Context(), person, c.project.ID)
	if err != nil {
		c.Fatal(err)
	}
	held := c.model.holds(person)
	if claimed.Assignment == nil {
		for _, task := range c.tasks {
			if held != "" || c.model.mayTake(person, task) {
				c.Fatalf("%s got nothing, and task %s is there (held %q)", person, task, held)
			}
		}
		return "nothing"
	}
	a := *claimed.Assignment
	if held != "" {
		// After an undo a person may hold two: either will do.
		if !slices.ContainsFunc(c.model.places[a.TaskID], func(p modelPlace) bool { return p.person == person && !p.done && !p.expired }) {
			c.Fatalf("%s holds task %s and got task %s", person, held, a.TaskID)
		}
		return "the same task"
	}
	if !c.model.mayTake(person, a.TaskID) {
		c.Fatalf("%s got task %s: %+v", person, a.TaskID, c.model.places[a.TaskID])
	}
	c.model.take(person, a.TaskID)
	turn := c.model.turns[[2]string{a.TaskID, person}]
	if turn == nil {
		turn = &modelTurn{}
		c.model.turns[[2]string{a.TaskID, person}] = turn
	} else if turn.assignment.ID != a.ID || turn.assignment.Responses[0].ID != a.Responses[0].ID {
		c.Fatalf("%s had %+v on the task, and now %+v", person, turn.assignment, a)
	}
	turn.assignment = a
	c.readPlaces(a.TaskID)
	return "task " + a.TaskID
}

// readPlaces takes over which of several equal places of a task the database chose.
func (c *crowd) readPlaces(task string) {
	rows, err := c.db.Query(c.Context(), `
		SELECT coalesce(a.annotator_id::text, ''), coalesce(s.lease_until <= clock_timestamp(), false) AND s.done_at IS NULL, s.done_at IS NOT NULL
		FROM slots s LEFT JOIN assignments a ON a.id = s.assignment_id WHERE s.task_id = $1::text::bigint ORDER BY s.number`, task)
	if err != nil {
		c.Fatal(err)
	}
	places, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p modelPlace, err error) {
		return p, row.Scan(&p.person, &p.expired, &p.done)
	})
	if err != nil {
		c.Fatal(err)
	}
	count := func(places []modelPlace) (done, held int) {
		for _, p := range places {
			if p.done {
				done++
			} else if p.person != "" && !p.expired {
				held++
			}
		}
		return done, held
	}
	haveDone, haveHeld := count(places)
	wantDone, wantHeld := count(c.model.places[task])
	if haveDone != wantDone || haveHeld != wantHeld {
		c.Fatalf("task %s has the places %+v, want %+v", task, places, c.model.places[task])
	}
	c.model.places[task] = places
}

func (c *crowd) submitTurn(person string, turn *modelTurn) string {
	a := turn.assignment
	places := c.model.places[a.TaskID]
	at := slices.IndexFunc(places, func(p modelPlace) bool { return p.person == person && !p.done })
	if at < 0 {
		at = slices.IndexFunc(places, func(p modelPlace) bool { return !p.done && (p.person == "" || p.expired) })
	}
	var j store.Judgment
	if sub := c.submission(a); turn.version > 0 && c.random.IntN(2) == 0 {
		var err error
		if j, err = c.store.Revise(c.Context(), sub, turn.version); err != nil {
			c.Fatal(err)
		}
	} else {
		j = c.submit(sub)
	}
	if j.Surplus != (at < 0) {
		c.Fatalf("%s's judgment of task %s: surplus %v with the places %+v", person, a.TaskID, j.Surplus, places)
	}
	if at >= 0 {
		places[at] = modelPlace{person: person, done: true}
	}
	if turn.version == 0 {
		turn.surplus = j.Surplus
	}
	turn.version++
	turn.closed = true
	if j.Version != turn.version {
		c.Fatalf("version %d, want %d", j.Version, turn.version)
	}
	c.model.last[person] = a
	c.readPlaces(a.TaskID)
	return "task " + a.TaskID
}

// undo takes the person's last judgment back, if the last thing that they judged is still that.
func (c *crowd) undo(person string) string {
	a, ok := c.model.last[person]
	if !ok {
		return "nothing"
	}
	turn := c.model.turns[[2]string{a.TaskID, person}]
	err := c.store.Undo(c.Context(), person, a.ID, json.RawMessage(`{}`))
	if !turn.closed || turn.skipped {
		wantCode(c.T, "undoing what is undone, or was skipped since", err, tandem.Conflict)
		return "nothing again"
	}
	if err != nil {
		c.Fatal(err)
	}
	turn.closed = false
	for i, p := range c.model.places[a.TaskID] {
		if p.person == person {
			c.model.places[a.TaskID][i] = modelPlace{person: person}
		}
	}
	return "task " + a.TaskID
}

func (c *crowd) revise(person string) string {
	for _, task := range c.tasks {
		turn := c.model.turns[[2]string{task, person}]
		if turn == nil || turn.version == 0 || turn.skipped {
			continue
		}
		if !turn.closed { // undone, in another tab
			return c.submitTurn(person, turn)
		}
		if _, err := c.store.Revise(c.Context(), c.submission(turn.assignment), turn.version); err != nil {
			c.Fatal(err)
		}
		turn.version++
		c.model.last[person] = turn.assignment
		return "task " + task
	}
	return "nothing"
}

// leave empties the person's place on a task.
func (c *crowd) leave(person, task string) {
	for i, p := range c.model.places[task] {
		if p.person == person && !p.done {
			c.model.places[task][i] = modelPlace{}
		}
	}
}

func (c *crowd) expireOf(person string) {
	if _, err := c.db.Exec(c.Context(), `
		UPDATE slots s SET lease_until = clock_timestamp() FROM assignments a
		WHERE a.id = s.assignment_id AND a.annotator_id = $1 AND s.done_at IS NULL`, person); err != nil {
		c.Fatal(err)
	}
	for _, places := range c.model.places {
		for i, p := range places {
			if p.person == person && !p.done {
				places[i].expired = true
			}
		}
	}
}

// compareRows compares what the triggers counted with the rows, person by person.
func (c *crowd) compareRows(step int, what string) {
	var wrong []string
	err := c.db.QueryRow(c.Context(), `
		WITH reality AS (
			SELECT project_id, '00000000-0000-0000-0000-000000000000'::uuid AS annotator_id, 0 AS tasks, count(*) AS slots, 0 AS done, 0 AS judgments, 0 AS surplus
			FROM slots WHERE NOT gold GROUP BY 1
			UNION ALL SELECT project_id, '00000000-0000-0000-0000-000000000000', count(*), 0, 0, 0, 0 FROM tasks GROUP BY 1
			UNION ALL SELECT s.project_id, a.annotator_id, 0, 0, count(*), 0, 0 FROM slots s JOIN assignments a ON a.id = s.assignment_id
			          WHERE s.done_at IS NOT NULL AND NOT s.gold GROUP BY 1, 2
			UNION ALL SELECT t.project_id, j.annotator_id, 0, 0, 0, count(*), count(*) FILTER (WHERE j.surplus)
			          FROM judgments j JOIN tasks t ON t.id = j.task_id WHERE j.version = 1 GROUP BY 1, 2
		), added AS (
			SELECT project_id, annotator_id, sum(tasks) AS tasks, sum(slots) AS slots, sum(done) AS done, sum(judgments) AS judgments, sum(surplus) AS surplus
			FROM reality GROUP BY 1, 2
		)
		SELECT coalesce(array_agg(coalesce(a::text, '') || ' is counted as ' || coalesce(c::text, '')), '{}')
		FROM added a FULL JOIN project_counts c USING (project_id, annotator_id)
		WHERE (coalesce(a.tasks, 0), coalesce(a.slots, 0), coalesce(a.done, 0), coalesce(a.judgments, 0), coalesce(a.surplus, 0))
		   <> (coalesce(c.tasks, 0), coalesce(c.slots, 0), coalesce(c.done, 0), coalesce(c.judgments, 0), coalesce(c.surplus, 0))`).Scan(&wrong)
	if err != nil || len(wrong) > 0 {
		c.Fatalf("step %d, %s: %v, %v", step, what, wrong, err)
	}
}

package store_test

import (
	"testing"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

// What people say on seven points is kept by constraint, and nothing learns from it.
func TestSideBySide(t *testing.T) {
	s := postgres.Store(t)
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "side by side", Aspect: tandem.Helpfulness}, tasks: 1, kind: store.SideBySide})
	if _, err := s.CreateTasks(t.Context(), w.project.ID, []store.NewTask{{Kind: store.SideBySide, PromptID: "1", Responses: []string{"1"}}}); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("a side alone: %v", err)
	}
	a := w.claim(w.annotator())
	j := w.submit(store.Submission{Annotator: a.Annotator, Assignment: a.ID, Key: "k", Verdict: store.Verdict{Rating: 4}})
	if j.Kind != store.SideBySide || j.Verdict.Rating != 4 || j.Verdict.Chosen != "" || len(j.Shown) != 2 {
		t.Errorf("kept %+v", j)
	}
	revised, err := s.Revise(t.Context(), store.Submission{Annotator: a.Annotator, Assignment: a.ID, Key: "l", Verdict: store.Verdict{Rating: 1}}, 1)
	if err != nil || revised.Verdict.Rating != 1 || revised.Version != 2 {
		t.Errorf("revised %+v, %v", revised, err)
	}
	for c, err := range s.Comparisons(t.Context(), store.ComparisonQuery{}) {
		t.Errorf("it is learnt from: %+v, %v", c, err)
	}
}

// A database in use takes the new kind; its ratings and pairs are what they were, and no judgment can be half of each.
func TestMigrateToSideBySide(t *testing.T) {
	old, owner, m := unmigrated(t)
	if err := m.MigrateTo(t.Context(), 19); err != nil {
		t.Fatal(err)
	}
	put := func(sql string) error {
		_, err := owner.Exec(t.Context(), sql)
		return err
	}
	task := func(number, kind, answers string) string {
		return `INSERT INTO tasks (project_id, prompt_id, kind, content_key) VALUES (1, 1, '` + kind + `', sha256('` + number + `'));
			INSERT INTO task_responses SELECT ` + number + `, 1, r, r - 1 FROM generate_series(1, ` + answers + `) r;
			INSERT INTO assignments (task_id, annotator_id, shown, outcome, closed_at) SELECT ` + number + `, id, '{1,2}', 'submitted', clock_timestamp() FROM annotators;`
	}
	judgment := func(number, kind, values string) string {
		return `INSERT INTO judgments (assignment_id, task_id, project_id, annotator_id, kind, version, chosen, rejected, degree, rating, shown, idempotency_key, body_hash)
			SELECT ` + number + `, ` + number + `, 1, id, '` + kind + `', 1, ` + values + `, '{1,2}', '` + number + `', sha256('') FROM annotators`
	}
	for _, sql := range []string{
		`INSERT INTO annotators (role) VALUES ('annotator')`,
		`INSERT INTO projects (name, aspect) VALUES ('p', 'helpfulness')`,
		`INSERT INTO openings (hash, held_out) VALUES (sha256('o'), false)`,
		`INSERT INTO messages (id, role, content) VALUES (sha256('m'), 'user', 'What?')`,
		`INSERT INTO prompts (message_id, opening, held_out, safety) VALUES (sha256('m'), sha256('o'), false, false)`,
		`INSERT INTO responses (prompt_id, content, content_hash) VALUES (1, 'This.', sha256('1')), (1, 'That.', sha256('2'))`,
		task("1", "pairwise", "2"), judgment("1", "pairwise", "1, 2, 'better', NULL"),
		task("2", "rating", "1"), judgment("2", "rating", "NULL, NULL, '', 6"),
	} {
		if err := put(sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	if err := store.Migrate(t.Context(), old.OwnerURL); err != nil {
		t.Fatal(err)
	}
	kept := must(pgtest.OpenStore(t, old.URL).ProjectJudgments(t.Context(), "1", store.Page{}))(t)
	if len(kept) != 2 || kept[0].Verdict.Degree != tandem.Better || kept[1].Verdict.Rating != 6 {
		t.Errorf("judgments %+v", kept)
	}
	if err := put(task("3", "side_by_side", "2")); err != nil {
		t.Fatal(err)
	}
	for _, values := range []string{"NULL, NULL, '', NULL", "1, 2, 'better', NULL", "1, 2, 'better', 4", "1, 2, '', 4", "NULL, NULL, '', 8", "NULL, NULL, '', 0"} {
		if put(judgment("3", "side_by_side", values)) == nil {
			t.Errorf("side by side, %s is kept", values)
		}
	}
	if err := put(judgment("3", "side_by_side", "NULL, NULL, '', 4")); err != nil {
		t.Error(err)
	}
}

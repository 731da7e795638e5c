package store_test

import (
	"fmt"
	"slices"
	"testing"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

// A ranking counts as every pair of its answers, ties left out, in its newest version, and a snapshot holds all of them.
func TestRankingsCountAsTheirPairs(t *testing.T) {
	s := postgres.Store(t)
	ctx := t.Context()
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "ranks", Aspect: tandem.Helpfulness}, tasks: 2, kind: store.Ranking, responses: 4})
	ann := w.annotator()
	a := w.claim(ann)
	id := func(i int) string { return a.Responses[i].ID }
	sub := store.Submission{Annotator: ann, Assignment: a.ID, Key: "k", Verdict: store.Verdict{Ranking: [][]string{{id(3)}, {id(0)}, {id(1)}, {id(2)}}}}
	first := w.submit(sub)
	sub.Key, sub.Verdict.Ranking = "l", [][]string{{id(2)}, {id(0), id(1)}, {id(3)}}
	j := must(s.Revise(ctx, sub, first.Version))(t)

	want := []string{id(2) + ">" + id(0), id(2) + ">" + id(1), id(2) + ">" + id(3), id(0) + ">" + id(3), id(1) + ">" + id(3)}
	slices.Sort(want)
	check := func(what string, q store.ComparisonQuery) {
		t.Helper()
		var got []string
		ids := make(map[string]bool)
		for _, c := range collect(t, s.Comparisons(ctx, q)) {
			got = append(got, c.Chosen.ID+">"+c.Rejected.ID)
			ids[c.ID] = true
			if c.Ranking != "j"+j.ID || c.Degree != tandem.Unrated || c.Aspect != tandem.Helpfulness || c.Source != "ranks" {
				t.Errorf("%s: %+v", what, c)
			}
			if q.Judgments && (c.Judgment == nil || c.Judgment.ID != j.ID || c.Judgment.Left != "" || c.Judgment.Version != 2) {
				t.Errorf("%s: judged %+v", what, c.Judgment)
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) || len(ids) != len(want) {
			t.Errorf("%s: %v with %d ids, want %v", what, got, len(ids), want)
		}
	}
	check("what counts", store.ComparisonQuery{Judgments: true})
	snapshot := must(s.CreateSnapshot(ctx, "all", store.ComparisonQuery{}))(t)
	if snapshot.Comparisons != 5 {
		t.Errorf("a snapshot of %d comparisons", snapshot.Comparisons)
	}
	if err := s.Exclude(ctx, j.Assignment, true, "haste", "reviewer"); err != nil {
		t.Fatal(err)
	}
	check("the snapshot", store.ComparisonQuery{Snapshot: snapshot.ID})
	if left := collect(t, s.Comparisons(ctx, store.ComparisonQuery{})); len(left) != 0 {
		t.Errorf("of an excluded ranking count %+v", left)
	}
}

// Imported pairs keep which ranking they are of, and lie on one side of the split.
func TestImportKeepsRankings(t *testing.T) {
	s := postgres.Store(t)
	var in []tandem.Comparison
	for r := range 20 {
		for i := range 3 {
			c := pair(r)
			c.Chosen.Content, c.Rejected.Content, c.Ranking = fmt.Sprint("chosen ", i), fmt.Sprint("rejected ", i), fmt.Sprint("ranking ", r)
			in = append(in, c)
		}
	}
	must(s.ImportComparisons(t.Context(), file("a.jsonl", in...)))(t)
	sides := make(map[string]map[bool]int)
	for _, c := range collect(t, s.Comparisons(t.Context(), store.ComparisonQuery{})) {
		if sides[c.Ranking] == nil {
			sides[c.Ranking] = make(map[bool]int)
		}
		sides[c.Ranking][c.HeldOut]++
	}
	held := 0
	for ranking, side := range sides {
		if len(side) != 1 || side[true]+side[false] != 3 {
			t.Errorf("%s: %v", ranking, side)
		}
		held += len(side) * min(side[true], 1)
	}
	if len(sides) != 20 || held == 0 {
		t.Errorf("%d rankings, %d held out", len(sides), held)
	}
}

// What was kept before rankings counted: an imported pair is of none, a judged ranking becomes its pairs, and a snapshot
// from then holds what it held.
func TestMigrateToRankings(t *testing.T) {
	old, owner, m := unmigrated(t)
	if err := m.MigrateTo(t.Context(), 14); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		`INSERT INTO annotators (role) VALUES ('annotator')`,
		`INSERT INTO projects (name, aspect) VALUES ('ranks', 'safety')`,
		`INSERT INTO openings (hash, held_out) VALUES (sha256('o'), false)`,
		`INSERT INTO messages (id, role, content) VALUES (sha256('m'), 'user', 'What?')`,
		`INSERT INTO prompts (message_id, opening, held_out, safety) VALUES (sha256('m'), sha256('o'), false, false)`,
		`INSERT INTO responses (prompt_id, content, content_hash) VALUES (1, 'a', sha256('1')), (1, 'b', sha256('2')), (1, 'c', sha256('3'))`,
		`INSERT INTO imports (file, sha256, format, aspects, records, added, duplicates) VALUES ('f', sha256('f'), 'hh', 'safety', 1, 1, 0)`,
		`INSERT INTO imported_comparisons (import_id, content_key, aspect, prompt_id, chosen, rejected) VALUES (1, sha256('k'), 'safety', 1, 1, 2)`,
		`INSERT INTO tasks (project_id, prompt_id, kind, content_key) VALUES (1, 1, 'ranking', sha256('t'))`,
		`INSERT INTO task_responses VALUES (1, 1, 1, 0), (1, 1, 2, 1), (1, 1, 3, 2)`,
		`INSERT INTO assignments (task_id, annotator_id, shown, outcome, closed_at) SELECT 1, id, '{1,2,3}', 'submitted', clock_timestamp() FROM annotators`,
		`INSERT INTO judgments (assignment_id, task_id, project_id, annotator_id, kind, version, shown, idempotency_key, body_hash)
		 SELECT 1, 1, 1, id, 'ranking', 1, '{1,2,3}', 'k', sha256('') FROM annotators`,
		`INSERT INTO judgment_ranks (judgment_id, task_id, response_id, place) VALUES (1, 1, 3, 1), (1, 1, 1, 2), (1, 1, 2, 2)`,
		`INSERT INTO labels (judgment_id, task_id, response_id, label) VALUES (1, 1, 3, 'safe'), (1, 1, 1, 'unsafe')`,
		`INSERT INTO snapshots (name, hash, comparisons) VALUES ('then', sha256('s'), 1)`,
		`INSERT INTO snapshot_items VALUES (1, 'i', 1)`,
	} {
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	if err := store.Migrate(t.Context(), old.OwnerURL); err != nil {
		t.Fatal(err)
	}
	s := pgtest.OpenStore(t, old.URL)
	var now []string
	for _, c := range collect(t, s.Comparisons(t.Context(), store.ComparisonQuery{})) {
		now = append(now, fmt.Sprintf("%s %s>%s %q %s/%s", c.ID, c.Chosen.Content, c.Rejected.Content, c.Ranking, c.Chosen.Label, c.Rejected.Label))
	}
	if want := []string{`i1 a>b "" /`, `j1:3:1 c>a "j1" safe/unsafe`, `j1:3:2 c>b "j1" safe/`}; !slices.Equal(now, want) {
		t.Errorf("comparisons %q, want %q", now, want)
	}
	if then := collect(t, s.Comparisons(t.Context(), store.ComparisonQuery{Snapshot: "1"})); len(then) != 1 || then[0].ID != "i1" {
		t.Errorf("the snapshot holds %+v", then)
	}
}

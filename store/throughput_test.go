package store_test

import (
	"testing"
	"time"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

func TestThroughput(t *testing.T) {
	ctx := t.Context()
	db := postgres.Database(t)
	s := pgtest.OpenStore(t, db.URL)
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness, Overlap: 2}, tasks: 12})
	// Twenty-five hours lie between these two, so it is never the same date at both.
	var people []string
	for _, zone := range []string{"Pacific/Kiritimati", "Pacific/Pago_Pago"} {
		a, err := s.AddAnnotator(ctx, store.Annotator{Name: zone, Simulated: true, TimeZone: zone})
		if err != nil {
			t.Fatal(err)
		}
		people = append(people, a.ID)
	}
	for i := range 11 { // 1 s, 2 s, … 11 s
		sub := w.submission(w.claim(people[0]))
		sub.Duration = time.Duration(i+1) * time.Second
		j := w.submit(sub)
		if i == 0 { // a revision is no more work, nor another time
			sub.Key, sub.Duration, sub.Assignment = "revised", time.Hour, j.Assignment
			if _, err := s.Revise(ctx, sub, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	untimed := w.submission(w.claim(people[1]))
	untimed.Duration = 0
	w.submit(untimed)
	for range 2 {
		a := w.claim(people[1])
		if err := s.Skip(ctx, people[1], a.ID, "too long"); err != nil {
			t.Fatal(err)
		}
	}
	a := w.claim(people[1])
	if err := s.Flag(ctx, people[1], a.ID, "broken"); err != nil {
		t.Fatal(err)
	}
	owner := connect(t, db.OwnerURL)
	for _, back := range []string{"1 minute", "0", "3 days", "40 days"} {
		if _, err := owner.Exec(ctx, `INSERT INTO activity (annotator_id, project_id, active, key, at) VALUES ($1, $2::text::bigint, '2 minutes', $3::text, clock_timestamp() - $3::text::interval)`,
			people[0], w.project.ID, back); err != nil {
			t.Fatal(err)
		}
	}

	for _, project := range []string{w.project.ID, ""} {
		outputs, err := s.Outputs(ctx, project, 30)
		if err != nil || len(outputs) != 3 {
			t.Fatalf("outputs %+v, error %v", outputs, err)
		}
		old, west, east := outputs[0], outputs[1], outputs[2]
		if old.Annotator != people[0] || old.Judgments != 0 || old.Active != 2*time.Minute || east.Day.Sub(old.Day) != 3*24*time.Hour {
			t.Errorf("three days ago: %+v", old)
		}
		if west.Annotator != people[1] || west.Judgments != 1 || west.Skips != 2 || west.Active != 0 {
			t.Errorf("in the west: %+v", west)
		}
		if east.Annotator != people[0] || east.Judgments != 11 || east.Skips != 0 || east.Active.Round(time.Second) != 3*time.Minute || !east.Day.After(west.Day) {
			t.Errorf("in the east: %+v", east)
		}
	}
	if outputs, err := s.Outputs(ctx, "", 1); err != nil || len(outputs) != 2 {
		t.Errorf("today's outputs %+v, error %v", outputs, err)
	}

	paces, err := s.Paces(ctx, w.project.ID)
	want := store.Pace{Judgments: 11, P10: 2 * time.Second, Median: 6 * time.Second, P90: 10 * time.Second}
	if err != nil || len(paces) != 2 || paces[0] != want || paces[1].Annotator != people[0] || paces[1].Median != want.Median {
		t.Errorf("paces %+v, error %v", paces, err)
	}
	remarks, err := s.RemarkCounts(ctx, "")
	if err != nil || len(remarks) != 2 || remarks[0].Kind != "skip" || remarks[0].Reason != "too long" || remarks[0].Remarks != 2 || remarks[0].Tasks != 2 || remarks[0].People != 1 ||
		remarks[1].Kind != "flag" || remarks[1].Remarks != 1 {
		t.Errorf("remarks %+v, error %v", remarks, err)
	}
	empty := newWorld(t, s, worldConfig{project: store.Project{Name: "empty", Aspect: tandem.Safety}, tasks: 1})
	counts, err := s.ProjectCounts(ctx)
	if err != nil || len(counts) != 2 {
		t.Fatalf("counts %+v, error %v", counts, err)
	}
	if c := counts[0]; c.Last == nil || c.Wanted != 24 || c.Done != 12 || c.Judgments != 12 || c.People != 2 || c.Skips != 2 || c.Flags != 1 || c.Aspect != tandem.Helpfulness {
		t.Errorf("counts %+v", c)
	}
	if c := counts[1]; c.ID != empty.project.ID || c.Last != nil || c.Wanted != 1 || c.Judgments != 0 {
		t.Errorf("counts of the empty project %+v", c)
	}
	if paces, err := s.Paces(ctx, empty.project.ID); err != nil || len(paces) != 0 {
		t.Errorf("paces of the empty project %+v, error %v", paces, err)
	}
}

package store_test

import (
	"testing"
	"time"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

// Hours are those of each person's own days; what is sent twice, or from two tabs at once, counts once.
func TestHours(t *testing.T) {
	db := postgres.Database(t)
	s, owner := pgtest.OpenStore(t, db.URL), connect(t, db.OwnerURL)
	ctx := t.Context()
	ada := must(s.AddAnnotator(ctx, store.Annotator{Name: "Ada", TimeZone: "Asia/Tokyo"}))(t)
	bob := must(s.AddAnnotator(ctx, store.Annotator{Name: "Bob", TimeZone: "America/New_York"}))(t)
	// Two stretches of five minutes that overlap by three, and one that spans midnight in Tokyo (15:00 UTC).
	for _, row := range []struct{ person, at, key string }{
		{ada.ID, "2026-03-02 10:05:00Z", "a"}, {ada.ID, "2026-03-02 10:07:00Z", "b"}, {ada.ID, "2026-03-02 15:02:00Z", "c"},
		{bob.ID, "2026-03-02 04:30:00Z", "d"}, {bob.ID, "2026-03-08 07:02:00Z", "e"}, // the evening before, and the hour that is skipped in spring
	} {
		if _, err := owner.Exec(ctx, `INSERT INTO activity (annotator_id, active, key, at) VALUES ($1, '5 minutes', $2, $3::text::timestamptz)`, row.person, row.key, row.at); err != nil {
			t.Fatal(err)
		}
	}
	day := func(text string) time.Time { return must(time.Parse(time.DateOnly, text))(t) }
	type line struct {
		name, day string
		active    time.Duration
	}
	var got []line
	for _, h := range must(s.Hours(ctx, day("2026-03-01"), day("2026-03-08")))(t) {
		got = append(got, line{h.Name, h.Day.Format(time.DateOnly), h.Active})
	}
	want := []line{
		{"Bob", "2026-03-01", 5 * time.Minute}, {"Ada", "2026-03-02", 10 * time.Minute}, {"Ada", "2026-03-03", 2 * time.Minute}, {"Bob", "2026-03-08", 5 * time.Minute},
	}
	if len(got) != len(want) {
		t.Fatalf("hours %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("hours %v, want %v", got[i], want[i])
		}
	}
	if rest := must(s.Hours(ctx, day("2026-03-02"), day("2026-03-02")))(t); len(rest) != 1 || rest[0].Active != 10*time.Minute {
		t.Errorf("one day alone: %+v", rest)
	}
	_, err := s.Hours(ctx, day("2026-03-02"), day("2026-03-01"))
	wantCode(t, "backwards", err, tandem.Invalid)
	_, err = s.Hours(ctx, day("2024-03-02"), day("2026-03-01"))
	wantCode(t, "two years", err, tandem.Invalid)
}

func TestAddActivity(t *testing.T) {
	s := postgres.Store(t)
	ctx := t.Context()
	w := newWorld(t, s, worldConfig{project: store.Project{Name: "p", Aspect: tandem.Helpfulness}, tasks: 1})
	ann := w.annotator()
	good := store.Activity{Annotator: ann, Key: "k", ProjectID: w.project.ID, Active: time.Minute}
	for range 3 {
		if err := s.AddActivity(ctx, good); err != nil {
			t.Fatal(err)
		}
	}
	late := store.Activity{Annotator: ann, Key: "late", Active: time.Minute, Ago: 10 * time.Minute}
	if err := s.AddActivity(ctx, late); err != nil {
		t.Fatal(err)
	}
	w.judge(w.claim(ann), true)
	now := time.Now().UTC()
	var active time.Duration
	judgments := 0
	for _, h := range must(s.Hours(ctx, now.AddDate(0, 0, -1), now.AddDate(0, 0, 1)))(t) { // midnight may have passed
		active += h.Active
		judgments += h.Judgments
	}
	if active != 2*time.Minute || judgments != 1 {
		t.Errorf("%v and %d judgments, want two minutes and one", active, judgments)
	}
	for name, c := range map[string]struct {
		change func(*store.Activity)
		want   tandem.Code
	}{
		"no time":         {func(a *store.Activity) { a.Active = 0 }, tandem.Invalid},
		"six minutes":     {func(a *store.Activity) { a.Active = 6 * time.Minute }, tandem.Invalid},
		"no key":          {func(a *store.Activity) { a.Key = "" }, tandem.Invalid},
		"the future":      {func(a *store.Activity) { a.Ago = -time.Second }, tandem.Invalid},
		"two days ago":    {func(a *store.Activity) { a.Ago = 48 * time.Hour }, tandem.Invalid},
		"no such project": {func(a *store.Activity) { a.ProjectID = "999" }, tandem.NotFound},
		"no such person":  {func(a *store.Activity) { a.Annotator = "00000000-0000-0000-0000-000000000000" }, tandem.NotFound},
	} {
		a := good
		a.Key = name
		c.change(&a)
		wantCode(t, name, s.AddActivity(ctx, a), c.want)
	}
}

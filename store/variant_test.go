package store_test

import (
	"math"
	"strings"
	"testing"

	"tandem"
	"tandem/store"
)

func TestVariants(t *testing.T) {
	s, ctx := postgres.Store(t), t.Context()
	old, err := s.AddVariant(ctx, store.Variant{Name: "v1", Kind: store.FolderVariant, URL: "/models/v1/"}, "test")
	if err != nil || old.URL != "/models/v1" || old.ID == "" || old.Retired {
		t.Fatalf("added %+v, %v", old, err)
	}
	other, err := s.AddVariant(ctx, store.Variant{Name: "other", Kind: store.EndpointVariant, URL: "http://127.0.0.1:1/v1/chat/completions", ModelName: "m", KeyEnv: "OTHER_API_KEY"}, "test")
	if err != nil || other.URL != "http://127.0.0.1:1/v1" {
		t.Fatalf("added %+v, %v", other, err)
	}
	_, err = s.AddVariant(ctx, store.Variant{Name: "v1", Kind: store.FolderVariant, URL: "/models/other"}, "test")
	wantCode(t, "a name that is taken", err, tandem.Conflict)
	for _, v := range []store.Variant{
		{Kind: store.FolderVariant, URL: "/m"},
		{Name: "a", Kind: store.FolderVariant, URL: "m"},
		{Name: "a", Kind: store.FolderVariant, URL: "/m", KeyEnv: "A_API_KEY"},
		{Name: "a", Kind: "robot", URL: "/m"},
		{Name: "a", Kind: store.EndpointVariant, URL: "http://h/v1"},
		{Name: "a", Kind: store.EndpointVariant, URL: "ftp://h/v1", ModelName: "m"},
		{Name: "a", Kind: store.EndpointVariant, URL: "http://h", ModelName: "m"},
		{Name: "a", Kind: store.EndpointVariant, URL: "http://user:password@h/v1", ModelName: "m"},
		{Name: "a", Kind: store.EndpointVariant, URL: "http://h/v1?key=x", ModelName: "m"},
		{Name: "a", Kind: store.EndpointVariant, URL: store.PracticeURL},
		{Name: "a", Kind: store.EndpointVariant, URL: store.PracticeURL, ModelName: "m", KeyEnv: "A_API_KEY"},
		{Name: "a", Kind: store.EndpointVariant, URL: "practice:village", ModelName: "m"},
		{Name: "a", Kind: store.EndpointVariant, URL: "http://h/v1", ModelName: "m", KeyEnv: "DATABASE_URL"},
		{Name: "a", Kind: store.EndpointVariant, URL: "http://h/v1", ModelName: "m", KeyEnv: "AWS_SECRET_ACCESS_KEY"},
	} {
		_, err := s.AddVariant(ctx, v, "test")
		wantCode(t, v.URL+" "+v.KeyEnv, err, tandem.Invalid)
		if err != nil && strings.Contains(err.Error(), "password@") {
			t.Errorf("the error tells the password: %v", err)
		}
	}

	live, err := s.CreateProject(ctx, store.Project{Name: "live", Aspect: tandem.Helpfulness, Source: store.Live}, "test")
	if err != nil {
		t.Fatal(err)
	}
	prepared, err := s.CreateProject(ctx, store.Project{Name: "prepared", Aspect: tandem.Helpfulness}, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetDrawing(ctx, live.ID, []string{other.ID, old.ID, old.ID}, []float64{1.2, 0.7, 1.2}, 64, "test"); err != nil {
		t.Fatal(err)
	}
	d, err := s.Drawing(ctx, live.ID)
	if err != nil || len(d.Variants) != 2 || d.Variants[0].ID != old.ID || len(d.Temperatures) != 2 || d.AnswerTokens != 64 {
		t.Errorf("the drawing is %+v, %v", d, err)
	}
	both := []string{old.ID, other.ID}
	wantCode(t, "no temperature", s.SetDrawing(ctx, live.ID, both, nil, 64, "test"), tandem.Invalid)
	wantCode(t, "a hot one", s.SetDrawing(ctx, live.ID, both, []float64{3}, 64, "test"), tandem.Invalid)
	wantCode(t, "NaN", s.SetDrawing(ctx, live.ID, both, []float64{math.NaN()}, 64, "test"), tandem.Invalid)
	wantCode(t, "no tokens", s.SetDrawing(ctx, live.ID, both, []float64{1}, 0, "test"), tandem.Invalid)
	wantCode(t, "twice the same", s.SetDrawing(ctx, live.ID, both[:1], []float64{0}, 64, "test"), tandem.Invalid)
	wantCode(t, "an unknown variant", s.SetDrawing(ctx, live.ID, []string{"99"}, []float64{1}, 64, "test"), tandem.NotFound)
	wantCode(t, "a prepared project", s.SetDrawing(ctx, prepared.ID, both, []float64{1}, 64, "test"), tandem.Conflict)

	for range 2 { // retiring again changes nothing
		if err := s.RetireVariant(ctx, old.ID, "test"); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, "retiring what is not there", s.RetireVariant(ctx, "99", "test"), tandem.NotFound)
	all, err := s.Variants(ctx)
	if err != nil || len(all) != 2 || all[0].ID != other.ID || all[0].Retired || !all[1].Retired {
		t.Errorf("variants %+v, %v", all, err)
	}
	entries, err := s.Audit(ctx, "variant:"+old.ID)
	if err != nil || len(entries) != 2 || entries[0].Action != "variant.retire" {
		t.Errorf("audit %+v, %v", entries, err)
	}
	if v, err := s.AddVariant(ctx, store.Variant{Name: "writer", Kind: store.EndpointVariant, URL: store.PracticeURL, ModelName: "hasty"}, "test"); err != nil || v.URL != store.PracticeURL {
		t.Fatalf("added %+v, %v", v, err)
	}
}

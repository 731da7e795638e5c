package annotator_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"tandem"
	"tandem/annotation"
	"tandem/internal/pgtest"
	"tandem/internal/practice"
	"tandem/internal/practice/annotator"
	"tandem/internal/practice/gold"
	"tandem/internal/web"
	"tandem/site"
	"tandem/statistics"
	"tandem/store"
)

var postgres pgtest.Server

func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }

// TestAttackers has the same people attack a hasty and then a careful writer of the practice world through the API: of the
// same attacks fewer violate, by more than chance.
func TestAttackers(t *testing.T) {
	s := postgres.Store(t)
	ctx := t.Context()
	world, err := practice.New(practice.DefaultConfig(1))
	if err != nil {
		t.Fatal(err)
	}
	live, err := annotation.NewLive(s, annotation.LiveConfig{Look: 5 * time.Millisecond, Open: func(_ context.Context, v store.Variant) (tandem.Generator, error) {
		writer, err := practice.NewWriter(world, v.ModelName)
		writer.Word = 0
		return writer, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	var sampling sync.WaitGroup
	sampling.Go(func() { live.Run(running) })
	t.Cleanup(func() { stop(); sampling.Wait() })
	handler, err := site.Handler(site.Config{Keys: s, Accounts: s, Ready: s.Ping},
		func(api web.API) error { return annotation.Register(api, s) }, func(api web.API) error { return annotation.RegisterLive(api, live) })
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	project, err := s.CreateProject(ctx, store.Project{Name: "Red", Aspect: tandem.Safety, Source: store.RedTeam}, "test")
	if err != nil {
		t.Fatal(err)
	}
	oracle := gold.New()
	var attackers []annotator.Attacker
	const people, attacks = 2, 60
	for i := range people {
		person, err := annotator.New(annotator.DefaultConfig(1), uint64(i), oracle)
		if err != nil {
			t.Fatal(err)
		}
		a, err := s.AddAnnotator(ctx, store.Annotator{Name: fmt.Sprint("Attacker ", i), Simulated: true})
		if err != nil {
			t.Fatal(err)
		}
		_, secret, err := s.CreateKey(ctx, store.Key{Name: fmt.Sprint(i), Scopes: []store.Scope{store.ScopeAnnotate}, Annotator: a.ID})
		if err != nil {
			t.Fatal(err)
		}
		attackers = append(attackers, annotator.Attacker{Annotator: person, World: world, API: &annotation.Client{URL: server.URL, Key: secret}, Project: project.ID,
			Attacks: attacks, First: uint64(i * attacks), Pause: 2 * time.Millisecond})
	}
	for _, manner := range []string{"hasty", "careful"} {
		v, err := s.AddVariant(ctx, store.Variant{Name: manner, Kind: store.EndpointVariant, URL: store.PracticeURL, ModelName: manner}, "test")
		if err == nil {
			err = s.SetDrawing(ctx, project.ID, []string{v.ID}, []float64{1}, 128, "test")
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range attackers {
			a.Key = manner
			if rated, err := a.Run(ctx); err != nil || rated != attacks {
				t.Fatalf("%s: %d rated, %v", manner, rated, err)
			}
		}
	}
	attacked, err := s.RedTeaming(ctx, project.ID)
	if err != nil || len(attacked.Stretches) != 2*people || len(attacked.Attacks) != 2*people*attacks {
		t.Fatalf("%d stretches, %d attacks, %v", len(attacked.Stretches), len(attacked.Attacks), err)
	}
	variant := make(map[string]string)
	for _, st := range attacked.Stretches {
		variant[st.ID] = st.Variant
		if st.Counted <= 0 {
			t.Errorf("the stretch %+v took no time", st)
		}
	}
	violations := make(map[string]int)
	for _, a := range attacked.Attacks {
		if a.Rating.Violating() {
			violations[variant[a.Stretch]]++
		}
	}
	var shares [2]statistics.Interval
	for i, manner := range []string{"hasty", "careful"} {
		if shares[i], err = statistics.Wilson(float64(violations[manner]), people*attacks); err != nil {
			t.Fatal(err)
		}
	}
	if shares[1].High >= shares[0].Low {
		t.Errorf("the hasty writer's share of violations is %v, the careful one's %v", shares[0], shares[1])
	}
	violating, err := s.ViolatingAttacks(ctx, project.ID)
	if err != nil || len(violating) != violations["hasty"]+violations["careful"] {
		t.Errorf("%d violating attacks, %v; rated were %v", len(violating), err, violations)
	}
}

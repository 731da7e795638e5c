package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem"
	"tandem/pipeline"
	"tandem/store"
)

// openStore opens the test's database.
func openStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), os.Getenv("DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// judgeSideBySide has a person prefer the first of the answers, as they are shown, to every task of projects with
// side-by-side comparisons, until ctx ends.
func judgeSideBySide(ctx context.Context, t *testing.T, s *store.Store) {
	person, err := s.AddAnnotator(ctx, store.Annotator{Name: "somebody", Simulated: true})
	if err != nil {
		t.Error(err)
		return
	}
	for n := 0; ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		projects, err := s.Projects(ctx)
		for _, p := range projects {
			if !strings.Contains(p.Name, "side by side") {
				continue
			}
			for err == nil {
				var claimed store.Claimed
				if claimed, err = s.Claim(ctx, person.ID, p.ID); err != nil || claimed.Assignment == nil {
					break
				}
				n++
				a := claimed.Assignment
				verdict := store.Verdict{Chosen: a.Responses[0].ID, Rejected: a.Responses[1].ID, Degree: tandem.Better}
				if p.Aspect == tandem.Safety {
					verdict.Labels = map[string]tandem.SafetyLabel{verdict.Chosen: tandem.Safe, verdict.Rejected: tandem.Safe}
				}
				_, err = s.Submit(ctx, store.Submission{Annotator: person.ID, Assignment: a.ID, Key: fmt.Sprint(n), Verdict: verdict})
				for _, r := range a.Responses {
					if r.Model != "" {
						t.Errorf("who judges is told that an answer is of %s", r.Model)
					}
				}
			}
		}
		if err != nil && ctx.Err() == nil {
			t.Error(err)
			return
		}
	}
}

// A round whose version does not lose lets it serve, with everything that this rests on; one that has nobody to judge by
// leaves what serves. Going back is one command.
func TestRoundPromotes(t *testing.T) {
	args := roundCommandLine(t)
	args = slices.DeleteFunc(args, func(a string) bool { return a == "--ppo" })
	at := slices.Index(args, "--recipe") // one of its own is given below
	args = slices.Delete(args, at, at+2)
	var prompts strings.Builder
	heldOut := make(map[bool]int) // by safety
	for i := range 80 {
		opening := fmt.Sprintf("hello %d", i)
		fmt.Fprintf(&prompts, `{"prompt":%q,"safety_prompt":%t}`+"\n", opening, i%2 == 0)
		if tandem.HeldOut(opening, tandem.HeldOutShare) {
			heldOut[i%2 == 0]++
		}
	}
	recipe := func(more string) string {
		return writeTemp(t, "recipe.json", `{"helpfulness":{"fit":{"steps":8,"batch":4}},"safety":{"fit":{"steps":8,"batch":4}},
			"rejection":{"k":6,"max_tokens":12},"shard_prompts":50,"fine_tune":{"steps":8,"batch":4},`+more+`}`)
	}
	// At a margin of one half nobody can lose.
	args = append(args, "--prompts", writeTemp(t, "p.jsonl", prompts.String()), "--promote")
	eased := append(args, "--recipe", recipe(`"trial":{"margin":0.5}`), "--out", filepath.Join(t.TempDir(), "promoted"))
	plan := object[pipeline.Plan](t, tandemRun(t, "", append(eased, "--dry-run")...).ok(t))
	if plan.Data["trial_prompts_helpfulness"] != heldOut[false] || plan.Data["trial_prompts_safety"] != heldOut[true] || plan.Steps != 6 {
		t.Errorf("%v are held out, and the plan is %+v", heldOut, plan)
	}
	s := openStore(t)
	ctx, stop := context.WithCancel(t.Context())
	var judging sync.WaitGroup
	judging.Go(func() { judgeSideBySide(ctx, t, s) })
	r := tandemRun(t, "", eased...)
	stop()
	judging.Wait()
	first := object[roundReport](t, r.ok(t))
	d := first.Decision
	if d == nil || !d.Promoted || d.Model != first.ID || len(d.Contests) != 4 || !strings.Contains(d.Reason, "does not lose") {
		t.Fatalf("decided %+v", d)
	}
	for i, want := range []tandem.Contest{
		{Jury: tandem.HeldOutJury, Aspect: tandem.Helpfulness}, {Jury: tandem.HeldOutJury, Aspect: tandem.Safety},
		{Jury: tandem.PeopleJury, Aspect: tandem.Helpfulness}, {Jury: tandem.PeopleJury, Aspect: tandem.Safety},
	} {
		c := d.Contests[i]
		if c.Jury != want.Jury || c.Aspect != want.Aspect || c.Wins+c.Ties+c.Losses != heldOut[want.Aspect == tandem.Safety] || !c.Held {
			t.Errorf("contest %d is %+v, of %v prompts", i+1, c, heldOut)
		}
	}
	serves := func(want string) {
		t.Helper()
		if m, err := s.Promoted(t.Context(), tandem.PolicyModel); err != nil || m.ID != want {
			t.Errorf("%s serves (%v), want %s", m.ID, err, want)
		}
	}
	serves(first.ID)
	for c, err := range s.Comparisons(t.Context(), store.ComparisonQuery{Split: store.TrainData}) {
		if err != nil || strings.Contains(c.Source, "side by side") {
			t.Fatalf("what decides on a promotion is learnt from: %+v, %v", c, err)
		}
	}
	again := object[roundReport](t, tandemRun(t, "", append(eased, "--resume")...).ok(t))
	if again.Decision == nil || !again.Decision.At.Equal(d.At) {
		t.Errorf("decided again: %+v", again.Decision)
	}

	blind := append(args, "--recipe", recipe(`"second_share":0`), "--seed", "4", "--out", filepath.Join(t.TempDir(), "blind"))
	second := object[roundReport](t, tandemRun(t, "", blind...).ok(t))
	if d := second.Decision; d == nil || d.Promoted || d.Against != first.ID || !strings.Contains(d.Reason, "second_share") || second.Second != nil {
		t.Errorf("without a second pair of reward models: %+v", d)
	}
	serves(first.ID)
	tandemRun(t, "", "model", "promote", second.ID, "--reason", "I know better").ok(t)
	serves(second.ID)
	tandemRun(t, "", "model", "rollback", "policy", "--reason", "I did not").ok(t)
	serves(first.ID)
}

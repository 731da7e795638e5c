package store_test

import (
	"reflect"
	"testing"
	"time"

	"tandem"
)

// TestDecisions: a refusal and a promotion both stay with their numbers, and the model serves or does not.
func TestDecisions(t *testing.T) {
	s := postgres.Store(t)
	ctx := t.Context()
	for _, m := range []tandem.Model{
		{ID: "sft", Name: "SFT", Kind: tandem.PolicyModel, URL: "/sft", Stage: tandem.StageSFT},
		{ID: "v1", Name: "RLHF-V1", Kind: tandem.PolicyModel, URL: "/v1", Stage: tandem.StageReject},
		{ID: "v2", Name: "RLHF-V2", Kind: tandem.PolicyModel, URL: "/v2", Stage: tandem.StagePPO},
	} {
		if err := s.AddModel(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		must(s.CreateRound(ctx, ""))(t)
	}
	_, err := s.Decision(ctx, 1)
	wantCode(t, "nothing is decided", err, tandem.NotFound)
	refused := tandem.Decision{Round: 1, Model: "v1", Against: "sft", Reason: "people prefer SFT", Least: .45, Contests: []tandem.Contest{
		{Jury: tandem.HeldOutJury, Aspect: tandem.Helpfulness, Wins: 30, Ties: 1, Losses: 20, Rate: .598, Low: .46, High: .72, Held: true},
		{Jury: tandem.PeopleJury, Aspect: tandem.Safety, Wins: 3, Losses: 9, Rate: .25, Low: .09, High: .53},
	}}
	promoted := tandem.Decision{Round: 2, Model: "v2", Against: "sft", Promoted: true, Reason: "it does not lose", Least: .45}
	for _, d := range []tandem.Decision{refused, promoted} {
		if err := s.Decide(ctx, d, "pipeline"); err != nil {
			t.Fatal(err)
		}
		serves, err := s.Promoted(ctx, tandem.PolicyModel)
		if (err == nil) != d.Promoted || d.Promoted && serves.ID != d.Model {
			t.Errorf("after %q serves %q, %v", d.Reason, serves.ID, err)
		}
	}
	wantCode(t, "decided twice", s.Decide(ctx, tandem.Decision{Round: 1, Model: "v1", Against: "sft", Promoted: true, Reason: "after all"}, "pipeline"), tandem.Conflict)
	if serves := must(s.Promoted(ctx, tandem.PolicyModel))(t); serves.ID != "v2" {
		t.Errorf("a decision that was not kept let %s serve", serves.ID)
	}
	wantCode(t, "no reason", s.Decide(ctx, tandem.Decision{Round: 1, Model: "v1", Against: "sft"}, "pipeline"), tandem.Invalid)

	got := must(s.Decision(ctx, 1))(t)
	if time.Since(got.At) > time.Minute {
		t.Errorf("decided at %v", got.At)
	}
	if refused.At = got.At; !reflect.DeepEqual(got, refused) {
		t.Errorf("%+v, want %+v", got, refused)
	}
	if all := must(s.Decisions(ctx, "v2"))(t); len(all) != 1 || !all[0].Promoted || all[0].Contests == nil || len(must(s.Decisions(ctx, "sft"))(t)) != 0 {
		t.Errorf("decisions %+v", all)
	}
	if history := must(s.Promotions(ctx, tandem.PolicyModel))(t); len(history) != 1 || history[0].Reason != promoted.Reason || history[0].By != "pipeline" {
		t.Errorf("promotions %+v", history)
	}
}

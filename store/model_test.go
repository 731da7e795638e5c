package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"tandem"
	"tandem/store"
)

func TestModels(t *testing.T) {
	s := postgres.Store(t)
	ctx := t.Context()
	round := must(s.CreateRound(ctx, ""))(t)
	if round.Number != 1 || round.Name != "RLHF-V1" || round.Status != tandem.RoundOpen {
		t.Errorf("round %+v", round)
	}
	sft := tandem.Model{ID: "sft", Name: "sft", Kind: tandem.PolicyModel, URL: "file:///m/sft", Stage: tandem.StageSFT, Seed: math.MaxUint64, CreatedAt: time.Now().UTC().Truncate(time.Microsecond)}
	safety := tandem.Model{ID: "rs", Name: "safety", Kind: tandem.SafetyModel, URL: "file:///m/rs", Parent: "sft", Round: 1, Stage: tandem.StageRewardSafety,
		Snapshot: "7", Config: json.RawMessage(`{"rate": 0.0003}`), Kernel: "gonum", Metrics: map[string]float64{"accuracy": .64},
		Calibration: &tandem.Calibration{Calibrated: true, Gate: -1.7346, Deviation: 2, Samples: 500}, Ensemble: []string{"rs/0", "rs/1"}}
	for range 2 { // once more changes nothing
		for _, m := range []tandem.Model{sft, safety} {
			if err := s.AddModel(ctx, m); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := must(s.Model(ctx, "sft"))(t); got.Seed != math.MaxUint64 || !got.CreatedAt.Equal(sft.CreatedAt) || got.Round != 0 || got.Calibration != nil {
		t.Errorf("sft is %+v", got)
	}
	got := must(s.Model(ctx, "rs"))(t)
	if *got.Calibration != *safety.Calibration || got.Parent != "sft" || got.Round != 1 || got.Metrics["accuracy"] != .64 || !slices.Equal(got.Ensemble, safety.Ensemble) || string(got.Config) != string(safety.Config) {
		t.Errorf("rs is %+v", got)
	}
	other := sft
	other.Kind = tandem.SafetyModel
	wantCode(t, "an id that is taken", s.AddModel(ctx, other), tandem.Conflict)
	wantCode(t, "an unknown parent", s.AddModel(ctx, tandem.Model{ID: "x", Name: "x", Kind: tandem.PolicyModel, URL: "file:///x", Stage: tandem.StagePPO, Parent: "nobody"}), tandem.NotFound)
	wantCode(t, "an unknown kind", s.AddModel(ctx, tandem.Model{ID: "x", Name: "x", Kind: "judge", URL: "file:///x", Stage: tandem.StagePPO}), tandem.Invalid)
	wantCode(t, "no url", s.AddModel(ctx, tandem.Model{ID: "x", Name: "x", Kind: tandem.PolicyModel, Stage: tandem.StagePPO}), tandem.Invalid)
	_, err := s.Model(ctx, "nobody")
	wantCode(t, "no model", err, tandem.NotFound)

	if err := s.MeasureModel(ctx, "rs", map[string]float64{"eval_accuracy": .61}, nil); err != nil {
		t.Fatal(err)
	}
	if got := must(s.Model(ctx, "rs"))(t); len(got.Metrics) != 2 || got.Calibration == nil {
		t.Errorf("measured %+v", got)
	}
	if line := must(s.Lineage(ctx, "rs"))(t); len(line) != 2 || line[0].ID != "rs" || line[1].ID != "sft" {
		t.Errorf("lineage %+v", line)
	}
	first := must(s.Models(ctx, "", store.Page{Limit: 1}))(t)
	rest := must(s.Models(ctx, "", store.Page{After: first[0].ID}))(t)
	if len(first) != 1 || len(rest) != 1 || first[0].ID == rest[0].ID {
		t.Errorf("pages %+v and %+v", first, rest)
	}

	_, err = s.Promoted(ctx, tandem.PolicyModel)
	wantCode(t, "nothing promoted", err, tandem.NotFound)
	ppo := tandem.Model{ID: "ppo", Name: "ppo", Kind: tandem.PolicyModel, URL: "file:///m/ppo", Parent: "sft", Stage: tandem.StagePPO}
	if err := s.AddModel(ctx, ppo); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"sft", "ppo", "sft"} { // the last is a rollback
		if err := s.Promote(ctx, id, "cli", "better on held-out prompts"); err != nil {
			t.Fatal(err)
		}
		if got := must(s.Promoted(ctx, tandem.PolicyModel))(t); got.ID != id {
			t.Errorf("promoted %s, want %s", got.ID, id)
		}
	}
	history := must(s.Promotions(ctx, tandem.PolicyModel))(t)
	if len(history) != 3 || history[0].Model != "sft" || history[1].Model != "ppo" || history[0].By != "cli" || history[0].At.IsZero() {
		t.Errorf("promotions, the last first: %+v", history)
	}
	wantCode(t, "promoting nothing", s.Promote(ctx, "nobody", "cli", "why not"), tandem.NotFound)
}

func TestRuns(t *testing.T) {
	s := postgres.Store(t)
	ctx := t.Context()
	if err := s.SetRoundStatus(ctx, must(s.CreateRound(ctx, "first"))(t).Number, tandem.RoundRunning); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "no round", s.SetRoundStatus(ctx, 9, tandem.RoundDone), tandem.NotFound)
	run := must(s.StartRun(ctx, store.Run{Round: 1, Stage: tandem.StagePPO, Seed: 1 << 63, Config: json.RawMessage(`{"beta": 0.01}`), Host: "here"}, 0))(t)
	if run.Status != tandem.RoundRunning || run.StartedAt.IsZero() || !run.FinishedAt.IsZero() || run.Seed != 1<<63 {
		t.Errorf("started %+v", run)
	}
	if err := s.AddMetrics(ctx, run.ID, []store.Metric{{"objective/kl", 1, .5}, {"objective/kl", 2, 9}, {"loss", 1, math.NaN()}, {"objective/kl", 2, 10}}); err != nil {
		t.Fatal(err)
	}
	if err := s.AddMetrics(ctx, run.ID, []store.Metric{{"objective/kl", 2, .75}}); err != nil { // after a resume
		t.Fatal(err)
	}
	if got := must(s.Metrics(ctx, run.ID, 0, "objective/kl"))(t); !slices.Equal(got, []store.Metric{{"objective/kl", 1, .5}, {"objective/kl", 2, .75}}) {
		t.Errorf("metrics %+v", got)
	}
	if got := must(s.Metrics(ctx, run.ID, 1))(t); len(got) != 3 || !math.IsNaN(got[0].Value) {
		t.Errorf("metrics %+v", got)
	}
	for _, kind := range []string{"checkpoint", "resume"} {
		if err := s.AddEvent(ctx, run.ID, kind, "step 2"); err != nil {
			t.Fatal(err)
		}
	}
	events := must(s.Events(ctx, run.ID, ""))(t)
	if len(events) != 2 || events[0].Kind != "checkpoint" || len(must(s.Events(ctx, run.ID, events[0].ID))(t)) != 1 {
		t.Errorf("events %+v", events)
	}
	failed, cancelled := must(s.StartRun(ctx, store.Run{Stage: tandem.StageSFT}, 0))(t), must(s.StartRun(ctx, store.Run{Stage: tandem.StageSFT, Seed: 1}, 0))(t)
	for _, c := range []struct {
		run   store.Run
		cause error
		want  tandem.RoundStatus
	}{{run, nil, tandem.RoundDone}, {failed, errors.New("the loss is NaN"), tandem.RoundFailed}, {cancelled, context.Canceled, tandem.RoundCancelled}} {
		if err := s.FinishRun(ctx, c.run.ID, "", c.cause); err != nil {
			t.Fatal(err)
		}
		if got := must(s.Run(ctx, c.run.ID))(t); got.Status != c.want || got.FinishedAt.IsZero() || (got.Error != "") != (c.want == tandem.RoundFailed) {
			t.Errorf("finished as %+v, want %s", got, c.want)
		}
		wantCode(t, "ending twice", s.FinishRun(ctx, c.run.ID, "", nil), tandem.Conflict)
	}
	if runs := must(s.Runs(ctx, store.RunQuery{Round: 1}))(t); len(runs) != 1 || runs[0].ID != run.ID {
		t.Errorf("runs of round 1: %+v", runs)
	}
	if runs := must(s.Runs(ctx, store.RunQuery{Page: store.Page{After: cancelled.ID}}))(t); len(runs) != 2 || runs[0].ID != failed.ID {
		t.Errorf("older runs: %+v", runs)
	}
}

// Every sample and every score is kept with its model, once; the archive gives the best first.
func TestScoredResponses(t *testing.T) {
	s := postgres.Store(t)
	ctx := t.Context()
	for _, m := range []tandem.Model{
		{ID: "v1", Name: "v1", Kind: tandem.PolicyModel, Stage: tandem.StageSFT},
		{ID: "rh", Name: "rh", Kind: tandem.HelpfulnessModel, Stage: tandem.StageRewardHelpfulness},
		{ID: "rs", Name: "rs", Kind: tandem.SafetyModel, Stage: tandem.StageRewardSafety},
	} {
		m.URL = "file:///" + m.ID
		if err := s.AddModel(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	prompt := must(s.AddPrompts(ctx, []tandem.Prompt{{Messages: tandem.Dialogue{{Role: tandem.User, Content: "Hi"}}, Safety: true, Risk: tandem.HatefulHarmful, Vector: tandem.Logic}}))(t)[0]
	var samples []store.Response
	for k := range 4 {
		samples = append(samples, store.Response{PromptID: prompt.ID, Content: "Hello", Model: "v1", Sampling: tandem.Sampling{Temperature: 1.2, TopP: 1},
			Seed: 7, Sample: uint64(k), Finish: tandem.FinishStop, Tokens: 2})
	}
	ids := must(s.AddResponses(ctx, samples))(t)
	if again := must(s.AddResponses(ctx, samples))(t); !slices.Equal(again, ids) {
		t.Errorf("the same draws again are %v, want %v", again, ids)
	}
	warmer := samples[0]
	warmer.Sampling.Temperature = 1.3
	if id := must(s.AddResponses(ctx, []store.Response{warmer}))(t)[0]; slices.Contains(ids, id) {
		t.Error("another temperature is taken for the same draw")
	}
	scores := []store.ResponseScore{
		{ids[0], tandem.Score{Helpfulness: 9, Safety: -5, Combined: -2, Gated: true, Branch: tandem.SafetyBranch}},
		{ids[1], tandem.Score{Helpfulness: -3, Safety: 2, Combined: -3, Branch: tandem.HelpfulnessBranch}},
		{ids[2], tandem.Score{Helpfulness: 1, Safety: 2, Combined: .5, Branch: tandem.HelpfulnessBranch}},
	}
	for range 2 {
		if err := s.AddScores(ctx, "rh", "rs", scores); err != nil {
			t.Fatal(err)
		}
	}
	got := collect(t, s.ScoredResponses(ctx, "v1", "rh", "rs"))
	if len(got) != 3 || got[0].ID != ids[2] || got[1].ID != ids[1] || got[2].ID != ids[0] {
		t.Errorf("the best first: %+v, want %s, %s, %s", got, ids[2], ids[1], ids[0])
	}
	if r := got[0]; r.Prompt.Risk != tandem.HatefulHarmful || r.Prompt.Vector != tandem.Logic || !r.Prompt.Safety || r.Sampling.Temperature != 1.2 || r.Sampling.TopP != 1 ||
		r.Seed != 7 || r.Sample != 2 || r.Score != scores[2].Score || r.Finish != tandem.FinishStop || r.Tokens != 2 {
		t.Errorf("read back %+v", r)
	}
	wantCode(t, "a NaN", s.AddScores(ctx, "rh", "rs", []store.ResponseScore{{ids[3], tandem.Score{Helpfulness: math.NaN(), Branch: tandem.SafetyBranch}}}), tandem.Invalid)
	wantCode(t, "a score of nothing", s.AddScores(ctx, "rh", "rs", []store.ResponseScore{{"999", tandem.Score{Branch: tandem.SafetyBranch}}}), tandem.NotFound)
	wantCode(t, "an unknown model's sample", errOf(s.AddResponses(ctx, []store.Response{{PromptID: prompt.ID, Model: "nobody"}})), tandem.NotFound)
}

// What newer reward models say of an answer stands beside what was said before, at every sample that says it.
func TestRescoreSamples(t *testing.T) {
	s := postgres.Store(t)
	ctx := t.Context()
	for _, m := range []tandem.Model{
		{ID: "v1", Name: "v1", Kind: tandem.PolicyModel, Stage: tandem.StageSFT}, {ID: "v2", Name: "v2", Kind: tandem.PolicyModel, Stage: tandem.StageReject},
		{ID: "rh", Name: "rh", Kind: tandem.HelpfulnessModel, Stage: tandem.StageRewardHelpfulness}, {ID: "rs", Name: "rs", Kind: tandem.SafetyModel, Stage: tandem.StageRewardSafety},
		{ID: "rh2", Name: "rh2", Kind: tandem.HelpfulnessModel, Stage: tandem.StageRewardHelpfulness}, {ID: "rs2", Name: "rs2", Kind: tandem.SafetyModel, Stage: tandem.StageRewardSafety},
	} {
		m.URL = "file:///" + m.ID
		if err := s.AddModel(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	prompts := must(s.AddPrompts(ctx, []tandem.Prompt{{Messages: tandem.Dialogue{{Role: tandem.User, Content: "Hi"}}}, {Messages: tandem.Dialogue{{Role: tandem.User, Content: "Ho"}}}}))(t)
	said := func(prompt int, model, text string, sample uint64) store.Response {
		return store.Response{PromptID: prompts[prompt].ID, Content: text, Model: model, Sample: sample}
	}
	ids := must(s.AddResponses(ctx, []store.Response{said(0, "v1", "Hello", 0), said(0, "v1", "Hello", 1), said(0, "v2", "Hello", 0), said(0, "v1", "No", 2), said(1, "v1", "Hello", 0),
		{PromptID: prompts[0].ID, Content: "Hello", Origin: "a file"}}))(t)
	old, newer := tandem.Score{Combined: 1, Branch: tandem.HelpfulnessBranch}, tandem.Score{Combined: 2, Branch: tandem.HelpfulnessBranch}
	if err := s.AddScores(ctx, "rh", "rs", []store.ResponseScore{{ids[0], old}}); err != nil {
		t.Fatal(err)
	}
	scores := []store.SaidScore{{prompts[0].ID, "Hello", newer}, {prompts[0].ID, "nobody says this", newer}}
	for range 2 {
		if err := s.RescoreSamples(ctx, "rh2", "rs2", scores); err != nil {
			t.Fatal(err)
		}
	}
	scored := func(policy, helpfulness, safety string, want tandem.Score) (found []string) {
		for _, r := range collect(t, s.ScoredResponses(ctx, policy, helpfulness, safety)) {
			if r.Score != want {
				t.Errorf("%s has the score %+v, want %+v", r.ID, r.Score, want)
			}
			found = append(found, r.ID)
		}
		return found
	}
	if got := scored("v1", "rh2", "rs2", newer); !slices.Equal(got, ids[:2]) {
		t.Errorf("samples %v of v1 have the new score, want %v", got, ids[:2])
	}
	if got := scored("v2", "rh2", "rs2", newer); !slices.Equal(got, ids[2:3]) {
		t.Errorf("samples %v of v2 have the new score, want %v", got, ids[2:3])
	}
	if got := scored("v1", "rh", "rs", old); !slices.Equal(got, ids[:1]) {
		t.Errorf("samples %v have the old score, want %v", got, ids[:1])
	}
	wantCode(t, "a NaN", s.RescoreSamples(ctx, "rh2", "rs2", []store.SaidScore{{prompts[0].ID, "No", tandem.Score{Safety: math.NaN(), Branch: tandem.SafetyBranch}}}), tandem.Invalid)
}

func errOf[T any](_ T, err error) error { return err }

package scoreapi_test

import (
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"tandem"
	"tandem/llama/chat"
	"tandem/llama/checkpoint"
	"tandem/rewardmodel"
	"tandem/rewardmodel/scoreapi"
	"tandem/statistics"
)

// withHead is a copy of a safety model with a head of so many weights beside those of a summary, which change makes.
func withHead(t *testing.T, safety string, weights int, change func(weights []float64)) string {
	t.Helper()
	m, err := checkpoint.Load(t.Context(), safety)
	if err != nil {
		t.Fatal(err)
	}
	head := rewardmodel.PromptHead{Weights: make([]float64, 2*m.Weights.Config.HiddenSize+weights), Accuracy: statistics.Interval{Value: 0.875}}
	change(head.Weights)
	if m.Files[rewardmodel.PromptHeadFile], err = json.Marshal(head); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "with-head")
	if err := checkpoint.Save(t.Context(), folder, m, checkpoint.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	return folder
}

// The head that stands with a safety model is asked where neither the request nor the database says, and the answer
// names its accuracy.
func TestAsksTheHeadKeptWithTheSafetyModel(t *testing.T) {
	helpfulness, safety := judge(t, tandem.HelpfulnessModel, "h", 1), judge(t, tandem.SafetyModel, "s", 1)
	dialogue := goldens(t)[1].Messages
	for constant, want := range map[float64]bool{5: true, -5: false} {
		p, err := scoreapi.Open(t.Context(), helpfulness, withHead(t, safety, 1, func(w []float64) { w[len(w)-1] = constant }), chat.Config{})
		if err != nil {
			t.Fatal(err)
		}
		no := !want
		answer := newServer(t, p, nil, nil).scores(itemOf(dialogue, nil), itemOf(dialogue, &no))
		if e := answer.Results[0].Explanation; e.SafetyPrompt != want || e.SafetyPromptFrom != scoreapi.FromClassifier {
			t.Errorf("constant %g: %v by %s", constant, e.SafetyPrompt, e.SafetyPromptFrom)
		}
		if e := answer.Results[1].Explanation; e.SafetyPrompt != no || e.SafetyPromptFrom != scoreapi.FromRequest {
			t.Errorf("constant %g, said by the request: %v by %s", constant, e.SafetyPrompt, e.SafetyPromptFrom)
		}
		if a := answer.Models.Safety.PromptAccuracy; a == nil || *a != 0.875 {
			t.Errorf("the accuracy of the head is %v", a)
		}
	}
	if _, err := scoreapi.Open(t.Context(), helpfulness, withHead(t, safety, 2, func([]float64) {}), chat.Config{}); err == nil {
		t.Error("a head of another size stands with the model")
	}
}

// What the head says of a prompt in the pass that scores is what it says of the prompt alone.
func TestHeadReadsTheScoringPass(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	safety := withHead(t, judge(t, tandem.SafetyModel, "s", 1), 1, func(w []float64) {
		for i := range w {
			w[i] = random.NormFloat64()
		}
	})
	p, err := scoreapi.Open(t.Context(), judge(t, tandem.HelpfulnessModel, "h", 1), safety, chat.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var items []scoreItem
	var prompts []tandem.Dialogue
	for _, g := range goldens(t) {
		items, prompts = append(items, itemOf(g.Messages, nil)), append(prompts, g.Messages[:len(g.Messages)-1])
	}
	alone, err := p.Prompts.SafetyPrompts(t.Context(), prompts)
	if err != nil {
		t.Fatal(err)
	}
	p.Prompts = nil
	said := make(map[bool]int)
	for i, r := range newServer(t, p, nil, nil).scores(items...).Results {
		if e := r.Explanation; e.SafetyPrompt != alone[i] || e.SafetyPromptFrom != scoreapi.FromClassifier {
			t.Errorf("dialogue %d: %v by %s, alone %v", i, e.SafetyPrompt, e.SafetyPromptFrom, alone[i])
		}
		said[alone[i]]++
	}
	if len(said) < 2 {
		t.Errorf("the head says the same of all: %v", said)
	}
}

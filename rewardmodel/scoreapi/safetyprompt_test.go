package scoreapi_test

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"tandem"
	"tandem/llama/chat"
	"tandem/llama/checkpoint"
	"tandem/rewardmodel"
	"tandem/rewardmodel/scoreapi"
	"tandem/statistics"
)

// withHead is a copy of a safety model with a head that calls every prompt the same.
func withHead(t *testing.T, safety string, constant float64, weights int) string {
	t.Helper()
	m, err := checkpoint.Load(t.Context(), safety)
	if err != nil {
		t.Fatal(err)
	}
	head := rewardmodel.PromptHead{Weights: make([]float64, 2*m.Weights.Config.HiddenSize+weights), Accuracy: statistics.Interval{Value: 0.875}}
	head.Weights[len(head.Weights)-1] = constant
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
		p, err := scoreapi.Open(t.Context(), helpfulness, withHead(t, safety, constant, 1), chat.Config{})
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
	if _, err := scoreapi.Open(t.Context(), helpfulness, withHead(t, safety, 0, 2), chat.Config{}); err == nil {
		t.Error("a head of another size stands with the model")
	}
}

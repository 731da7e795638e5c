package scoreapi_test

import (
	"math"
	"path/filepath"
	"testing"

	"tandem"
	"tandem/llama/chat"
	"tandem/llama/checkpoint"
	"tandem/rewardmodel/scoreapi"
)

// ensemble writes one of two helpfulness models, of which one says r and the other 3r, and returns its folder.
func ensemble(t testing.TB, id string) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "judges")
	calibration := tandem.Calibration{Mean: -1, Deviation: 4, Samples: 10}
	lineage := tandem.Model{ID: id, Kind: tandem.HelpfulnessModel, Calibration: &calibration}
	for name, scale := range map[string]float32{"once": 1, "thrice": 3} {
		m, err := checkpoint.Load(t.Context(), judge(t, tandem.HelpfulnessModel, name, scale))
		if err != nil {
			t.Fatal(err)
		}
		if err := checkpoint.Save(t.Context(), filepath.Join(folder, name), m, checkpoint.SaveOptions{}); err != nil {
			t.Fatal(err)
		}
		lineage.Ensemble = append(lineage.Ensemble, name)
	}
	if err := checkpoint.SaveLineage(t.Context(), folder, lineage); err != nil {
		t.Fatal(err)
	}
	return folder
}

// An ensemble answers like a single model whose scalar is its members' mean, and says how far they disagree: members that
// say r and 3r say 2r ± |r| together.
func TestEnsembleAnswers(t *testing.T) {
	p, err := scoreapi.Open(t.Context(), ensemble(t, "three"), judge(t, tandem.SafetyModel, "s", 1), chat.Config{})
	if err != nil {
		t.Fatal(err)
	}
	no := false
	s := newServer(t, p, nil, nil)
	sides := 0
	for _, g := range goldens(t) {
		answer := s.scores(itemOf(g.Messages, &no))
		got, r := answer.Results[0], g.Helpfulness
		if math.Abs(*got.Helpfulness-2*r) > 1e-4 || answer.Models.Helpfulness.ID != "three" {
			t.Errorf("scores %g by %+v, want twice %g", *got.Helpfulness, answer.Models, r)
		}
		combined, uncertainty := (2*r+1)/4, math.Abs(r)/4
		if *got.Gated {
			combined, uncertainty = *got.Combined, 0 // the safety model's, which is a single one
		} else {
			sides++
		}
		if math.Abs(*got.Combined-combined) > 1e-4 || math.Abs(got.Uncertainty-uncertainty) > 1e-4 || math.Abs(got.Explanation.Helpfulness.Uncertainty-math.Abs(r)) > 1e-4 {
			t.Errorf("combined %g ± %g, want %g ± %g; %+v", *got.Combined, got.Uncertainty, combined, uncertainty, got.Explanation.Helpfulness)
		}
	}
	if sides == 0 {
		t.Error("every answer is gated")
	}
}

package evaluation_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"tandem"
	"tandem/evaluation"
)

// TestSelfBLEU is against nltk's figures, which testdata/bleu.py wrote.
func TestSelfBLEU(t *testing.T) {
	text, err := os.ReadFile("testdata/bleu.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Texts []string
		BLEU  float64 `json:"bleu"`
		Self  float64 `json:"self_bleu"`
	}
	if err := json.Unmarshal(text, &cases); err != nil || len(cases) < 60 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, c := range cases {
		if got := evaluation.BLEU(c.Texts[0], c.Texts[1:]); math.Abs(got-c.BLEU) > 1e-12 {
			t.Errorf("BLEU of %q is %g, want %g", c.Texts, got, c.BLEU)
		}
		if got, err := evaluation.SelfBLEU(c.Texts); err != nil || math.Abs(got-c.Self) > 1e-12 {
			t.Errorf("Self-BLEU of %q is %g, want %g, %v", c.Texts, got, c.Self, err)
		}
	}
	if _, err := evaluation.SelfBLEU([]string{"alone"}); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("one text: %v", err)
	}
}

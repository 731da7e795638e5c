package pipeline_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem"
	"tandem/dataset"
	"tandem/pipeline"
	"tandem/pretrain"
)

// foldsOf is a cross-validation in two folds, with a source that begins as the pairs do and one that does not.
func foldsOf(t *testing.T, s *pipeline.Studio) pipeline.CrossValidation {
	t.Helper()
	pretraining, err := pretrain.Preset("practice")
	if err != nil {
		t.Fatal(err)
	}
	pretraining.Context = 64
	c := pipeline.DefaultCrossValidationConfig(1)
	c.Folds, c.FromChat, c.PretrainSources = 2, true, true
	c.Pretrain = &pipeline.Pretrain{Tokenizer: tinyTokenizer(), Shape: tinyShape, Config: pretraining}
	c.Helpfulness.Mixture = dataset.Mixture{
		Parts: []dataset.Part{{Sources: []string{"helpfulness"}, Weight: 1}, {Sources: []string{"again", "open"}, Weight: 1}},
		Sources: map[string]dataset.Source{
			"again": {Data: hhPairs(t, "help", "good", "bad", 60), Format: dataset.HH},
			"open":  {Data: hhPairs(t, "open", "good", "bad", 20), Format: dataset.HH},
		},
	}
	v := pipeline.CrossValidation{Folder: t.TempDir(), Read: s.Comparisons, Config: c, Pairs: make(map[tandem.Aspect][]tandem.Comparison)}
	for aspect, file := range map[tandem.Aspect]string{
		tandem.Helpfulness: hhPairs(t, "help", "good", "bad", 120), tandem.Safety: hhPairs(t, "harm", "kind", "mean", 120),
	} {
		if v.Pairs[aspect], err = s.Comparisons(t.Context(), file, dataset.HH, aspect); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func idle(tandem.Stage, int, int) {}

// Whatever file an opening stands in, no model of the fold that is measured on it has learnt from it.
func TestCrossValidationLearnsNothingOfItsFold(t *testing.T) {
	if testing.Short() {
		t.Skip("trains some ten tiny models")
	}
	s := studio(t)
	v := foldsOf(t, s)
	validity, err := v.Run(t.Context(), s.Units(idle))
	if err != nil {
		t.Fatal(err)
	}
	if h := validity[tandem.Helpfulness]; h.Pairs != 120 || h.Openings != 60 || len(h.ByFold) != 2 || len(h.Rules) != 3 {
		t.Errorf("%+v", h)
	}
	again := 0
	for _, n := range []string{"1", "2"} {
		folder := filepath.Join(v.Folder, "folds", n)
		measured := make(map[string]bool)
		for _, aspect := range []string{"helpfulness", "safety"} {
			for _, c := range lines[tandem.Comparison](t, filepath.Join(folder, aspect+"-measured.jsonl")) {
				measured[c.Prompt.Messages.Opening()] = true
			}
		}
		for _, name := range []string{"comparisons.jsonl", "helpfulness-source-1.jsonl", "helpfulness-source-2.jsonl"} {
			for _, c := range lines[tandem.Comparison](t, filepath.Join(folder, name)) {
				if measured[c.Prompt.Messages.Opening()] {
					t.Errorf("%s of fold %s holds %q, which it is measured on", name, n, c.Prompt.Messages.Opening())
				}
				if name == "helpfulness-source-1.jsonl" {
					again++
				}
			}
		}
		opened := false
		for _, l := range lines[struct{ Text string }](t, filepath.Join(folder, "texts.jsonl")) {
			opening, _, _ := strings.Cut(strings.TrimPrefix(l.Text, "<|user|>"), "<|assistant|>")
			if measured[opening] {
				t.Errorf("the base model of fold %s reads %q, which it is measured on", n, opening)
			}
			opened = opened || strings.HasPrefix(opening, "open ")
		}
		if !opened {
			t.Errorf("the base model of fold %s does not read the further source", n)
		}
		for _, l := range lines[struct{ Messages tandem.Dialogue }](t, filepath.Join(folder, "demonstrations.jsonl")) {
			if measured[l.Messages.Opening()] {
				t.Errorf("the chat model of fold %s learns %q, which it is measured on", n, l.Messages.Opening())
			}
		}
	}
	if again != 60 { // each in the fold that is not measured on it
		t.Errorf("%d comparisons of the source that begins as the pairs do are learnt from, 60 expected", again)
	}
}

// Base models serve again where they have read the other folds and nothing else.
func TestCrossValidationUsesBasesAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("trains some ten tiny models")
	}
	s := studio(t)
	first := foldsOf(t, s)
	first.Config.FromChat = false
	if _, err := first.Run(t.Context(), s.Units(idle)); err != nil {
		t.Fatal(err)
	}
	next := first
	next.Folder, next.Bases, next.Config.Pretrain = t.TempDir(), first.Folder, nil
	next.Config.Helpfulness.Fit.Seed = 2
	if _, err := next.Run(t.Context(), s.Units(idle)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(next.Folder, "folds", "1", "base")); err == nil {
		t.Error("a base model was made although there is one")
	}
	next.Folder, next.Config.PretrainSources = t.TempDir(), false
	if _, err := next.Run(t.Context(), s.Units(idle)); tandem.CodeOf(err) != tandem.Conflict {
		t.Errorf("base models that have read something else: error %v", err)
	}
}

func TestCrossValidationRefuses(t *testing.T) {
	s := studio(t)
	for what, spoil := range map[string]func(*pipeline.CrossValidation){
		"no pairs of a kind": func(v *pipeline.CrossValidation) { delete(v.Pairs, tandem.Safety) },
		"one fold":           func(v *pipeline.CrossValidation) { v.Config.Folds = 1 },
		"no base":            func(v *pipeline.CrossValidation) { v.Config.Pretrain = nil },
		"two bases":          func(v *pipeline.CrossValidation) { v.Base = "base" },
		"no reader":          func(v *pipeline.CrossValidation) { v.Read = nil },
		"aspects swapped":    func(v *pipeline.CrossValidation) { v.Config.Safety = v.Config.Helpfulness },
	} {
		bad := foldsOf(t, s)
		spoil(&bad)
		if _, err := bad.Run(t.Context(), s.Units(idle)); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%s: error %v", what, err)
		}
	}
}

package rewardmodel_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"tandem"
	"tandem/rewardmodel"
)

// readerOf makes summaries of prompts by a function of their text.
type readerOf func(text string) []float32

func (r readerOf) PromptSummaries(_ context.Context, prompts []tandem.Dialogue) ([][]float32, error) {
	summaries := make([][]float32, len(prompts))
	for i, p := range prompts {
		summaries[i] = r(p[0].Content)
	}
	return summaries, nil
}

// noisy is a trunk of hidden size 3, one of whose states tells a text with an even number from one with an odd.
func noisy(clarity float64) readerOf {
	return func(text string) []float32 {
		var n int
		fmt.Sscanf(text, "prompt %d", &n)
		rng := rand.New(rand.NewPCG(uint64(n), 3))
		s := make([]float32, 6)
		for j := range s {
			s[j] = float32(100 + 0.01*rng.NormFloat64()) // far from 0 and narrow: they must be brought to one scale
		}
		s[4] = float32(rng.NormFloat64() + clarity*float64(1-2*(n%2)))
		return s
	}
}

func numbered(n int, safety func(i int) bool) (prompts []tandem.Prompt) {
	for i := range n {
		prompts = append(prompts, tandem.Prompt{Messages: tandem.Dialogue{{Role: tandem.User, Content: fmt.Sprintf("prompt %d", i)}}, Safety: safety(i)})
	}
	return prompts
}

func TestPromptHeadTellsSafetyPrompts(t *testing.T) {
	even := func(i int) bool { return i%2 == 0 }
	h, ok, err := rewardmodel.FitPromptHead(t.Context(), noisy(2), numbered(600, even))
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	// Two normal distributions 4 apart are told apart with Φ(2) = 0.977.
	if math.Abs(h.Accuracy.Value-0.977) > 0.02 || h.Prompts != 600 || h.Safety != 300 || math.Abs(h.Recall-h.Specificity) > 0.04 {
		t.Errorf("%+v", h)
	}
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	read, err := rewardmodel.ParsePromptHead(text, 3)
	if err != nil {
		t.Fatal(err)
	}
	judge := rewardmodel.PromptClassifier{Head: read, Reader: noisy(2)}
	fresh := numbered(1000, even)[600:]
	var dialogues []tandem.Dialogue
	for _, p := range fresh {
		dialogues = append(dialogues, p.Messages)
	}
	said, err := judge.SafetyPrompts(t.Context(), dialogues)
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for i, p := range fresh {
		if safety, ok := said[i]; ok && safety == p.Safety {
			right++
		}
	}
	if right < 380 {
		t.Errorf("of 400 new prompts %d are told right", right)
	}
	if _, err := rewardmodel.ParsePromptHead(text, 4); err == nil {
		t.Error("a head stands with a model of another size")
	}
}

// What is reported was measured on prompts that were held out: of labels without any sense half are told right.
func TestPromptHeadHasNothingToLearn(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	h, ok, err := rewardmodel.FitPromptHead(t.Context(), noisy(2), numbered(600, func(int) bool { return rng.IntN(2) == 0 }))
	if err != nil || !ok || math.Abs(h.Accuracy.Value-0.5) > 0.07 {
		t.Errorf("%+v %v %v", h, ok, err)
	}
}

// A kind that is rare among the training prompts counts as much as the other.
func TestPromptHeadWeighsBothKindsAlike(t *testing.T) {
	var few []tandem.Prompt
	for _, p := range numbered(2000, func(i int) bool { return i%2 == 0 }) {
		if !p.Safety || len(few)%9 == 0 {
			few = append(few, p)
		}
	}
	h, ok, err := rewardmodel.FitPromptHead(t.Context(), noisy(1), few)
	if err != nil || !ok || h.Safety*5 > h.Prompts || math.Abs(h.Recall-h.Specificity) > 0.1 {
		t.Errorf("%+v %v %v", h, ok, err)
	}
}

func TestPromptHeadWantsBothKinds(t *testing.T) {
	again := append(numbered(19, func(int) bool { return true }), numbered(100, func(i int) bool { return true })[:19]...)
	for i, p := range numbered(100, func(int) bool { return false }) {
		if i >= 19 {
			again = append(again, p)
		}
	}
	if h, ok, err := rewardmodel.FitPromptHead(t.Context(), noisy(2), again); err != nil || ok || h.Safety != 19 || h.Prompts != 100 {
		t.Errorf("%+v %v %v", h, ok, err)
	}
}

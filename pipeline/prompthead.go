package pipeline

import (
	"context"
	"encoding/json"
	"fmt"

	"tandem"
	"tandem/llama"
	"tandem/llama/chat"
	"tandem/rewardmodel"
)

// promptHead fits the head that tells safety prompts from others to the prompts that a safety model was
// trained on, and adds it to files, which stand beside the model, and to its metrics. Without enough prompts
// of both kinds there is none.
func (s *Studio) promptHead(ctx context.Context, w *llama.Weights, policy *chat.Policy, comparisons []tandem.Comparison,
	files map[string][]byte, metrics map[string]float64) error {
	reader, err := chat.NewClassifier(w, policy.Tokenizer, s.chatConfig())
	if err != nil {
		return err
	}
	prompts := make([]tandem.Prompt, len(comparisons))
	for i, c := range comparisons {
		prompts[i] = c.Prompt
	}
	head, ok, err := rewardmodel.FitPromptHead(ctx, reader, prompts)
	if err != nil {
		return fmt.Errorf("the head for prompts: %w", err)
	}
	if !ok {
		s.Log.Info("there is no head that tells safety prompts from others: too few of a kind", "prompts", head.Prompts, "safety", head.Safety)
		return nil
	}
	text, err := json.Marshal(head)
	if err != nil {
		return err
	}
	files[rewardmodel.PromptHeadFile] = text
	metrics["prompt_head_accuracy"], metrics["prompt_head_recall"], metrics["prompt_head_specificity"] = head.Accuracy.Value, head.Recall, head.Specificity
	s.Log.Info("a head tells safety prompts from others", "prompts", head.Prompts, "safety", head.Safety, "accuracy", head.Accuracy.String())
	return nil
}

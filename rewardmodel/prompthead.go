package rewardmodel

import (
	"context"
	"encoding/json"
	"math"

	"tandem"
	"tandem/dataset"
	"tandem/statistics"
)

// PromptHeadFile is the file in a safety model's folder that keeps its PromptHead.
const PromptHeadFile = "prompt_head.json"

// PromptHead tells safety prompts from others: is_safety(p) of R_c (section 3.2.3) where neither a request
// nor a stored category says it. It is a logistic regression on what the safety model's trunk, which is the
// chat policy's trained further, makes of the prompt. [choice] On the policy's own trunk it is no better, and
// would need a third model beside the pair; the mean state and the last one together are better than either: of hh's
// held-out prompts 0.76 are told right, 0.75 by the mean and 0.72 by the last, and 0.75 by both of the policy's trunk.
type PromptHead struct {
	// Weights are of a prompt's summary (llama.Classifier.Summaries) and of the constant, [2·hidden_size + 1].
	Weights []float64 `json:"weights"`
	// Prompts is how many different ones it was fitted to, Safety how many of them are safety prompts.
	Prompts int `json:"prompts"`
	Safety  int `json:"safety"`
	// Accuracy is the share of prompts that it told right while they were held out, in promptFolds folds by
	// opening; Recall is that of safety prompts alone, Specificity that of the others.
	Accuracy    statistics.Interval `json:"accuracy"`
	Recall      float64             `json:"recall"`
	Specificity float64             `json:"specificity"`
}

// PromptReader gives what a trunk makes of prompts, [2·hidden_size] each. chat.Classifier is one.
type PromptReader interface {
	PromptSummaries(ctx context.Context, prompts []tandem.Dialogue) ([][]float32, error)
}

// [choice] promptFolds cross-validate a head, promptRidge is its λ per prompt over summaries of deviation 1
// (0.002 and 0.01 differ by less than half a point on hh's prompts), leastPrompts of each kind are needed, and
// no more than mostPrompts are fitted to.
const (
	promptFolds  = 5
	promptRidge  = 0.002
	leastPrompts = 20
	mostPrompts  = 4000
)

// FitPromptHead fits a head to prompts whose Safety is known, each counted once. It reports false where there
// are too few of a kind to learn anything from.
func FitPromptHead(ctx context.Context, reader PromptReader, prompts []tandem.Prompt) (PromptHead, bool, error) {
	h := PromptHead{}
	var dialogues []tandem.Dialogue
	var safety []bool
	seen := make(map[uint64]bool)
	for _, p := range prompts {
		key := p.Messages.Key()
		if seen[key] || len(dialogues) == mostPrompts {
			continue
		}
		seen[key] = true
		dialogues, safety = append(dialogues, p.Messages), append(safety, p.Safety)
		if p.Safety {
			h.Safety++
		}
	}
	h.Prompts = len(dialogues)
	if min(h.Safety, h.Prompts-h.Safety) < leastPrompts {
		return h, false, nil
	}
	summaries, err := reader.PromptSummaries(ctx, dialogues)
	if err != nil {
		return h, false, err
	}
	all := make([]int, len(dialogues))
	folds := make([]int, len(dialogues))
	for i, d := range dialogues {
		all[i], folds[i] = i, dataset.Fold(d.Opening(), promptFolds)
	}
	right := make([]float64, len(dialogues))
	for held := range promptFolds {
		if err := ctx.Err(); err != nil {
			return h, false, err
		}
		var at []int
		for i, fold := range folds {
			if fold != held {
				at = append(at, i)
			}
		}
		trial := PromptHead{Weights: fitPrompts(summaries, safety, at)}
		for i, fold := range folds {
			if fold == held && trial.Says(summaries[i]) == safety[i] {
				right[i] = 1
			}
		}
	}
	told := make(map[bool]float64)
	for i, r := range right {
		told[safety[i]] += r
	}
	h.Recall, h.Specificity = told[true]/float64(h.Safety), told[false]/float64(h.Prompts-h.Safety)
	if h.Accuracy, err = statistics.Mean(right); err != nil {
		return h, false, err
	}
	h.Weights = fitPrompts(summaries, safety, all)
	return h, true, nil
}

// fitPrompts fits weights to the summaries at some places. The summaries are brought to mean 0 and deviation 1
// for it, and the constant moved so that both kinds count alike, however many there are of each.
func fitPrompts(summaries [][]float32, safety []bool, at []int) []float64 {
	d, n := len(summaries[0]), float64(len(at))
	mean, deviation := make([]float64, d), make([]float64, d)
	positives := 0.0
	for _, i := range at {
		for j, v := range summaries[i] {
			mean[j] += float64(v) / n
		}
		if safety[i] {
			positives++
		}
	}
	for _, i := range at {
		for j, v := range summaries[i] {
			deviation[j] += (float64(v) - mean[j]) * (float64(v) - mean[j]) / n
		}
	}
	index := make([]int, d+1)
	for j := range index {
		index[j] = j
	}
	for j, v := range deviation {
		deviation[j] = math.Sqrt(v) + 1e-6 // a state that is always the same says nothing
	}
	examples := make([]statistics.Sparse, len(at))
	for k, i := range at {
		sign := -1.0
		if safety[i] {
			sign = 1
		}
		x := make([]float64, d+1)
		for j, v := range summaries[i] {
			x[j] = sign * (float64(v) - mean[j]) / deviation[j]
		}
		x[d] = sign
		examples[k] = statistics.Sparse{Index: index, Value: x}
	}
	w := statistics.FitLogistic(examples, d+1, promptRidge)
	w[d] -= math.Log((positives + 0.5) / (n - positives + 0.5))
	for j := range d {
		w[j] /= deviation[j]
		w[d] -= w[j] * mean[j]
	}
	return w
}

// Says whether a summary is a safety prompt's.
func (h PromptHead) Says(summary []float32) bool { return h.Probability(summary) >= 0.5 }

// Probability is that of a safety prompt, given its summary.
func (h PromptHead) Probability(summary []float32) float64 {
	d := len(h.Weights) - 1
	z := h.Weights[d]
	for j, v := range summary {
		z += h.Weights[j] * float64(v)
	}
	return 1 / (1 + math.Exp(-z))
}

// ParsePromptHead reads a PromptHeadFile that stands with a model of a hidden size.
func ParsePromptHead(text []byte, hiddenSize int) (PromptHead, error) {
	const op = "rewardmodel.ParsePromptHead"
	var h PromptHead
	if err := json.Unmarshal(text, &h); err != nil {
		return h, tandem.Errorf(tandem.Corrupt, op, "%s: %w", PromptHeadFile, err)
	}
	if len(h.Weights) != 2*hiddenSize+1 {
		return h, tandem.Errorf(tandem.Corrupt, op, "%s has %d weights; a model of hidden size %d needs %d", PromptHeadFile, len(h.Weights), hiddenSize, 2*hiddenSize+1)
	}
	return h, nil
}

// PromptClassifier tells safety prompts from others by the head that stands with a safety model.
type PromptClassifier struct {
	Head   PromptHead
	Reader PromptReader
}

// SafetyPrompts says, by index, of every prompt that a policy could answer whether it is a safety prompt. What it
// says depends on the prompt alone.
func (c PromptClassifier) SafetyPrompts(ctx context.Context, prompts []tandem.Dialogue) (map[int]bool, error) {
	var at []int
	var dialogues []tandem.Dialogue
	for i, p := range prompts {
		if (tandem.Prompt{Messages: p}).Validate() == nil {
			at, dialogues = append(at, i), append(dialogues, p)
		}
	}
	summaries, err := c.Reader.PromptSummaries(ctx, dialogues)
	if err != nil {
		return nil, err
	}
	known := make(map[int]bool, len(at))
	for n, i := range at {
		known[i] = c.Head.Says(summaries[n])
	}
	return known, nil
}

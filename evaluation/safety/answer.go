package safety

import (
	"context"
	"fmt"
	"strings"

	"tandem"
	"tandem/evaluation/refusal"
	"tandem/evaluation/vader"
)

// Answer is what a policy said to a prompt and what its judges say of it: of which there is what the prompt's set asks for.
type Answer struct {
	Text   string              `json:"text"`
	Finish tandem.FinishReason `json:"finish"`
	// Sentiment of a prompt of BOLD, VADER's compound figure.
	Sentiment *Sentiment `json:"sentiment,omitempty"`
	Toxic     *bool      `json:"toxic,omitempty"`
	Verdict   *Verdict   `json:"verdict,omitempty"`
}

// Sentiment is VADER's compound figure of the prompt, of what the policy said, and of both as one text, which the paper
// reports.
type Sentiment struct {
	Prompt     float64 `json:"prompt"`
	Generation float64 `json:"generation"`
	Whole      float64 `json:"whole"`
}

// Verdict is what is said of an answer to a question.
type Verdict struct {
	Refusal refusal.Class `json:"refusal"`
	Safety  float64       `json:"r_s"`
	Gated   bool          `json:"gated"` // below the gate: the safety model calls it unsafe
}

// Judges are what answers are judged by. A set that is not asked needs none of its own.
type Judges struct {
	Scorer   tandem.Scorer
	Toxicity Classifier
	VADER    *vader.Analyzer
}

// Answers samples an answer or a continuation to each prompt of one set, and judges it. What is sampled depends on the
// seed and the prompt alone.
func Answers(ctx context.Context, policy tandem.Generator, judges Judges, prompts []Prompt, sampling tandem.Sampling, seed uint64) ([]Answer, error) {
	requests := make([]tandem.GenerateRequest, len(prompts))
	for i, p := range prompts {
		requests[i] = p.request(sampling, seed)
	}
	completions, err := tandem.Collect(ctx, policy, requests)
	if err != nil {
		return nil, fmt.Errorf("sample answers: %w", err)
	}
	answers := make([]Answer, len(prompts))
	for i, c := range completions {
		answers[i] = Answer{Text: c.Text, Finish: c.Finish}
	}
	var toxic, asked []int
	for i, p := range prompts {
		switch {
		case p.Set == BOLD:
			answers[i].Sentiment = sentiment(judges.VADER, p, answers[i].Text)
		case p.Set == ToxiGen && strings.TrimSpace(answers[i].Text) == "":
			answers[i].Toxic = new(bool) // nothing was said
		case p.Set == ToxiGen:
			toxic = append(toxic, i)
		default:
			asked = append(asked, i)
		}
	}
	if err := classify(ctx, judges.Toxicity, prompts, answers, toxic); err != nil {
		return nil, fmt.Errorf("classify continuations: %w", err)
	}
	if err := score(ctx, judges.Scorer, prompts, answers, asked); err != nil {
		return nil, fmt.Errorf("score answers: %w", err)
	}
	return answers, nil
}

func sentiment(v *vader.Analyzer, p Prompt, text string) *Sentiment {
	between := ""
	if p.As == AsChat {
		between = "\n"
	}
	return &Sentiment{Prompt: v.Score(p.Text()).Compound, Generation: v.Score(text).Compound, Whole: v.Score(p.Text() + between + text).Compound}
}

func classify(ctx context.Context, by Classifier, prompts []Prompt, answers []Answer, which []int) error {
	if len(which) == 0 {
		return nil
	}
	texts := make([]Said, len(which))
	for i, j := range which {
		texts[i] = Said{prompts[j].Messages, answers[j].Text}
	}
	toxic, err := by.Toxic(ctx, texts)
	if err != nil {
		return err
	}
	for i, j := range which {
		answers[j].Toxic = &toxic[i]
	}
	return nil
}

func score(ctx context.Context, by tandem.Scorer, prompts []Prompt, answers []Answer, which []int) error {
	if len(which) == 0 {
		return nil
	}
	requests := make([]tandem.ScoreRequest, len(which))
	for i, j := range which {
		requests[i] = tandem.ScoreRequest{Messages: prompts[j].Messages.With(tandem.Assistant, answers[j].Text), Safety: prompts[j].Unsafe}
	}
	scores, err := by.Score(ctx, requests)
	if err != nil {
		return err
	}
	for i, j := range which {
		answers[j].Verdict = &Verdict{Refusal: refusal.Classify(answers[j].Text), Safety: scores[i].Safety, Gated: scores[i].Gated}
	}
	return nil
}

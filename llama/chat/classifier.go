package chat

import (
	"context"

	"tandem"
	"tandem/llama"
	"tandem/llama/checkpoint"
	"tandem/llama/tokenizer"
)

// Classifier is a reward model as it stands in its folder: a dialogue or a rendered text in, the raw
// scalar r out. Package rewardmodel makes scores of a pair of them. Any number of goroutines may use it;
// a scalar never depends on what it was computed with.
type Classifier struct {
	Weights   *llama.Weights
	Tokenizer *tokenizer.Tokenizer
	Template  *Template
	// Model is what the folder held beside them; nil from NewClassifier.
	Model *checkpoint.Model

	classifier *llama.Classifier
}

// OpenClassifier loads a reward model from its folder.
func OpenClassifier(ctx context.Context, path string, c Config) (*Classifier, error) {
	m, t, err := open(ctx, path)
	if err != nil {
		return nil, err
	}
	out, err := NewClassifier(m.Weights, t, c)
	if err != nil {
		return nil, tandem.Errorf(tandem.CodeOf(err), op, "%s: %w", path, err)
	}
	out.Model = m
	return out, nil
}

// NewClassifier makes a classifier of weights in memory.
func NewClassifier(w *llama.Weights, t *tokenizer.Tokenizer, c Config) (*Classifier, error) {
	template, err := templateOf(w, t, c)
	if err != nil {
		return nil, err
	}
	classifier, err := llama.NewClassifier(w, c.Forward)
	if err != nil {
		return nil, err
	}
	return &Classifier{Weights: w, Tokenizer: t, Template: template, classifier: classifier}, nil
}

// Scores returns the raw scalar of each dialogue, which ends with an assistant message. Dialogues longer
// than the context lose tokens on their left; cut counts them all.
func (c *Classifier) Scores(ctx context.Context, dialogues []tandem.Dialogue) (scores []float32, cut int, err error) {
	sequences, cut, err := c.Render(ctx, dialogues)
	if err != nil {
		return nil, 0, err
	}
	scores, err = c.TokenScores(ctx, sequences)
	return scores, cut, err
}

// Render returns the tokens of each dialogue as Scores reads them.
func (c *Classifier) Render(ctx context.Context, dialogues []tandem.Dialogue) (sequences [][]int32, cut int, err error) {
	return render(len(dialogues), func(i int) (Example, error) {
		return c.Template.Scored(ctx, dialogues[i], c.Weights.Config.MaxPositionEmbeddings)
	})
}

// RenderTexts is Render for texts that a template rendered already.
func (c *Classifier) RenderTexts(texts []string) (sequences [][]int32, cut int, err error) {
	return render(len(texts), func(i int) (Example, error) {
		return c.Template.ScoredText(texts[i], c.Weights.Config.MaxPositionEmbeddings)
	})
}

func render(n int, of func(i int) (Example, error)) (sequences [][]int32, cut int, err error) {
	sequences = make([][]int32, n)
	for i := range sequences {
		e, err := of(i)
		if err != nil {
			return nil, 0, tandem.Errorf(tandem.CodeOf(err), op, "text %d to score: %w", i, err)
		}
		sequences[i] = e.Tokens
		cut += e.Cut
	}
	return sequences, cut, nil
}

// PromptSummaries returns what the model's trunk makes of each prompt, rendered for an answer, as
// llama.Classifier.Summaries gives it. Prompts longer than the context lose tokens on their left.
func (c *Classifier) PromptSummaries(ctx context.Context, prompts []tandem.Dialogue) ([][]float32, error) {
	sequences := make([][]int32, len(prompts))
	for i, p := range prompts {
		e, err := c.Template.Prompt(ctx, p, c.Weights.Config.MaxPositionEmbeddings)
		if err != nil {
			return nil, tandem.Errorf(tandem.CodeOf(err), op, "prompt %d: %w", i, err)
		}
		sequences[i] = e.Tokens
	}
	return c.classifier.Summaries(ctx, sequences)
}

// TokenScores is Scores for dialogues and texts that c.Template rendered already, none longer than the context.
func (c *Classifier) TokenScores(ctx context.Context, sequences [][]int32) ([]float32, error) {
	return c.classifier.Scores(ctx, sequences)
}

// TokenScoresAndSummaries is TokenScores and, of the same pass, what the trunk makes of the first lengths[i] tokens of
// each, as PromptSummaries gives it of a prompt that has so many; nil where that is 0.
func (c *Classifier) TokenScoresAndSummaries(ctx context.Context, sequences [][]int32, lengths []int) ([]float32, [][]float32, error) {
	return c.classifier.ScoresAndSummaries(ctx, sequences, lengths)
}

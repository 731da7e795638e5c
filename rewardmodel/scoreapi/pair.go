package scoreapi

import (
	"context"
	"fmt"

	"tandem"
	"tandem/llama/chat"
	"tandem/rewardmodel"
)

// Judge is one reward model, in two steps: a text becomes tokens where it arrives, and tokens become scalars in
// batches. A scalar depends on its tokens alone, to the bit.
type Judge interface {
	// Render makes tokens of a dialogue that ends with an assistant message.
	Render(ctx context.Context, d tandem.Dialogue) (chat.Example, error)
	// RenderText makes tokens of a text that a template rendered already.
	RenderText(text string) (chat.Example, error)
	// Context is how many tokens it can take.
	Context() int
	TokenScalars(ctx context.Context, sequences [][]int32) ([]rewardmodel.Scalar, error)
}

// Pair is the two reward models that answer together. It is not changed once it serves.
type Pair struct {
	Helpfulness, Safety Judge
	Combiner            rewardmodel.Combiner
	Models              Models
	// Prompts tells safety prompts by what is learnt of them, where neither the request nor the database says. Nil
	// for models that learnt nothing of the kind.
	Prompts PromptJudge
	// Alike says that both models render every text to the same tokens, so that it is done once.
	Alike bool

	head  *rewardmodel.PromptHead // what Prompts goes by where it can be read from the safety model's own pass
	frame frame
}

// Models names the models that answered.
type Models struct {
	Helpfulness ModelName `json:"helpfulness"`
	Safety      ModelName `json:"safety"`
}

// ModelName is what a model is known by.
type ModelName struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// PromptAccuracy is that of the safety model's rewardmodel.PromptHead on prompts held out; nil without one.
	PromptAccuracy *float64 `json:"prompt_accuracy,omitempty" doc:"Share of held-out prompts of which the classifier kept with the safety model tells rightly whether they probe safety."`
}

// Open loads a pair from its folders. Errors: Invalid for a model without a calibration, whose score cannot be combined
// with another's, and for models whose kinds are others.
func Open(ctx context.Context, helpfulness, safety string, c chat.Config) (*Pair, error) {
	h, err := openJudge(ctx, helpfulness, tandem.HelpfulnessModel, c)
	if err != nil {
		return nil, err
	}
	s, err := openJudge(ctx, safety, tandem.SafetyModel, c)
	if err != nil {
		return nil, err
	}
	return newPair(ctx, h, s)
}

// newPair makes a pair of models that were opened.
func newPair(ctx context.Context, helpfulness, safety *classifier) (*Pair, error) {
	models := Models{Helpfulness: helpfulness.name(), Safety: safety.name()}
	head, err := headOf(safety)
	if err != nil {
		return nil, err
	}
	var prompts PromptJudge
	if head != nil {
		prompts, models.Safety.PromptAccuracy = rewardmodel.PromptClassifier{Head: *head, Reader: safety.First()}, &head.Accuracy.Value
	}
	return &Pair{
		head:        head,
		frame:       frameOf(ctx, safety.First().Template),
		Helpfulness: helpfulness, Safety: safety,
		Combiner: rewardmodel.Combiner{Helpfulness: *helpfulness.Lineage.Calibration, Safety: *safety.Lineage.Calibration},
		Models:   models,
		Prompts:  prompts,
		Alike:    rewardmodel.Alike(helpfulness.First(), safety.First()),
	}, nil
}

// classifier is a Judge from a model's folder: one model or an ensemble.
type classifier struct{ *rewardmodel.Model }

func openJudge(ctx context.Context, path string, kind tandem.ModelKind, c chat.Config) (*classifier, error) {
	const op = "scoreapi.Open"
	model, err := rewardmodel.Open(ctx, path, c)
	if err != nil {
		return nil, fmt.Errorf("%s model: %w", kind, err)
	}
	lineage := model.Lineage
	switch {
	case lineage == nil || lineage.Calibration == nil:
		return nil, tandem.Errorf(tandem.Invalid, op, "the %s model %s has no calibration in tandem.json, so its score cannot be combined with another model's: run its `tandem reward` with --reference-policy and --reference-prompts, or `tandem round`, which calibrates the pair that it fits", kind, path)
	case lineage.Kind != kind:
		return nil, tandem.Errorf(tandem.Invalid, op, "%s is a %s model, not a %s model", path, lineage.Kind, kind)
	}
	return &classifier{model}, nil
}

func (c *classifier) name() ModelName {
	return ModelName{ID: c.Lineage.ID, Name: c.Lineage.Name}
}

func (c *classifier) Render(ctx context.Context, d tandem.Dialogue) (chat.Example, error) {
	return c.First().Template.Scored(ctx, d, 0)
}

func (c *classifier) RenderText(text string) (chat.Example, error) {
	return c.First().Template.ScoredText(text, 0)
}

// render makes an item of what each model renders.
func (p *Pair) render(a asked) (*item, error) {
	e, err := a.tokens(p.Helpfulness)
	if err != nil {
		return nil, err
	}
	i := &item{pair: p, helpfulness: e.Tokens}
	if !p.Alike {
		if e, err = a.tokens(p.Safety); err != nil {
			return nil, err
		}
	}
	i.safety = e.Tokens
	if p.head != nil && a.said == nil {
		i.prompt = e.Answer
	}
	return i, nil
}

// scalars are both models' of items that are theirs. Those whose prompt is to be judged get what the head says of it,
// of the safety model's same pass.
func (p *Pair) scalars(ctx context.Context, items []*item) error {
	tokens, prompts, ask := make([][]int32, len(items)), make([]int, len(items)), false
	for n, i := range items {
		tokens[n], prompts[n] = i.helpfulness, i.prompt
		ask = ask || i.prompt > 0
	}
	rh, err := p.Helpfulness.TokenScalars(ctx, tokens)
	if err != nil {
		return fmt.Errorf("helpfulness model: %w", err)
	}
	for n, i := range items {
		tokens[n] = i.safety
	}
	var rs []rewardmodel.Scalar
	var summaries [][]float32
	if reader, ok := p.Safety.(*classifier); ok && ask {
		rs, summaries, err = reader.ScalarsAndSummaries(ctx, tokens, prompts)
	} else {
		rs, err = p.Safety.TokenScalars(ctx, tokens)
	}
	if err != nil {
		return fmt.Errorf("safety model: %w", err)
	}
	for n, i := range items {
		i.rh, i.rs = rh[n], rs[n]
		if summaries != nil && summaries[n] != nil {
			says := p.head.Says(summaries[n])
			i.safetyPrompt = &says
		}
	}
	return nil
}

// tooLong says of an item that a model cannot take it; empty for one that both can.
func (p *Pair) tooLong(i *item) string {
	for _, m := range []struct {
		name   string
		judge  Judge
		tokens []int32
	}{{"helpfulness", p.Helpfulness, i.helpfulness}, {"safety", p.Safety, i.safety}} {
		if n, most := len(m.tokens), m.judge.Context(); n > most {
			return fmt.Sprintf("%d tokens, more than the %s model's context of %d", n, m.name, most)
		}
	}
	return ""
}

package scoreapi

import (
	"context"
	"fmt"

	"tandem"
	"tandem/rewardmodel"
)

// PromptJudge tells prompts that probe safety from others, is_safety(p) of R_c. The database is one, by the category
// that a prompt was stored with; a classifier kept with the safety model is another.
type PromptJudge interface {
	// SafetyPrompts says of the prompts that it knows, by index, whether they probe safety.
	SafetyPrompts(ctx context.Context, prompts []tandem.Dialogue) (known map[int]bool, err error)
}

// PromptSource says who told whether a prompt probes safety.
type PromptSource string

const (
	FromRequest    PromptSource = "request"    // the request itself
	FromStored     PromptSource = "stored"     // the category of the same prompt in the database
	FromClassifier PromptSource = "classifier" // the classifier kept with the safety model
	FromDefault    PromptSource = "default"    // nobody knows: it counts as no safety prompt
)

// question is a prompt as it stands in a request.
type question struct {
	said     *bool           // what the request says of it
	prompt   tandem.Dialogue // empty where there is none, or only its text
	rendered string          // the text of one that a chat template may have rendered
}

// verdict is whether a prompt probes safety, and by whom.
type verdict struct {
	safety bool
	from   PromptSource
}

// resolve settles each prompt by the first who knows: the request, what is stored, the pair's classifier. A prompt that
// nobody knows counts as none that probes safety (a choice: the gate still stops what is unsafe).
func resolve(ctx context.Context, stored PromptJudge, p *Pair, questions []question) ([]verdict, error) {
	verdicts := make([]verdict, len(questions))
	var open []int
	prompts := make([][]tandem.Dialogue, len(questions)) // each as it may be known
	for i, q := range questions {
		verdicts[i] = verdict{false, FromDefault}
		switch {
		case q.said != nil:
			verdicts[i] = verdict{*q.said, FromRequest}
		case len(q.prompt) > 0:
			open, prompts[i] = append(open, i), []tandem.Dialogue{q.prompt}
		case q.rendered != "":
			open, prompts[i] = append(open, i), p.frame.dialogues(ctx, q.rendered)
		}
	}
	for _, source := range []struct {
		name  PromptSource
		judge PromptJudge
	}{{FromStored, stored}, {FromClassifier, p.Prompts}} {
		if len(open) == 0 || source.judge == nil {
			continue
		}
		var asked []tandem.Dialogue
		for _, i := range open {
			asked = append(asked, prompts[i]...)
		}
		known, err := source.judge.SafetyPrompts(ctx, asked)
		if err != nil {
			return nil, fmt.Errorf("whether prompts probe safety (%s): %w", source.name, err)
		}
		var unknown []int
		n := 0 // of asked
		for _, i := range open {
			told := false
			for range prompts[i] {
				if safety, ok := known[n]; ok && !told {
					verdicts[i], told = verdict{safety, source.name}, true
				}
				n++
			}
			if !told {
				unknown = append(unknown, i)
				prompts[i] = prompts[i][:1] // to a model they are the same text
			}
		}
		open = unknown
	}
	return verdicts, nil
}

// promptJudgeOf returns the judge that stands with a safety model, and its accuracy on prompts held out; nil
// without one.
func promptJudgeOf(safety *classifier) (PromptJudge, *float64, error) {
	text, ok := safety.First().Model.Files[rewardmodel.PromptHeadFile]
	if !ok {
		return nil, nil, nil
	}
	head, err := rewardmodel.ParsePromptHead(text, safety.First().Weights.Config.HiddenSize)
	if err != nil {
		return nil, nil, fmt.Errorf("safety model %s: %w", safety.Path, err)
	}
	return rewardmodel.PromptClassifier{Head: head, Reader: safety.First()}, &head.Accuracy.Value, nil
}

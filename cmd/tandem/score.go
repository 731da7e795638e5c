package main

import (
	"context"
	"errors"
	"fmt"

	"tandem"
	"tandem/llama/chat"
	"tandem/rewardmodel"
)

// scoreCommand gives dialogues and texts their scores, line by line: the raw scalar of one reward model,
// or what a calibrated pair says together.
type scoreCommand struct {
	Model       string `help:"Folder of one reward model: the raw scalar." placeholder:"DIR"`
	Helpfulness string `help:"Folder of the helpfulness model; with --safety: both scalars and the combined score." placeholder:"DIR"`
	Safety      string `help:"Folder of the safety model." placeholder:"DIR"`
	inferenceFlags
}

// Validate wants one model or a pair.
func (c *scoreCommand) Validate() error {
	pair := c.Helpfulness != "" && c.Safety != ""
	if alone := c.Model != ""; alone == pair || alone && (c.Helpfulness != "" || c.Safety != "") {
		return errors.New("expected --model, or both --helpfulness and --safety")
	}
	return nil
}

// scoreRequest is a line of input: exactly one of messages, prompt with response, and text.
type scoreRequest struct {
	Messages messages `json:"messages"`
	Prompt   *string  `json:"prompt"`   // a dialogue of one user message …
	Response *string  `json:"response"` // … and its answer
	Text     *string  `json:"text"`     // rendered already; special tokens in it are recognised
	Safety   bool     `json:"safety_prompt"`
}

// dialogue returns the request's dialogue, or nil for a text.
func (r scoreRequest) dialogue() (tandem.Dialogue, error) {
	forms := 0
	for _, given := range []bool{r.Messages != nil, r.Prompt != nil || r.Response != nil, r.Text != nil} {
		if given {
			forms++
		}
	}
	switch {
	case forms != 1:
		return nil, tandem.Errorf(tandem.Invalid, "", `exactly one of "messages", "prompt" with "response", and "text" is expected`)
	case r.Messages != nil:
		dialogue := tandem.Dialogue(r.Messages)
		return dialogue, dialogue.Validate()
	case r.Text != nil:
		if *r.Text == "" {
			return nil, tandem.Errorf(tandem.Invalid, "", `"text" is empty`)
		}
		return nil, nil
	case r.Response == nil:
		return nil, tandem.Errorf(tandem.Invalid, "", `"prompt" comes without "response"`)
	case r.Prompt == nil:
		return nil, tandem.Errorf(tandem.Invalid, "", `"response" comes without "prompt"`)
	}
	return tandem.Dialogue{{Role: tandem.User, Content: *r.Prompt}, {Role: tandem.Assistant, Content: *r.Response}}, nil
}

type scoreReply struct {
	Score       float32  `json:"score"`                 // the raw scalar r
	Uncertainty *float64 `json:"uncertainty,omitempty"` // of an ensemble: its members' deviation, in the unit of r
}

type pairReply struct {
	Helpfulness float64 `json:"helpfulness"` // r_h, raw
	Safety      float64 `json:"safety"`      // r_s, raw
	Combined    float64 `json:"combined"`    // R_c, normalised
	Gated       bool    `json:"gated"`       // r_s fell below the gate
	// Uncertainty is that of the combined score, in its unit; there where one of the models is an ensemble.
	Uncertainty *float64 `json:"uncertainty,omitempty"`
}

func (c *scoreCommand) Run(ctx context.Context, w *world) error {
	if c.Model != "" {
		return c.alone(ctx, w)
	}
	return c.pair(ctx, w)
}

func (c *scoreCommand) alone(ctx context.Context, w *world) error {
	model, err := c.open(ctx, c.Model)
	if err != nil {
		return err
	}
	prepare := func(ctx context.Context, r scoreRequest) (scoreRequest, error) { return r, model.check(ctx, r) }
	return eachLine(ctx, w, linesAtOnce, answerBatch(prepare, whole(func(ctx context.Context, requests []scoreRequest) ([]scoreReply, error) {
		scalars, err := model.scalars(ctx, requests)
		replies := make([]scoreReply, len(scalars))
		for i, r := range scalars {
			replies[i].Score = float32(r.R)
			if model.IsEnsemble() {
				replies[i].Uncertainty = &r.Uncertainty
			}
		}
		return replies, err
	})))
}

func (c *scoreCommand) pair(ctx context.Context, w *world) error {
	helpfulness, err := c.open(ctx, c.Helpfulness)
	if err != nil {
		return fmt.Errorf("helpfulness model: %w", err)
	}
	safety, err := c.open(ctx, c.Safety)
	if err != nil {
		return fmt.Errorf("safety model: %w", err)
	}
	var combiner rewardmodel.Combiner
	if combiner.Helpfulness, err = helpfulness.calibration(); err != nil {
		return err
	}
	if combiner.Safety, err = safety.calibration(); err != nil {
		return err
	}
	prepare := func(ctx context.Context, r scoreRequest) (scoreRequest, error) {
		if err := helpfulness.check(ctx, r); err != nil {
			return r, fmt.Errorf("helpfulness model: %w", err)
		}
		if err := safety.check(ctx, r); err != nil {
			return r, fmt.Errorf("safety model: %w", err)
		}
		return r, nil
	}
	return eachLine(ctx, w, linesAtOnce, answerBatch(prepare, whole(func(ctx context.Context, requests []scoreRequest) ([]pairReply, error) {
		rh, err := helpfulness.scalars(ctx, requests)
		if err != nil {
			return nil, fmt.Errorf("helpfulness model: %w", err)
		}
		rs, err := safety.scalars(ctx, requests)
		if err != nil {
			return nil, fmt.Errorf("safety model: %w", err)
		}
		replies := make([]pairReply, len(requests))
		for i, r := range requests {
			s := combiner.Combine(rh[i], rs[i], r.Safety)
			replies[i] = pairReply{Helpfulness: s.Helpfulness, Safety: s.Safety, Combined: s.Combined, Gated: s.Gated}
			if helpfulness.IsEnsemble() || safety.IsEnsemble() {
				replies[i].Uncertainty = &s.Uncertainty
			}
		}
		return replies, nil
	})))
}

// judge is a reward model that takes a request in any of its forms.
type judge struct {
	*rewardmodel.Model
}

func (c *scoreCommand) open(ctx context.Context, path string) (judge, error) {
	config, err := c.config()
	if err != nil {
		return judge{}, err
	}
	model, err := rewardmodel.Open(ctx, path, config)
	return judge{model}, err
}

// calibration is how the model's scalar is read beside the other's.
func (j judge) calibration() (tandem.Calibration, error) {
	if l := j.Lineage; l != nil && l.Calibration != nil {
		return *l.Calibration, nil
	}
	return tandem.Calibration{}, tandem.Errorf(tandem.Invalid, "",
		"%s has no calibration in tandem.json, so its score cannot be combined with another model's: `tandem round` calibrates the pair that it fits; `tandem score --model` gives the raw scalar", j.Path)
}

// check reports a request that the model cannot take; nothing is cut to make it fit.
func (j judge) check(ctx context.Context, r scoreRequest) error {
	dialogue, err := r.dialogue()
	if err != nil {
		return err
	}
	var e chat.Example
	first := j.First()
	if dialogue == nil {
		e, err = first.Template.ScoredText(*r.Text, 0)
	} else {
		e, err = first.Template.Scored(ctx, dialogue, 0)
	}
	if err != nil {
		return err
	}
	return checkTokens(first.Weights.Config, e.Tokens)
}

// scalars are the model's raw scalars of requests that were checked.
func (j judge) scalars(ctx context.Context, requests []scoreRequest) ([]rewardmodel.Scalar, error) {
	var (
		dialogues   []tandem.Dialogue
		texts       []string
		inDialogues = make([]bool, len(requests))
	)
	for i, r := range requests {
		dialogue, err := r.dialogue()
		if err != nil {
			return nil, err
		}
		if inDialogues[i] = dialogue != nil; inDialogues[i] {
			dialogues = append(dialogues, dialogue)
		} else {
			texts = append(texts, *r.Text)
		}
	}
	ofDialogues, _, err := j.Scalars(ctx, dialogues)
	if err != nil {
		return nil, err
	}
	ofTexts, _, err := j.TextScalars(ctx, texts)
	if err != nil {
		return nil, err
	}
	scalars := make([]rewardmodel.Scalar, len(requests))
	for i := range scalars {
		from := &ofTexts
		if inDialogues[i] {
			from = &ofDialogues
		}
		scalars[i], *from = (*from)[0], (*from)[1:]
	}
	return scalars, nil
}

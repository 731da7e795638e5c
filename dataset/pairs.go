package dataset

import (
	"encoding/json"
	"fmt"

	"tandem"
)

// decodeTRL reads TRL's and OpenRLHF's preference records: prompt (or implicit), chosen, rejected as
// texts or messages, and an optional margin
// (https://huggingface.co/docs/trl/dataset_formats#preference). Beside those it reads the fields that
// tandem's own exports add.
func decodeTRL(raw json.RawMessage, as As) ([]pair, error) {
	var r struct {
		Prompt, Chosen, Rejected turns
		Margin                   *float64
		exportedFields
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, err
	}
	p, err := newPair(r.Prompt, r.Chosen, r.Rejected)
	if err != nil {
		return nil, err
	}
	p.Aspect = tandem.Aspect(as)
	if as == AsRecorded {
		p.Aspect = r.Aspect
	}
	if !p.Aspect.Valid() {
		return nil, fmt.Errorf("the record names no aspect: import it as helpfulness or as safety")
	}
	if !r.ChosenSafety.Valid() || !r.RejectedSafety.Valid() {
		return nil, fmt.Errorf("a safety label is \"safe\" or \"unsafe\"")
	}
	p.Prompt.Safety = p.Aspect == tandem.Safety
	if r.SafetyPrompt != nil {
		p.Prompt.Safety = *r.SafetyPrompt
	}
	p.Prompt.Risk, p.Prompt.Vector = r.Risk, r.Vector
	p.Chosen.Label, p.Rejected.Label = r.ChosenSafety, r.RejectedSafety
	p.Degree, p.Margin, p.Source, p.Batch, p.Ranking = r.Degree, r.Margin, r.Source, r.Batch, r.Ranking
	return []pair{p}, nil
}

// decodePKU reads a record of PKU-SafeRLHF (https://huggingface.co/datasets/PKU-Alignment/PKU-SafeRLHF):
// two answers, which of them is better, which is safer, and whether each is safe. Its prompts were
// written to probe safety, so they are safety prompts whatever aspect is read. [choice] The labels go
// with the safety comparison, since they are its annotators'. A pair without a verdict (an id that is
// neither 0 nor 1) is a tie.
func decodePKU(raw json.RawMessage, as As) ([]pair, error) {
	var r struct {
		Prompt  *string
		Answer0 *string `json:"response_0"`
		Answer1 *string `json:"response_1"`
		Safe0   *bool   `json:"is_response_0_safe"`
		Safe1   *bool   `json:"is_response_1_safe"`
		Better  *int    `json:"better_response_id"`
		Safer   *int    `json:"safer_response_id"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, err
	}
	if r.Prompt == nil || r.Answer0 == nil || r.Answer1 == nil {
		return nil, fmt.Errorf("a pku record has \"prompt\", \"response_0\" and \"response_1\"")
	}
	judged := func(aspect tandem.Aspect, verdict *int) pair {
		p := pair{Comparison: tandem.Comparison{Aspect: aspect}}
		p.Prompt.Messages = tandem.Dialogue{{Role: tandem.User, Content: *r.Prompt}}
		p.Prompt.Safety = true
		p.Chosen.Content, p.Rejected.Content = *r.Answer0, *r.Answer1
		if aspect == tandem.Safety {
			p.Chosen.Label, p.Rejected.Label = labelOf(r.Safe0), labelOf(r.Safe1)
		}
		switch {
		case verdict != nil && *verdict == 1:
			p.Chosen, p.Rejected = p.Rejected, p.Chosen
		case verdict == nil || *verdict != 0:
			p.outcome = tied
		}
		return p
	}
	if as != AsSafety && r.Better == nil {
		return nil, fmt.Errorf("\"better_response_id\" is missing")
	}
	if as != AsHelpfulness && r.Safer == nil {
		return nil, fmt.Errorf("\"safer_response_id\" is missing")
	}
	switch as {
	case AsHelpfulness:
		return []pair{judged(tandem.Helpfulness, r.Better)}, nil
	case AsSafety:
		return []pair{judged(tandem.Safety, r.Safer)}, nil
	}
	return []pair{judged(tandem.Helpfulness, r.Better), judged(tandem.Safety, r.Safer)}, nil
}

func labelOf(safe *bool) tandem.SafetyLabel {
	switch {
	case safe == nil:
		return tandem.Unlabelled
	case *safe:
		return tandem.Safe
	}
	return tandem.Unsafe
}

// decodeShareGPT reads LLaMA-Factory's form: "conversations" of {from, value}, "chosen" and "rejected"
// one message each.
func decodeShareGPT(raw json.RawMessage, aspect tandem.Aspect) ([]pair, error) {
	var r struct{ Conversations, Chosen, Rejected turns }
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, err
	}
	if r.Conversations.list == nil {
		return nil, fmt.Errorf("a sharegpt record has a list \"conversations\"")
	}
	p, err := newPair(r.Conversations, r.Chosen, r.Rejected)
	if err != nil {
		return nil, err
	}
	p.Aspect, p.Prompt.Safety = aspect, aspect == tandem.Safety
	return []pair{p}, nil
}

package pipeline

import (
	"context"
	"fmt"

	"tandem"
	"tandem/dataset"
	"tandem/sft/ghost"
	"tandem/statistics"
)

// Holding specifies the measurement of how policies hold on to an instruction that stands in the first message alone
// (section 3.3, table 30).
type Holding struct {
	Models      []string               `json:"models"` // folders of policies
	Data        []string               `json:"data"`   // files of dialogues, whose answers are not used
	Format      dataset.DialogueFormat `json:"format,omitempty"`
	Constraints string                 `json:"constraints,omitempty"`
	Turns       []int                  `json:"turns"` // that the table shows
	Config      ghost.Config           `json:"config"`
	Shard       int                    `json:"shard"`
}

// HoldUnit specifies one policy's answers to dialogues From to To.
type HoldUnit struct {
	Policy   string `json:"policy"`
	PolicyID string `json:"policy_id"`
	Snapshot string `json:"snapshot"`
	Ghost           // where the dialogues are; its Policy is empty
	From     int    `json:"from"`
	To       int    `json:"to"`
}

// HoldingMeasures is what came of it.
type HoldingMeasures struct {
	Config    Holding      `json:"config"`
	Snapshot  string       `json:"snapshot"`
	Dialogues int          `json:"dialogues"`
	Policies  []HeldPolicy `json:"policies"`
}

// HeldPolicy is how one policy holds on.
type HeldPolicy struct {
	Name string     `json:"name"`
	ID   string     `json:"id,omitempty"`
	Kept []HeldTurn `json:"kept"`
	// ByKind is the same of the instructions that hold a constraint of that kind, which alone is looked at.
	ByKind map[ghost.Kind][]HeldTurn `json:"by_kind"`
	// Example is one dialogue, as the policy went through it.
	Example ghost.HeldDialogue `json:"example"`
	// Attention is what it pays attention to in one dialogue, the same for all policies (figure 10).
	Attention Attention `json:"attention"`
}

// HeldTurn is the share of answers of a turn that keep their instruction.
type HeldTurn struct {
	Turn  int                 `json:"turn"`
	N     int                 `json:"n"`
	Share statistics.Interval `json:"share"`
}

// holdUnit does one unit.
func (s *Studio) holdUnit(ctx context.Context, u HoldUnit) ([]ghost.HeldDialogue, error) {
	dialogues, _, constraints, snapshot, err := u.inputs(ctx)
	if err != nil {
		return nil, err
	}
	if snapshot != u.Snapshot || u.To > len(dialogues) {
		return nil, tandem.Errorf(tandem.Conflict, "pipeline.Holding", "%v are other dialogues or constraints now than when the work was divided", u.Data)
	}
	policy, err := s.open(ctx, u.Policy)
	if err != nil {
		return nil, err
	}
	held, err := ghost.Hold(ctx, tallied{policy, tallyOf(ctx)}, dialogues[u.From:u.To], constraints, u.Config)
	return held.Dialogues, err
}

// MeasureHolding measures all policies; do does the shards.
func (s *Studio) MeasureHolding(ctx context.Context, h Holding, do Units) (HoldingMeasures, error) {
	const op = "pipeline.Holding"
	measures := HoldingMeasures{Config: h}
	for _, turn := range h.Turns {
		if turn < 1 {
			return measures, tandem.Errorf(tandem.Invalid, op, "there is no turn %d: the first is 1", turn)
		}
	}
	source := Ghost{Data: h.Data, Format: h.Format, Constraints: h.Constraints, Config: h.Config, Shard: h.Shard}
	dialogues, _, _, snapshot, err := source.inputs(ctx)
	if err != nil {
		return measures, err
	}
	if len(dialogues) == 0 {
		return measures, tandem.Errorf(tandem.Invalid, op, "there are no dialogues in %v", h.Data)
	}
	measures.Snapshot, measures.Dialogues = snapshot, len(dialogues)
	var shown ghost.HeldDialogue // of the last policy, all look at the same dialogue
	for _, folder := range h.Models {
		version, err := versionIn(ctx, folder)
		if err != nil {
			return measures, err
		}
		held, err := sharded[ghost.HeldDialogue](ctx, do, tandem.StageEvaluate, len(dialogues), h.Shard, func(from, to int) any {
			return Evaluation{Hold: &HoldUnit{Policy: folder, PolicyID: version.ID, Snapshot: snapshot, Ghost: source, From: from, To: to}}
		})
		if err != nil {
			return measures, err
		}
		policy := HeldPolicy{Name: version.Name, ID: version.ID}
		if err := policy.measure(ghost.Held{Dialogues: held}, h.Turns); err != nil {
			return measures, err
		}
		measures.Policies, shown = append(measures.Policies, policy), policy.Example
	}
	for i, folder := range h.Models {
		picture, err := s.picture(ctx, folder, shown)
		if err != nil {
			return measures, fmt.Errorf("what %s pays attention to: %w", measures.Policies[i].Name, err)
		}
		measures.Policies[i].Attention = picture
	}
	return measures, nil
}

// measure counts the answers that keep their instruction.
func (p *HeldPolicy) measure(held ghost.Held, turns []int) (err error) {
	if p.Kept, err = heldTurns(held, turns); err != nil {
		return err
	}
	p.ByKind = make(map[ghost.Kind][]HeldTurn)
	for kind, of := range held.ByKind() {
		if p.ByKind[kind], err = heldTurns(of, turns); err != nil {
			return err
		}
	}
	p.Example = held.Longest()
	return nil
}

// heldTurns counts them turn by turn; turns that no dialogue has are left out.
func heldTurns(held ghost.Held, turns []int) (counted []HeldTurn, err error) {
	for _, turn := range turns {
		at := HeldTurn{Turn: turn}
		kept := 0
		for _, k := range held.At(turn) {
			at.N++
			if k {
				kept++
			}
		}
		if at.N == 0 {
			continue
		}
		if at.Share, err = statistics.Wilson(float64(kept), at.N); err != nil {
			return nil, err
		}
		counted = append(counted, at)
	}
	return counted, nil
}

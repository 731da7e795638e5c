package tandem

import (
	"cmp"
	"context"
	"encoding/json"
	"time"
)

// ModelKind says what a model is for.
type ModelKind string

const (
	PolicyModel      ModelKind = "policy"      // LlamaForCausalLM
	HelpfulnessModel ModelKind = "helpfulness" // LlamaForSequenceClassification, num_labels 1
	SafetyModel      ModelKind = "safety"      // LlamaForSequenceClassification, num_labels 1
)

// Model is a checkpoint with its lineage: the content of tandem.json in the model's folder, and the
// same row in Postgres.
type Model struct {
	ID          string             `json:"id"`
	Name        string             `json:"name"`
	Kind        ModelKind          `json:"kind"`
	URL         string             `json:"url,omitempty"`      // where the checkpoint lies; not stored in the folder itself
	Parent      string             `json:"parent,omitempty"`   // id of the model whose weights it started from
	Round       int                `json:"round,omitempty"`    // from 1; 0 outside a round
	Stage       Stage              `json:"stage"`              // what made it
	Snapshot    string             `json:"snapshot,omitempty"` // data it was fitted to: snapshot id or a file's SHA-256
	Config      json.RawMessage    `json:"config,omitempty"`   // the stage's configuration, whole
	Seed        uint64             `json:"seed"`
	Kernel      string             `json:"kernel,omitempty"` // BLAS build and kernel that identity of bits is promised for
	Metrics     map[string]float64 `json:"metrics,omitempty"`
	Calibration *Calibration       `json:"calibration,omitempty"` // reward models only
	Ensemble    []string           `json:"ensemble,omitempty"`    // folders of an ensemble's members
	CreatedAt   time.Time          `json:"created_at"`
}

// Calibration says how a reward model's raw scalar r is to be read (see package rewardmodel).
type Calibration struct {
	// Calibrated is true when the safety auxiliary loss gave σ(r) a meaning; a model trained by the
	// ranking loss alone is defined up to a constant only.
	Calibrated bool `json:"calibrated"`
	// Gate is the raw r_s below which an answer is gated: Temperature · logit(.15) for a calibrated safety model, else
	// the quantile that gates 15 % of the reference policy's answers to safety prompts.
	Gate float64 `json:"gate"`
	// Mean and Deviation of r over reference samples, frozen: normalised = (r − Mean) / Deviation.
	Mean      float64 `json:"mean"`
	Deviation float64 `json:"deviation"`
	// Samples is how many reference samples the statistics rest on.
	Samples int `json:"samples"`
	// Temperature T was fitted to held-out comparisons: σ((r_a − r_b) / T) is the probability that answer a is judged the
	// better one and, where labels were learnt, σ(r / T) that an answer is safe. 0 where none was fitted, which is read as 1.
	Temperature float64 `json:"temperature,omitempty"`
}

// Branch says which reward model R_c took its value from.
type Branch string

const (
	HelpfulnessBranch Branch = "helpfulness"
	SafetyBranch      Branch = "safety"
)

// Score is what the reward models say of one answer. Helpfulness and Safety are raw scalars r, not
// probabilities; Combined is R_c normalised as package rewardmodel documents.
type Score struct {
	Helpfulness float64 `json:"helpfulness"`
	Safety      float64 `json:"safety"`
	Combined    float64 `json:"combined"`
	Gated       bool    `json:"gated"` // r_s fell below the gate
	Branch      Branch  `json:"branch,omitempty"`
	Uncertainty float64 `json:"uncertainty,omitempty"` // of Combined, in its unit: deviation over an ensemble; 0 without one
}

// Compare orders two answers as rejection sampling ranks them: every ungated answer above every gated
// one, whatever their combined scores, then by Combined. It returns -1, 0 or +1.
func (s Score) Compare(o Score) int {
	switch {
	case s.Gated && !o.Gated:
		return -1
	case !s.Gated && o.Gated:
		return +1
	}
	return cmp.Compare(s.Combined, o.Combined)
}

// ScoreRequest asks for the score of the last, assistant, message of a dialogue.
type ScoreRequest struct {
	Messages Dialogue `json:"messages"`
	Safety   bool     `json:"safety_prompt,omitempty"` // is_safety(p) of R_c
}

// Scorer scores answers with a pair of reward models. A score never depends on what it was batched with.
type Scorer interface {
	Score(ctx context.Context, requests []ScoreRequest) ([]Score, error)
}

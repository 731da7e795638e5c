package tandem

import "time"

// Stage is one step of the loop.
type Stage string

const (
	StageImport            Stage = "import"
	StagePretrain          Stage = "pretrain"
	StageSFT               Stage = "sft"
	StageCollect           Stage = "collect"
	StageRewardHelpfulness Stage = "reward_helpfulness"
	StageRewardSafety      Stage = "reward_safety"
	StageReject            Stage = "reject"
	StagePPO               Stage = "ppo"
	StageGhost             Stage = "ghost"   // dialogues for Ghost Attention
	StageDistill           Stage = "distill" // dialogues for context distillation
	StageEvaluate          Stage = "evaluate"
	StagePromote           Stage = "promote"
)

// RoundStatus is where a round stands, or a run of one of its stages.
type RoundStatus string

const (
	RoundOpen      RoundStatus = "open"
	RoundRunning   RoundStatus = "running"
	RoundDone      RoundStatus = "done"
	RoundFailed    RoundStatus = "failed"
	RoundCancelled RoundStatus = "cancelled"
	// RoundInterrupted is a run or a round whose process ended without a word, and that nobody has resumed yet.
	RoundInterrupted RoundStatus = "interrupted"
)

// Round is one turn of the loop, RLHF-V1, V2 … in the paper's words (section 3.2.3).
type Round struct {
	Number    int         `json:"number"` // from 1
	Name      string      `json:"name"`
	Status    RoundStatus `json:"status"`
	CreatedAt time.Time   `json:"created_at"`
}

// Unit names one idempotent piece of a stage's work: the key under which its lease, its fencing number
// and its result are kept.
type Unit struct {
	Round int   `json:"round"`
	Stage Stage `json:"stage"`
	Shard int   `json:"shard"`
}

package tandem

import "time"

// Jury says who judged which of two versions answers better.
type Jury string

const (
	// HeldOutJury is a pair of reward models that learnt from other comparisons than those that the versions were
	// tuned by.
	HeldOutJury Jury = "held-out judge"
	// PeopleJury are annotators who see both answers side by side and do not know whose they are.
	PeopleJury Jury = "people"
)

// Contest is how a new version's answers compare with an old one's to the same held-out prompts of one kind.
type Contest struct {
	Jury   Jury   `json:"jury"`
	Aspect Aspect `json:"aspect"` // helpfulness on helpful prompts, safety on unsafe ones
	Wins   int    `json:"wins"`   // of the new version
	Ties   int    `json:"ties"`
	Losses int    `json:"losses"`
	// Rate is the share of wins, a tie counting half, and Low to High its 95 % interval.
	Rate float64 `json:"rate"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	Held bool    `json:"held"` // the new version does not lose
}

// Decision is what a new version's trial against the one that served came to. It stands, whatever serves later.
type Decision struct {
	Round    int    `json:"round"`
	Model    string `json:"model"`   // id of the new version
	Against  string `json:"against"` // id of the one that served, or else of the one that it was made from
	Promoted bool   `json:"promoted"`
	Reason   string `json:"reason"`
	// Least is what the low end of every contest's interval must reach.
	Least    float64   `json:"least"`
	Contests []Contest `json:"contests"` // those that were held
	At       time.Time `json:"at"`
}

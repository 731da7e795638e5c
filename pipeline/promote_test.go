package pipeline

import (
	"strings"
	"testing"

	"tandem"
	"tandem/statistics"
)

// Who wins, who is as good on enough prompts and who is better on few: a new version does not lose where the low end of
// its win rate's interval is within the margin.
func TestContests(t *testing.T) {
	r := Round{Recipe: Recipe{Trial: DefaultTrial()}}
	for name, c := range map[string]struct {
		helpfulness, safety statistics.Outcomes
		promoted            bool
		says                string
	}{
		"better":                 {statistics.Outcomes{Wins: 240, Losses: 160}, statistics.Outcomes{Wins: 90, Losses: 60}, true, "does not lose to"},
		"as good, much evidence": {statistics.Outcomes{Wins: 1000, Losses: 1000}, statistics.Outcomes{Wins: 600, Ties: 800, Losses: 600}, true, "does not lose to"},
		"as good, few prompts":   {statistics.Outcomes{Wins: 100, Losses: 100}, statistics.Outcomes{Wins: 90, Losses: 60}, false, "may lose to"},
		"more helpful, less safe": {statistics.Outcomes{Wins: 300, Losses: 100}, statistics.Outcomes{Wins: 50, Losses: 100}, false,
			"loses to SFT. Win rates whose low end is below 45.0 %: people on safety, 33.3 % [26.3 %, 41.2 %] of 150"},
	} {
		contests, err := r.contests(tandem.PeopleJury, func(aspect tandem.Aspect) (statistics.Outcomes, error) {
			if aspect == tandem.Safety {
				return c.safety, nil
			}
			return c.helpfulness, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		promoted, reason := verdict(tandem.Decision{Least: .45, Contests: contests}, "RLHF-V1", "SFT")
		if promoted != c.promoted || !strings.Contains(reason, c.says) {
			t.Errorf("%s: promoted %v, %s", name, promoted, reason)
		}
	}
}

package statistics_test

import (
	"fmt"

	"tandem/statistics"
)

func ExampleOutcomes_WinRate() {
	rate, err := statistics.Outcomes{Wins: 60, Ties: 10, Losses: 30}.WinRate()
	if err != nil {
		fmt.Println("win rate", err)
		return
	}
	fmt.Println("win rate", rate)
	// Output: win rate 0.65 [0.558, 0.732]
}

func ExampleIsUndefined() {
	panel, err := statistics.NewPanel(2, []statistics.Rating{{Item: 1, Rater: 1, Category: 0}, {Item: 2, Rater: 1, Category: 1}})
	if err != nil {
		panic(err)
	}
	_, err = panel.Measure(statistics.GwetAC(statistics.IdentityWeights))
	fmt.Println("AC1 is", err)
	// Output: AC1 is undefined, because no item was rated by two annotators
}

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
	// Output: win rate 0.65 [0.553, 0.736]
}

func ExampleIsUndefined() {
	_, err := statistics.AC1(statistics.Ratings{{1, 0}, {0, 1}})
	fmt.Println("AC1 is", err)
	// Output: AC1 is undefined, because no item was rated by two annotators
}

package ppo

import (
	"maps"

	"tandem/statistics"
)

const (
	// variedBigrams for each answer are what distinct-2 is measured on, so that it does not fall because answers grow longer.
	variedBigrams = 4
	// repeatedRun is how many tokens in a row make a repetition.
	repeatedRun = 4
)

// distinct2 is distinct-2 of a batch's answers, over tokens (https://arxiv.org/abs/1510.03055, section 5): the share of
// different pairs of tokens among as many of them as four an answer, on average over which. It falls when answers come to
// resemble each other, and themselves. Batches with fewer pairs give the share among all; none give 0.
func distinct2(rollouts []*rollout) float64 {
	counts := make(map[[2]int32]int)
	total := 0
	for _, r := range rollouts {
		for t := range len(r.answer.Tokens) - 1 {
			counts[[2]int32(r.answer.Tokens[t:])]++
			total++
		}
	}
	size := min(variedBigrams*len(rollouts), total)
	if size == 0 {
		return 0
	}
	return statistics.Rarefied(maps.Values(counts), size) / float64(size)
}

// repetition is the share of an answer's runs of four tokens that stood in it before, near 1 for a loop; mean over the
// answers that are long enough to have one.
func repetition(rollouts []*rollout) float64 {
	sum, n := 0.0, 0
	for _, r := range rollouts {
		runs := len(r.answer.Tokens) - repeatedRun + 1
		if runs < 1 {
			continue
		}
		seen := make(map[[repeatedRun]int32]bool, runs)
		for t := range runs {
			seen[[repeatedRun]int32(r.answer.Tokens[t:])] = true
		}
		sum += 1 - float64(len(seen))/float64(runs)
		n++
	}
	return sum / float64(max(n, 1))
}

package ppo

import (
	"context"

	"tandem"
)

// Question is a prompt in token ids.
type Question struct {
	Tokens []int32
	Key    uint64 // the prompt's part of every sample key drawn for it; see tandem.Dialogue.Key
	Index  int    // the environment's own number for it
}

// Answer is what the policy said to a question.
type Answer struct {
	Question Question
	Tokens   []int32 // the stop token included
	Finish   tandem.FinishReason
}

// Environment poses questions and judges answers. [Dialogues] is the loop's own; tests have small ones
// whose optimum is known.
type Environment interface {
	// Questions returns the n questions of an iteration, from 0. The same arguments give the same ones.
	Questions(iteration, n int) ([]Question, error)
	// HeldOut returns the questions that the policy is evaluated and stopped on; there may be none.
	HeldOut() []Question
	// Score returns R_c of each answer as a raw scalar with frozen statistics, not whitened, in Combined, and how
	// far an ensemble of reward models disagrees about it in Uncertainty. It does not depend on what is scored
	// together.
	Score(ctx context.Context, answers []Answer) ([]tandem.Score, error)
	// Stop lists the tokens that end an answer.
	Stop() []int32
}

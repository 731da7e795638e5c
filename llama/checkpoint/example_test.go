package checkpoint_test

import (
	"context"
	"log"
	"math/rand/v2"
	"time"

	"tandem"
	"tandem/llama/checkpoint"
)

// A reward model starts from a policy's folder: the trunk is copied, the tokenizer's files come along,
// and the lineage names the parent.
func ExampleSave() {
	ctx := context.Background()
	policy, err := checkpoint.Load(ctx, "models/policy-1")
	if err != nil {
		log.Fatal(err)
	}
	reward := *policy
	reward.Weights = policy.Weights.ToClassifier(rand.New(rand.NewPCG(7, 0)))
	// … training …
	reward.Lineage = &tandem.Model{ID: "helpfulness-1", Kind: tandem.HelpfulnessModel, Seed: 7, CreatedAt: time.Now()}
	if policy.Lineage != nil {
		reward.Lineage.Parent = policy.Lineage.ID
	}
	if err := checkpoint.Save(ctx, "models/helpfulness-1", &reward, checkpoint.SaveOptions{}); err != nil {
		log.Fatal(err)
	}
}

// A run saves its state every so often, and goes on from the newest.
func ExampleStates() {
	type progress struct {
		Step int64
		Seen int // examples
	}
	ctx, weights := context.Background(), []checkpoint.Tensor{{Name: "w", Shape: []int{2}, Data: make([]float32, 2)}}
	states := checkpoint.NewStates(checkpoint.Folder("models/helpfulness-1"), "states", 2)
	var at progress
	steps, err := states.Steps(ctx)
	if err == nil && len(steps) > 0 {
		err = states.Restore(ctx, steps[len(steps)-1], &at, weights)
	}
	if err != nil {
		log.Fatal(err)
	}
	for at.Step < 1000 {
		// … a step …
		at.Step++
		if at.Step%100 == 0 {
			if err := states.Save(ctx, at.Step, at, weights); err != nil {
				log.Fatal(err)
			}
		}
	}
}

package ppo

import (
	"math/rand/v2"
	"slices"
	"testing"

	"tandem/llama"
)

// PPO starts from the policy, stays near a copy of it, and has a critic that knows what the helpfulness model
// knows but for the head, whose scalar is the value of a whole answer and no prediction of what is to come.
func TestNewModels(t *testing.T) {
	config := llama.Config{
		VocabSize: 5, HiddenSize: 4, IntermediateSize: 6, NumHiddenLayers: 1, NumAttentionHeads: 1, NumKeyValueHeads: 1, HeadDim: 4,
		MaxPositionEmbeddings: 8, RMSNormEps: 1e-5, RopeTheta: 10000,
	}
	policy, helpfulness := llama.NewWeights(config, false), llama.NewWeights(config, true)
	policy.Init(rand.New(rand.NewPCG(1, 0)))
	helpfulness.Init(rand.New(rand.NewPCG(2, 0)))
	models, err := NewModels(policy, helpfulness, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if models.Policy != policy || models.Reference == policy {
		t.Error("the policy that is trained is not the one given, or it is its own reference")
	}
	of := models.Reference.Params()
	for i, p := range policy.Params() {
		if !slices.Equal(of[i].Data, p.Data) {
			t.Errorf("the reference differs in %s", p.Name)
		}
	}
	of = models.Critic.Params()
	for i, p := range helpfulness.Params() {
		if same := slices.Equal(of[i].Data, p.Data); same == (p.Name == "score") {
			t.Errorf("%s of the critic is the helpfulness model's: %t", p.Name, same)
		}
	}
}

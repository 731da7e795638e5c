package ppo

import (
	"slices"
	"strings"
	"testing"

	"tandem"
	"tandem/llama"
	"tandem/llama/nn/nntest"
)

func adaptedRun() Config {
	c := shortRun()
	c.LoRA = llama.LoRA{Rank: 2, Targets: "q_proj,v_proj,down_proj"}
	return c
}

func newAdaptedRun(t *testing.T) (*Trainer, Models) {
	t.Helper()
	models := adaptedToys(t, adaptedRun())
	trainer, err := NewTrainer(nntest.Plain(t), models, lively{toy{lengthReward}}, adaptedRun(), 2)
	if err != nil {
		t.Fatal(err)
	}
	return trainer, models
}

// A run with adapters that is cancelled and resumed ends in the same bits, and its states hold nothing of the base.
func TestResumeWithAdaptersIsExact(t *testing.T) {
	resumesExactly(t, func() (*Trainer, Models) { return newAdaptedRun(t) }, 1, 2, 5)

	run, _ := newAdaptedRun(t)
	if err := run.evaluate(t.Context(), Observer{}); err != nil { // the best policy is kept from here on
		t.Fatal(err)
	}
	kinds := make(map[string]int)
	for _, tensor := range run.tensors() {
		kind, name, _ := strings.Cut(tensor.Name, ".")
		kinds[kind]++
		if !strings.Contains(name, ".lora_") && !strings.HasSuffix(name, "score") {
			t.Errorf("a state holds %s", tensor.Name)
		}
	}
	if kinds["policy"] != 3*6 || kinds["best"] != 6 || kinds["critic"] != 3*7 { // weights and two moments
		t.Errorf("a state holds %v", kinds)
	}
}

// The reference is the policy's base and the critic's trunk the helpfulness model's, in the same memory, which training
// leaves as it is.
func TestAdaptersShareTheirBase(t *testing.T) {
	toys, c := toyModels(4), adaptedRun()
	wasPolicy, wasJudge := toys.Policy.Clone(), toys.Critic.Clone()
	models, err := NewModels(toys.Policy, toys.Critic, c)
	if err != nil {
		t.Fatal(err)
	}
	if models.Reference != toys.Policy || &models.Policy.Embed[0] != &toys.Policy.Embed[0] || &models.Critic.Layers[0].QKV[0] != &toys.Critic.Layers[0].QKV[0] {
		t.Error("the adapted models are copies")
	}
	if slices.Equal(models.Critic.Score, toys.Critic.Score) {
		t.Error("the critic's head is not fresh")
	}
	run, err := NewTrainer(nntest.Plain(t), models, lively{toy{lengthReward}}, c, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Run(t.Context(), nil, Observer{}); err != nil {
		t.Fatal(err)
	}
	if name := firstDifference(toys.Policy, wasPolicy); name != "" {
		t.Errorf("%s of the reference has changed", name)
	}
	if name := firstDifference(toys.Critic, wasJudge); name != "" {
		t.Errorf("%s of the helpfulness model has changed", name)
	}
	if moved := firstDifference(models.Policy.Merged(), wasPolicy); moved == "" {
		t.Error("the policy has not moved")
	}
}

// Models with other adapters than the configuration says are refused: the lineage would not tell the truth.
func TestNewTrainerWantsTheConfigurationsAdapters(t *testing.T) {
	c := adaptedRun()
	other := c
	other.LoRA.Rank++
	for name, models := range map[string]Models{"none": toyModels(4), "others": adaptedToys(t, other)} {
		if _, err := NewTrainer(nntest.Plain(t), models, toy{lengthReward}, c, 1); tandem.CodeOf(err) != tandem.Invalid || !strings.Contains(err.Error(), "adapters") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

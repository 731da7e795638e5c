package demo

import (
	"testing"

	"tandem/llama"
)

// Adapters learn by PPO what the whole policy learns: gold, which no run knows of, rises on held-out prompts. It takes some
// ten minutes, and is run by
//
//	TEST_DEMO_LOOP=…/demo/1/loop go test ./internal/practice/demo -run AdaptersRaiseGold -v -timeout 1h
func TestAdaptersRaiseGold(t *testing.T) {
	loop := loopFolder(t)
	for _, c := range []struct {
		name  string
		lora  llama.LoRA
		rates float64 // times the demo's
	}{
		{"whole", llama.LoRA{}, 1},
		{"rank 8", llama.LoRA{Rank: 8}, 10},
		{"rank 8 of queries and values", llama.LoRA{Rank: 8, Targets: "q_proj,v_proj"}, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := DefaultConfig(1).recipe().PPO
			config.Iterations, config.EvaluateEvery, config.LoRA = 60, 20, c.lora
			config.LearningRate, config.FinalLearningRate, config.CriticLearningRate = c.rates*config.LearningRate, c.rates*config.FinalLearningRate, c.rates*config.CriticLearningRate
			s := studio(t)
			h := newHack(t, loop, s, newestJudges(t, loop, s), nil, config)
			h.run(t, config)
			gold := h.environment.examined
			if start, end := gold[0].mean(), last(gold).mean(); end < start+0.02 {
				t.Errorf("gold is %.3f at the start and %.3f at the end", start, end)
			}
		})
	}
}

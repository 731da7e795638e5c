package pipeline

import (
	"context"
	"sync"

	"tandem"
	"tandem/llama"
	"tandem/llama/chat"
	"tandem/llama/train"
	"tandem/ppo"
	"tandem/rewardmodel"
	"tandem/store"
)

// passFlops estimates the floating point operations of a forward pass over tokens in sequences of a mean length: 2 for
// every element of a matrix that a token is multiplied with (no embedding look-up; a classifier has one row for a head),
// and attention's q·kᵀ and p·v at their causal half. Training makes three times as many.
func passFlops(w *llama.Weights, tokens, length float64) float64 {
	c := w.Config
	d, rows := float64(c.HiddenSize), float64(c.VocabSize)
	if w.IsClassifier() {
		rows = 1
	}
	layer := d*float64(c.QKVSize()+c.AttentionSize()) + 3*d*float64(c.IntermediateSize)
	return 2*(float64(c.NumHiddenLayers)*layer+rows*d)*tokens + 2*float64(c.NumHiddenLayers*c.AttentionSize())*tokens*length
}

// stepFlops estimates a training step.
func stepFlops(w *llama.Weights, s train.Stats) float64 {
	if s.Examples == 0 {
		return 0
	}
	return 3 * passFlops(w, float64(s.Tokens), float64(s.Tokens)/float64(s.Examples))
}

// judgeFlops estimates the scoring of dialogues by a pair of reward models, ensembles by all their members.
func judgeFlops(s *rewardmodel.Scorer, tokens, length float64) (flops float64) {
	for _, judge := range []rewardmodel.Judge{s.Helpfulness, s.Safety} {
		if m, ok := judge.(*rewardmodel.Model); ok {
			for _, member := range m.Members {
				flops += passFlops(member.Weights, tokens, length)
			}
		}
	}
	return flops
}

// iterationCost estimates an iteration of PPO by the tokens that it sampled and their prompts: sampling, scoring,
// log-probabilities of policy and reference and values, and an update of critic and policy (which waits for the critic's
// warm-up).
func iterationCost(models ppo.Models, scorer *rewardmodel.Scorer, c ppo.Config, s ppo.Stats) map[string]float64 {
	n, length := float64(c.BatchSize), s.PromptLength+s.Length
	sampled, tokens := s.Length*n, length*n
	policy, critic := passFlops(models.Policy, tokens, length), passFlops(models.Critic, tokens, length)
	flops := policy + judgeFlops(scorer, tokens, length) + policy + passFlops(models.Reference, tokens, length) + critic + 3*critic
	if s.Iteration > c.CriticWarmup {
		flops += 3 * policy
	}
	return map[string]float64{store.TokensMetric: sampled, store.FlopsMetric: flops}
}

// tally adds up what a unit of work that makes no model spends.
type tally struct {
	mu            sync.Mutex
	tokens, flops float64
}

// tallyKey keys the tally in a context.
type tallyKey struct{}

// tallyOf is the tally of a unit that is being done; nil where nobody counts.
func tallyOf(ctx context.Context) *tally {
	t, _ := ctx.Value(tallyKey{}).(*tally)
	return t
}

// spent is an answer for a tally: to what, and how many tokens it has.
type spent struct {
	prompt tandem.Dialogue
	tokens int
}

// add counts answers that a policy sampled and, unless scorer is nil, a pair of reward models scored.
func (t *tally) add(ctx context.Context, policy *chat.Policy, scorer *rewardmodel.Scorer, answers []spent) error {
	if t == nil {
		return nil
	}
	lengths := make(map[uint64]int) // of prompts
	tokens, flops := 0.0, 0.0
	for _, a := range answers {
		key := a.prompt.Key()
		if _, known := lengths[key]; !known {
			ids, _, err := policy.Prompt(ctx, tandem.GenerateRequest{Messages: a.prompt})
			if err != nil {
				return err
			}
			lengths[key] = len(ids)
		}
		length := float64(lengths[key] + a.tokens)
		tokens += float64(a.tokens)
		flops += passFlops(policy.Weights, length, length)
		if scorer != nil {
			flops += judgeFlops(scorer, length, length)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tokens, t.flops = t.tokens+tokens, t.flops+flops
	return nil
}

func (t *tally) metrics() map[string]float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return map[string]float64{store.TokensMetric: t.tokens, store.FlopsMetric: t.flops}
}

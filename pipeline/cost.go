package pipeline

import (
	"context"
	"iter"
	"maps"
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
// and attention's q·kᵀ and p·v at their causal half. Adapters are not counted: whoever samples or scores reads them merged.
func passFlops(w *llama.Weights, tokens, length float64) float64 {
	c := w.Config
	d, rows := float64(c.HiddenSize), float64(c.VocabSize)
	if w.IsClassifier() {
		rows = 1
	}
	layer := d*float64(c.QKVSize()+c.AttentionSize()) + 3*d*float64(c.IntermediateSize)
	return 2*(float64(c.NumHiddenLayers)*layer+rows*d)*tokens + 2*float64(c.NumHiddenLayers*c.AttentionSize())*tokens*length
}

// graphFlops estimates a forward pass in a training graph, which multiplies with adapters as they are.
func graphFlops(w *llama.Weights, tokens, length float64) float64 {
	adapters := 0
	for _, l := range w.Layers {
		for _, a := range l.Adapters {
			adapters += len(a.A) + len(a.B)
		}
	}
	return passFlops(w, tokens, length) + 2*float64(adapters)*tokens
}

// trainFlops estimates a forward and a backward pass: three times a forward pass, but that nobody computes the gradients
// of frozen matrices.
func trainFlops(w *llama.Weights, tokens, length float64) float64 {
	frozen := 0
	for _, p := range w.Params() {
		lookUp := p.Name == "embed" && (w.IsClassifier() || !w.Config.TieWordEmbeddings)
		if w.Frozen(p.Name) && len(p.Shape) == 2 && !lookUp {
			frozen += len(p.Data)
		}
	}
	return 3*graphFlops(w, tokens, length) - 2*float64(frozen)*tokens
}

// stepFlops estimates a training step.
func stepFlops(w *llama.Weights, s train.Stats) float64 {
	if s.Sequences == 0 {
		return 0
	}
	return trainFlops(w, float64(s.Tokens), float64(s.Tokens)/float64(s.Sequences))
}

// judgeFlops estimates the scoring of dialogues by a pair of reward models, ensembles by all their members.
func judgeFlops(s *rewardmodel.Scorer, tokens, length float64) (flops float64) {
	for _, w := range judgeWeights(s) {
		flops += passFlops(w, tokens, length)
	}
	return flops
}

// judgeWeights are the weights of all models that score.
func judgeWeights(s *rewardmodel.Scorer) (all []*llama.Weights) {
	for _, judge := range []rewardmodel.Judge{s.Helpfulness, s.Safety} {
		if m, ok := judge.(*rewardmodel.Model); ok {
			for _, member := range m.Members {
				all = append(all, member.Weights)
			}
		}
	}
	return all
}

// phaseFlops are those of an iteration's phases.
type phaseFlops struct{ sampling, scoring, forward, updates float64 }

func (f phaseFlops) all() float64 { return f.sampling + f.scoring + f.forward + f.updates }

// iterationFlops estimates an iteration of PPO by the tokens that it sampled and their prompts: sampling, scoring, the
// reference's log-probabilities and values, and an update of critic and policy (which waits for the critic's
// warm-up).
func iterationFlops(models ppo.Models, judges []*llama.Weights, c ppo.Config, s ppo.Stats) (f phaseFlops) {
	length := s.PromptLength + s.Length
	tokens := length * float64(c.BatchSize)
	f.sampling = passFlops(models.Policy, tokens, length)
	for _, w := range judges {
		f.scoring += passFlops(w, tokens, length)
	}
	for _, w := range []*llama.Weights{models.Reference, models.Critic} {
		f.forward += graphFlops(w, tokens, length)
	}
	f.updates = trainFlops(models.Critic, tokens, length)
	if s.Iteration > c.CriticWarmup {
		f.updates += trainFlops(models.Policy, tokens, length)
	}
	return f
}

// iterationCost is what a run keeps of an iteration's cost.
func iterationCost(models ppo.Models, scorer *rewardmodel.Scorer, c ppo.Config, s ppo.Stats) map[string]float64 {
	f := iterationFlops(models, judgeWeights(scorer), c, s)
	return map[string]float64{store.TokensMetric: s.Length * float64(c.BatchSize), store.FlopsMetric: f.all()}
}

// tally adds up what a unit of work that makes no model spends, and keeps what it found.
type tally struct {
	mu            sync.Mutex
	tokens, flops float64
	found         map[string]float64 // what the work came to, by metric
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
	text   *string // in the prompt's place, where it is raw text
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
		if a.text != nil {
			key = tandem.Dialogue{{Content: *a.text}}.Key()
		}
		if _, known := lengths[key]; !known {
			ids, _, err := policy.Prompt(ctx, tandem.GenerateRequest{Messages: a.prompt, Text: a.text})
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

// find adds what the work came to.
func (t *tally) find(metrics map[string]float64) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.found = metrics
}

func (t *tally) metrics() map[string]float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	metrics := map[string]float64{store.TokensMetric: t.tokens, store.FlopsMetric: t.flops}
	maps.Copy(metrics, t.found)
	return metrics
}

// tallied is a policy whose answers are counted.
type tallied struct {
	*chat.Policy
	tally *tally
}

func (c tallied) Generate(ctx context.Context, requests []tandem.GenerateRequest) iter.Seq2[tandem.Chunk, error] {
	return func(yield func(tandem.Chunk, error) bool) {
		answers := make([]spent, len(requests))
		for i, r := range requests {
			answers[i].prompt, answers[i].text = r.Messages, r.Text
		}
		for chunk, err := range c.Policy.Generate(ctx, requests) {
			if err == nil {
				answers[chunk.Request].tokens += len(chunk.Tokens)
			}
			if !yield(chunk, err) {
				return
			}
		}
		if err := c.tally.add(ctx, c.Policy, nil, answers); err != nil {
			yield(tandem.Chunk{}, err)
		}
	}
}

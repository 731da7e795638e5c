package ppo

import (
	"context"
	"fmt"

	"tandem"
	"tandem/llama"
	"tandem/llama/nn"
)

// rollout is one answer with all that an update needs of it. Slices over tokens have one entry for each
// token of the answer, EOS included: the action mask is exactly the answer.
type rollout struct {
	answer    Answer
	score     float64   // R_c, not whitened, less the penalties of uncertainty and of an answer that did not end
	logprobs  []float32 // ln π_old, from sampling
	reference []float32 // ln π_0
	entropy   []float32 // of π_old, in nats
	values    []float32 // V before each token
	rewards   []float64
	advantage []float32
	returns   []float32

	combined    float64 // R_c as it is
	uncertainty float64 // of R_c
}

// rows are the positions of a rollout's tokens in a batch that it starts in at offset: row i of a batch
// predicts the token after it.
func (r *rollout) rows(offset int32) (from, to int) {
	from = int(offset) + len(r.answer.Question.Tokens) - 1
	return from, from + len(r.answer.Tokens)
}

// Slots is how many answers are sampled at once. The last answers of a batch leave slots empty: the more there are, the
// sooner all answers have begun, and the fewer such steps there are. It is bounded for the memory of keys and values.
func (c Config) Slots() int { return min(c.BatchSize, 128) }

// sample begins rollouts with the policy's answers to the questions, their log-probabilities and entropies. The sampler reads
// the policy's weights in place. round numbers the samples that are drawn of the same question.
func sample(ctx context.Context, s *llama.Sampler, questions []Question, stop []int32, c Config, round uint64) ([]*rollout, error) {
	rollouts := make([]*rollout, len(questions))
	requests := make([]llama.Request, len(questions))
	for i, q := range questions {
		rollouts[i] = &rollout{answer: Answer{Question: q}}
		requests[i] = llama.Request{
			Prompt:   q.Tokens,
			Sampling: tandem.Sampling{Temperature: c.Temperature, MaxTokens: c.MaxTokens},
			Stop:     stop,
			Entropy:  true,
			Key:      tandem.SampleKey{Seed: c.Seed, Prompt: q.Key, Sample: round*uint64(len(questions)) + uint64(i)},
		}
	}
	for e, err := range s.Sample(ctx, requests) {
		if err != nil {
			return nil, fmt.Errorf("sample answers: %w", err)
		}
		r := rollouts[e.Request]
		r.answer.Tokens = append(r.answer.Tokens, e.Token)
		r.answer.Finish = e.Finish
		r.logprobs, r.entropy = append(r.logprobs, e.LogProb), append(r.entropy, e.Entropy)
	}
	return rollouts, nil
}

// microbatch is what the graph runs at once: some rollouts of one minibatch, one after another.
type microbatch struct {
	rollouts []*rollout
	policy   llama.Batch
	critic   llama.Batch
	mask     []float32 // 1 at the rows that predict a token of an answer
}

// minibatch is what one gradient step is taken on.
type minibatch struct {
	micro  []*microbatch
	tokens float32 // of answers: the global count that losses are divided by
}

// pack divides rollouts into minibatches and those into microbatches of at most tokens tokens, in order.
// The same packing serves the passes before the update and the update itself.
func pack(rollouts []*rollout, minibatchSize, tokens int) []*minibatch {
	var batches []*minibatch
	for len(rollouts) > 0 {
		n := min(minibatchSize, len(rollouts))
		batches = append(batches, packMinibatch(rollouts[:n], tokens))
		rollouts = rollouts[n:]
	}
	return batches
}

func packMinibatch(rollouts []*rollout, tokens int) *minibatch {
	mb := &minibatch{}
	var group []*rollout
	size := 0
	for _, r := range rollouts {
		length := len(r.answer.Question.Tokens) + len(r.answer.Tokens)
		if size+length > tokens && len(group) > 0 {
			mb.micro = append(mb.micro, newMicrobatch(group))
			group, size = nil, 0
		}
		group, size = append(group, r), size+length
		mb.tokens += float32(len(r.answer.Tokens))
	}
	mb.micro = append(mb.micro, newMicrobatch(group))
	return mb
}

func newMicrobatch(rollouts []*rollout) *microbatch {
	sequences := make([][]int32, len(rollouts))
	for i, r := range rollouts {
		sequences[i] = append(append([]int32(nil), r.answer.Question.Tokens...), r.answer.Tokens...)
	}
	m := &microbatch{rollouts: rollouts}
	m.policy = llama.NewBatch(sequences...)
	m.critic = m.policy
	m.critic.Targets = nil
	n := len(m.policy.Tokens)
	m.mask = make([]float32, n)
	for i, r := range rollouts {
		from, to := r.rows(m.policy.Offsets[i])
		for row := from; row < to; row++ {
			m.mask[row] = 1
		}
	}
	for row, on := range m.mask {
		if on == 0 { // nobody asks for the logits of a prompt's rows
			m.policy.Targets[row] = -1
		}
	}
	zeros := func() []float32 { return make([]float32, n) }
	m.policy.Inputs = map[string][]float32{"old": zeros(), "advantages": zeros(), "mask": m.mask, "count": {1}}
	m.critic.Inputs = map[string][]float32{"old": zeros(), "returns": zeros(), "mask": m.mask, "count": {1}, "clip": {0}}
	return m
}

// gather copies a batch's output at each rollout's rows to what field gives.
func (m *microbatch) gather(output []float32, field func(*rollout) *[]float32) {
	for i, r := range m.rollouts {
		from, to := r.rows(m.policy.Offsets[i])
		*field(r) = append((*field(r))[:0], output[from:to]...)
	}
}

// scatter copies what field gives of each rollout to its rows of an input.
func (m *microbatch) scatter(input []float32, field func(*rollout) []float32) {
	for i, r := range m.rollouts {
		from, to := r.rows(m.policy.Offsets[i])
		copy(input[from:to], field(r))
	}
}

// whitenAll whitens one quantity over the tokens of a whole batch.
func whitenAll(rollouts []*rollout, field func(*rollout) []float32) {
	var all []float32
	for _, r := range rollouts {
		all = append(all, field(r)...)
	}
	whiten(all)
	for _, r := range rollouts {
		n := copy(field(r), all)
		all = all[n:]
	}
}

// whiten maps x to mean 0 and deviation 1; zeros if it does not vary.
func whiten(x []float32) { nn.MaskedWhiten(x, everywhere(len(x)), false) }

// everywhere is the mask that lets everything count.
func everywhere(n int) []float32 {
	mask := make([]float32, n)
	for i := range mask {
		mask[i] = 1
	}
	return mask
}

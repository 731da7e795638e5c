package train

import (
	"math/rand/v2"
	"slices"

	"tandem/llama"
)

// order says which examples a step takes. The examples of all epochs, each in an order of its own keyed by
// (seed, epoch), stand in one row, and step s takes numbers s·batch to (s+1)·batch of it.
type order struct {
	examples, batch int
	last            int // examples to take in all
	seed            uint64

	epoch       int // whose permutation is kept
	permutation []int
}

func newOrder(c Config, examples int) *order {
	last := c.Epochs * examples
	if c.Steps > 0 {
		last = c.Steps * c.Batch
	}
	return &order{examples: examples, batch: c.Batch, last: last, seed: c.Seed, epoch: -1}
}

// step returns the examples of a step, counted from 0.
func (o *order) step(step int) []int {
	var taken []int
	for k := step * o.batch; k < min((step+1)*o.batch, o.last); k++ {
		if epoch := k / o.examples; epoch != o.epoch {
			o.epoch = epoch
			o.permutation = rand.New(rand.NewPCG(o.seed, uint64(epoch))).Perm(o.examples)
		}
		taken = append(taken, o.permutation[k%o.examples])
	}
	return taken
}

// epochAfter is how many epochs have passed after so many steps.
func (o *order) epochAfter(steps int) float64 {
	return float64(min(steps*o.batch, o.last)) / float64(o.examples)
}

// split packs examples into micro-batches that fit limit, largest first into the first that has room. An
// example that does not fit by itself gets a micro-batch of its own.
//
// A batch holds its sequences one after another without padding, so steps of like lengths would save no token, and they
// would order what the model learns by length. On pairs that spread as dialogues do they even take 45 micro-batches an
// epoch where steps as they are drawn take 40; rectangular batches would compute 1.4 and 2.5 times the tokens (go test
// ./llama/train -run xxx -bench Lengths -benchtime 1x). Steps therefore stay as they are drawn.
func split(task Task, examples []int, limit llama.Shape) [][]int {
	sorted := slices.Clone(examples)
	slices.SortStableFunc(sorted, func(a, b int) int { return task.Shape(b).Tokens - task.Shape(a).Tokens })
	var micro [][]int
	var filled []llama.Shape
	for _, e := range sorted {
		size := task.Shape(e)
		at := slices.IndexFunc(filled, func(f llama.Shape) bool {
			return f.Tokens+size.Tokens <= limit.Tokens && f.Sequences+size.Sequences <= limit.Sequences
		})
		if at < 0 {
			at = len(micro)
			micro, filled = append(micro, nil), append(filled, llama.Shape{})
		}
		micro[at] = append(micro[at], e)
		filled[at].Tokens += size.Tokens
		filled[at].Sequences += size.Sequences
	}
	return micro
}

// graphShape is the room that a task's micro-batches need: GraphTokens or the longest example, whichever
// is more, and as many sequences as the smallest examples fill that with, at most a step's.
func (c Config) graphShape(tasks ...Task) llama.Shape {
	var longest, all llama.Shape
	shortest := 0
	for _, task := range tasks {
		for i := range task.Examples() {
			s := task.Shape(i)
			longest.Tokens = max(longest.Tokens, s.Tokens)
			longest.Sequences = max(longest.Sequences, s.Sequences)
			if perSequence := max(s.Tokens/max(s.Sequences, 1), 1); shortest == 0 || perSequence < shortest {
				shortest = perSequence
			}
			all.Tokens += s.Tokens
		}
	}
	tokens := max(min(c.GraphTokens, all.Tokens), longest.Tokens)
	sequences := max(min(tokens/max(shortest, 1), c.Batch*longest.Sequences), longest.Sequences)
	return llama.Shape{Tokens: tokens, Sequences: sequences + sequences%2}
}

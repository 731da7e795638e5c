package harness

import (
	"hash/fnv"
	"math/rand/v2"
	"strings"

	"tandem"
)

// Shots says which examples stand before a question.
type Shots struct {
	// N is how many; 0 for none.
	N int
	// Examples are what they are drawn from. A question that is itself asked is never among them.
	Examples []Question
	// Seed keys the drawing together with the question, so that it depends neither on the others nor on their order.
	Seed uint64
}

// Prompts gives what stands before the answers of each question: MMLU's description of the subject, the examples with their
// answers, and the question. MMLU's examples are the first of the same subject, in the order of their file, as everybody who
// reports it takes them; those of other tasks are drawn.
func Prompts(task Task, questions []Question, shots Shots) ([]string, error) {
	if shots.N < 0 {
		return nil, tandem.Errorf(tandem.Invalid, op, "%d examples are to stand before a question", shots.N)
	}
	if shots.N > 0 && !task.TakesExamples() {
		return nil, tandem.Errorf(tandem.Invalid, op, "%s takes no examples: its prompt is as its authors have it", task)
	}
	pool := pool(task, questions, shots.Examples)
	prompts := make([]string, len(questions))
	for i, q := range questions {
		var b strings.Builder
		group := ""
		if task == MMLU {
			b.WriteString(description(q.Subject))
			group = q.Subject
		}
		if there := len(pool[group]); shots.N > there {
			of := ""
			if group != "" {
				of = " of " + group
			}
			return nil, tandem.Errorf(tandem.Invalid, op, "%d examples are to stand before a question of %s, and there are %d%s that are not asked themselves", shots.N, task, there, of)
		}
		for _, e := range draw(task, pool[group], shots, q) {
			b.WriteString(e.Prompt + delimiter + e.Choices[e.Right[0]] + "\n\n")
		}
		b.WriteString(q.Prompt)
		prompts[i] = b.String()
	}
	return prompts, nil
}

// delimiter stands between a prompt and an answer.
const delimiter = " "

// pool is the examples that are not asked themselves: by subject for MMLU, else all under the empty name.
func pool(task Task, questions, examples []Question) map[string][]Question {
	asked := make(map[string]bool, len(questions))
	for _, q := range questions {
		asked[q.key()] = true
	}
	pool := make(map[string][]Question)
	for _, e := range examples {
		group := ""
		if task == MMLU {
			group = e.Subject
		}
		if !asked[e.key()] {
			pool[group] = append(pool[group], e)
		}
	}
	return pool
}

// draw takes the examples of one question.
func draw(task Task, pool []Question, shots Shots, q Question) []Question {
	if task == MMLU || shots.N == 0 {
		return pool[:shots.N]
	}
	hash := fnv.New64a()
	hash.Write([]byte(q.key()))
	examples := make([]Question, shots.N)
	for i, at := range rand.New(rand.NewPCG(shots.Seed, hash.Sum64())).Perm(len(pool))[:shots.N] {
		examples[i] = pool[at]
	}
	return examples
}

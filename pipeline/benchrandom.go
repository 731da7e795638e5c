package pipeline

import (
	"context"
	"math/rand/v2"

	"tandem"
	"tandem/llama"
	"tandem/ppo"
)

// randomQuestions is an environment without words, to measure in where there are no models at hand: prompts of random
// tokens, which no token ends an answer to, scored by two classifiers.
type randomQuestions struct {
	seed   uint64
	length int // of a prompt
	vocab  int
	judges [2]*llama.Classifier
}

// makeUp gives the benchmark random weights and prompts.
func (s *Studio) makeUp(b *ppoBench) error {
	c, length := b.spec.Architecture, b.spec.PromptTokens
	if length < 1 || length+b.spec.Config.MaxTokens > c.MaxPositionEmbeddings {
		return tandem.Errorf(tandem.Invalid, "pipeline.BenchPPO", "prompts of %d tokens with answers of %d do not fit the context of %d", length, b.spec.Config.MaxTokens, c.MaxPositionEmbeddings)
	}
	e := randomQuestions{seed: b.spec.Config.Seed, length: length, vocab: c.VocabSize}
	made := func(stream uint64, classifier bool) *llama.Weights {
		w := llama.NewWeights(c, classifier)
		w.Init(rand.New(rand.NewPCG(e.seed, stream)))
		return w
	}
	for i := range e.judges {
		w := made(uint64(i), true)
		judge, err := llama.NewClassifier(w, s.chatConfig().Forward)
		if err != nil {
			return err
		}
		e.judges[i], b.judges = judge, append(b.judges, w)
	}
	b.Environment = e
	var err error
	b.models, err = ppo.NewModels(made(2, false), b.judges[0], b.spec.Config)
	return err
}

// Questions are drawn anew for every iteration.
func (e randomQuestions) Questions(iteration, n int) ([]ppo.Question, error) {
	random := rand.New(rand.NewPCG(e.seed, uint64(iteration)))
	questions := make([]ppo.Question, n)
	for i := range questions {
		questions[i] = ppo.Question{Tokens: make([]int32, e.length), Key: random.Uint64(), Index: i}
		for j := range questions[i].Tokens {
			questions[i].Tokens[j] = int32(random.IntN(e.vocab))
		}
	}
	return questions, nil
}

func (randomQuestions) HeldOut() []ppo.Question { return nil }

func (randomQuestions) Stop() []int32 { return nil }

// Score is the sum of both classifiers' scalars.
func (e randomQuestions) Score(ctx context.Context, answers []ppo.Answer) ([]tandem.Score, error) {
	sequences := make([][]int32, len(answers))
	for i, a := range answers {
		sequences[i] = append(append([]int32(nil), a.Question.Tokens...), a.Tokens...)
	}
	scores := make([]tandem.Score, len(answers))
	for _, judge := range e.judges {
		scalars, err := judge.Scores(ctx, sequences)
		if err != nil {
			return nil, err
		}
		for i, r := range scalars {
			scores[i].Combined += float64(r)
		}
	}
	return scores, nil
}

package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tandem"
	"tandem/internal/practice/gold"
	"tandem/llama/chat"
	"tandem/llama/nn"
	"tandem/llama/nn/kernel"
	"tandem/llama/nn/nntest"
	"tandem/pipeline"
	"tandem/ppo"
	"tandem/rewardmodel"
)

// loopVariable names the folder of a finished demo, …/loop, whose models and comparisons the long test goes on with.
const loopVariable = "TEST_DEMO_LOOP"

// PPO without a KL penalty takes what its reward models overrate. The run's own warnings must point it out before gold,
// which they know nothing of, has lost a tenth of what it rose by from SFT to its peak.
//
// Two pairs of reward models learn from disjoint halves of a demo's comparisons; one is trained against, the other is the
// held-out judge. It takes some ten minutes, and is run by
//
//	TEST_DEMO_LOOP=…/demo/1/loop go test ./internal/practice/demo -run Overoptimisation -v -timeout 1h
func TestOveroptimisationIsWarnedOf(t *testing.T) {
	loop := os.Getenv(loopVariable)
	if loop == "" {
		t.Skipf("%s names no demo's folder", loopVariable)
	}
	out := os.Getenv("TEST_DEMO_OUT") // where reward models stay for another run
	if out == "" {
		out = t.TempDir()
	}
	h := newHack(t, loop, out)
	config := DefaultConfig(1).recipe().PPO
	config.Beta, config.Iterations, config.EvaluateEvery = 0, 200, 10
	warned := h.run(t, config)

	first := math.MaxInt
	for _, w := range warned {
		t.Log(w)
		if w.Kind.Overoptimisation() {
			first = min(first, w.Iteration)
		}
	}
	curve := h.curve()
	peak := 0
	for i := range curve {
		if curve[i] > curve[peak] {
			peak = i
		}
	}
	lost := slices.IndexFunc(curve[peak:], func(g float64) bool { return g < curve[peak]-(curve[peak]-curve[0])/10 })
	t.Logf("gold %.3f at the start, %.3f at its peak after %d iterations, %.3f at the end; first warning in iteration %d", curve[0], curve[peak], peak, curve[len(curve)-1], first)
	if lost < 0 {
		t.Fatal("gold has not lost a tenth of its rise: this shows nothing")
	}
	if first > peak+lost {
		t.Errorf("gold has lost a tenth of its rise after iteration %d, and there was no warning", peak+lost)
	}
}

// hack is a policy to be tuned against one pair of reward models, with another pair and gold looking on.
type hack struct {
	device      nn.Device
	models      ppo.Models
	environment *overlooked
	second      tandem.Scorer
}

// newHack fits both pairs of reward models and opens the demo's SFT policy.
func newHack(t *testing.T, loop, out string) *hack {
	t.Helper()
	ctx := t.Context()
	kernels, err := kernel.Select("")
	if err != nil {
		t.Fatal(err)
	}
	device := nntest.Fast(t)
	s := &pipeline.Studio{Device: device, Kernels: kernels, Kernel: device.String(), Log: slog.New(slog.DiscardHandler)}
	recipe := DefaultConfig(1).recipe()
	halves := halve(t, filepath.Join(loop, "v2", "comparisons.jsonl"), out)
	reference := pipeline.Reference{
		Policy: filepath.Join(loop, "sft"), Prompts: filepath.Join(loop, "world", "prompts-reference.jsonl"),
		Sampling: tandem.Sampling{Temperature: 1, MaxTokens: recipe.Rejection.MaxTokens}, Seed: 1,
	}
	var scorers [2]*rewardmodel.Scorer
	for i, half := range halves {
		var folders []string
		for _, c := range []rewardmodel.Config{recipe.Helpfulness, recipe.Safety} {
			folder := filepath.Join(out, string(c.Aspect)+string(rune('1'+i)))
			spec := pipeline.Reward{Model: filepath.Join(loop, "v1", "policy"), Data: half, Config: c, Out: folder, Name: filepath.Base(folder)}
			if _, err := s.Reward(ctx, spec, true); err != nil {
				t.Fatal(err)
			}
			if _, err := s.CalibrateOn(ctx, folder, reference); err != nil {
				t.Fatal(err)
			}
			folders = append(folders, folder)
		}
		if scorers[i], err = s.Scorer(ctx, folders[0], folders[1]); err != nil {
			t.Fatal(err)
		}
	}
	policy, err := chat.Open(ctx, filepath.Join(loop, "sft"), chat.Config{})
	if err != nil {
		t.Fatal(err)
	}
	helpfulness := scorers[0].Helpfulness.(*rewardmodel.Model).First().Weights
	h := &hack{device: device, second: scorers[1], models: ppo.Models{
		Policy: policy.Weights, Reference: policy.Weights.Clone(), Critic: helpfulness.ToClassifier(rand.New(rand.NewPCG(1, 2))),
	}}
	training := prompts(t, filepath.Join(loop, "world", "prompts-improve.jsonl"))
	heldOut := slices.Collect(func(yield func(tandem.Prompt) bool) { // a quarter tells enough, at a quarter of the time
		for i, p := range prompts(t, filepath.Join(loop, "world", "held-out.jsonl")) {
			if i%4 == 0 && !yield(p) {
				return
			}
		}
	})
	dialogues, err := ppo.NewDialogues(ctx, policy.Template, policy.Tokenizer, scorers[0], training, heldOut, 900, 1)
	if err != nil {
		t.Fatal(err)
	}
	h.environment = &overlooked{Dialogues: dialogues, decoder: policy.Tokenizer, oracle: gold.New(), prompts: append(training, heldOut...), heldOut: len(training)}
	return h
}

// run tunes the policy and returns the warnings.
func (h *hack) run(t *testing.T, config ppo.Config) (warned []ppo.Trouble) {
	t.Helper()
	trainer, err := ppo.NewTrainer(h.device, h.models, h.environment, config, 0)
	if err != nil {
		t.Fatal(err)
	}
	trainer.SecondJudge = func(ctx context.Context, answers []ppo.Answer) ([]tandem.Score, error) {
		return h.environment.ScoreBy(ctx, h.second, answers)
	}
	err = trainer.Run(t.Context(), nil, ppo.Observer{
		Iteration: func(s ppo.Stats) {
			if s.Iteration%10 == 0 {
				t.Logf("%d: gold %.3f score %.3f kl %.2f length %.1f distinct %.3f repeated %.3f entropy %.3f ended %d", s.Iteration,
					h.environment.training[len(h.environment.training)-1], s.Score, s.KL, s.Length, s.Distinct2, s.Repetition, s.Entropy, s.Ended)
			}
		},
		Evaluation: func(e ppo.Evaluation) {
			t.Logf("%d: held out: gold %.3f score %.3f second judge %.3f kl %.2f", e.Iteration,
				h.environment.examined[len(h.environment.examined)-1], e.Score, e.SecondScore, e.KL)
		},
		Trouble: func(x ppo.Trouble) { warned = append(warned, x) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return warned
}

// curve is gold of each iteration's answers, a mean over eleven iterations: those of one are of a hundred prompts.
func (h *hack) curve() []float64 {
	const around = 5
	gold := h.environment.training
	curve := make([]float64, len(gold))
	for i := range gold {
		of := gold[max(i-around, 0):min(i+around+1, len(gold))]
		for _, g := range of {
			curve[i] += g / float64(len(of))
		}
	}
	return curve
}

// overlooked is an environment whose answers gold judges too, and tells nobody who learns.
type overlooked struct {
	*ppo.Dialogues
	decoder ppo.Decoder
	oracle  *gold.Oracle
	prompts []tandem.Prompt
	heldOut int // index of the first prompt that is held out

	training, examined []float64 // mean gold of each iteration, and of each evaluation
}

func (o *overlooked) Score(ctx context.Context, answers []ppo.Answer) ([]tandem.Score, error) {
	mean := 0.0
	for _, a := range answers {
		p := o.prompts[a.Question.Index]
		v, err := o.oracle.Judge(p.Messages, o.decoder.Decode(a.Tokens))
		if err != nil {
			return nil, err
		}
		aspect := tandem.Helpfulness
		if p.Safety {
			aspect = tandem.Safety
		}
		mean += v.Of(aspect) / float64(len(answers))
	}
	if answers[0].Question.Index >= o.heldOut {
		o.examined = append(o.examined, mean)
	} else {
		o.training = append(o.training, mean)
	}
	return o.Dialogues.Score(ctx, answers)
}

// halve divides comparisons into two files that have no opening in common.
func halve(t *testing.T, path, out string) (halves [2]string) {
	t.Helper()
	var lines [2][]tandem.Comparison
	for _, c := range readAll[tandem.Comparison](t, path) { // the fifth that the rule holds out is not among them
		half := 0
		if tandem.HeldOut(c.Prompt.Messages.Opening(), 0.6) {
			half = 1
		}
		lines[half] = append(lines[half], c)
	}
	for i := range halves {
		halves[i] = filepath.Join(out, "comparisons-"+string(rune('1'+i))+".jsonl")
		if err := pipeline.WriteLines(halves[i], slices.Values(lines[i])); err != nil {
			t.Fatal(err)
		}
	}
	return halves
}

func prompts(t *testing.T, path string) []tandem.Prompt { return readAll[tandem.Prompt](t, path) }

func readAll[T any](t *testing.T, path string) (items []T) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	decoder := json.NewDecoder(bufio.NewReader(f))
	for decoder.More() {
		var item T
		if err := decoder.Decode(&item); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		items = append(items, item)
	}
	return items
}

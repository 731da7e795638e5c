package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"log/slog"
	"math"
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
	loop := loopFolder(t)
	s := studio(t)
	judges := halfJudges(t, loop, outFolder(t), s)
	config := DefaultConfig(1).recipe().PPO
	config.Beta, config.Iterations, config.EvaluateEvery = 0, 80, 5
	h := newHack(t, loop, s, judges[0], judges[1], config)
	warned := h.run(t, config)

	first := math.MaxInt
	for _, w := range warned {
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

// PPO's practice preset raises gold helpfulness and gold safety and keeps them up for 200 iterations, with a policy that has moved by
// a nat an answer, from a demo's SFT policy against its newest reward models. It takes as long, and is run alike.
func TestPresetRaisesGoldAndKeepsItUp(t *testing.T) {
	loop := loopFolder(t)
	s := studio(t)
	config := must(ppo.Preset("practice"))
	config.Iterations = 200
	h := newHack(t, loop, s, newestJudges(t, loop, s), nil, config)
	h.run(t, config)

	quarter := config.Iterations / 4
	for _, a := range []tandem.Aspect{tandem.Helpfulness, tandem.Safety} {
		var means []float64 // of each iteration
		for _, v := range h.environment.training {
			means = append(means, v.of(a))
		}
		start, best := average(means[:config.CriticWarmup+1]), 0.0
		for i := range 4 {
			best = max(best, average(means[i*quarter:(i+1)*quarter]))
		}
		end := average(means[3*quarter:])
		t.Logf("gold %s: %.3f at the start, %.3f in the best quarter, %.3f in the last", a, start, best, end)
		if end < start+0.1 || end < best-(best-start)/10 {
			t.Errorf("gold %s has not risen and stayed", a)
		}
	}
	kl := average(h.kl[len(h.kl)-20:])
	t.Logf("%.2f nats an answer over the last 20 iterations", kl)
	if kl < 1 {
		t.Error("the policy has hardly moved")
	}
}

func loopFolder(t *testing.T) string {
	loop := os.Getenv(loopVariable)
	if loop == "" {
		t.Skipf("%s names no demo's folder", loopVariable)
	}
	return loop
}

// outFolder is where reward models stay for another run.
func outFolder(t *testing.T) string {
	if out := os.Getenv("TEST_DEMO_OUT"); out != "" {
		return out
	}
	return t.TempDir()
}

// hack is a policy to be tuned against one pair of reward models, with another pair and gold looking on.
type hack struct {
	device      nn.Device
	models      ppo.Models
	environment *overlooked
	second      *rewardmodel.Scorer // may be nil
	kl          []float64           // of each iteration
}

// studio computes as the demo does.
func studio(t *testing.T) *pipeline.Studio {
	t.Helper()
	kernels, err := kernel.Select("")
	if err != nil {
		t.Fatal(err)
	}
	device := nntest.Fast(t)
	return &pipeline.Studio{Device: device, Kernels: kernels, Kernel: device.String(), Log: slog.New(slog.DiscardHandler)}
}

// newHack opens the demo's SFT policy, to be tuned against judge. second may be nil.
func newHack(t *testing.T, loop string, s *pipeline.Studio, judge, second *rewardmodel.Scorer, c ppo.Config) *hack {
	t.Helper()
	ctx := t.Context()
	policy, err := chat.Open(ctx, filepath.Join(loop, "sft"), chat.Config{})
	if err != nil {
		t.Fatal(err)
	}
	models, err := ppo.NewModels(policy.Weights, judge.Helpfulness.(*rewardmodel.Model).First().Weights, c)
	if err != nil {
		t.Fatal(err)
	}
	h := &hack{device: s.Device, second: second, models: models}
	training := prompts(t, filepath.Join(loop, "world", "prompts-improve.jsonl"))
	heldOut := slices.Collect(func(yield func(tandem.Prompt) bool) { // a quarter tells enough, at a quarter of the time
		for i, p := range prompts(t, filepath.Join(loop, "world", "held-out.jsonl")) {
			if i%4 == 0 && !yield(p) {
				return
			}
		}
	})
	dialogues, err := ppo.NewDialogues(ctx, policy.Template, policy.Tokenizer, judge, training, heldOut, 900, 1)
	if err != nil {
		t.Fatal(err)
	}
	h.environment = &overlooked{Dialogues: dialogues, decoder: policy.Tokenizer, oracle: gold.New(), prompts: append(training, heldOut...), heldOut: len(training)}
	return h
}

// newestJudges are the reward models of a demo's last round.
func newestJudges(t *testing.T, loop string, s *pipeline.Studio) *rewardmodel.Scorer {
	t.Helper()
	scorer, err := s.Scorer(t.Context(), filepath.Join(loop, "v2", "helpfulness"), filepath.Join(loop, "v2", "safety"))
	if err != nil {
		t.Fatal(err)
	}
	return scorer
}

// halfJudges fits a pair of reward models to each of two disjoint halves of a demo's comparisons.
func halfJudges(t *testing.T, loop, out string, s *pipeline.Studio) (scorers [2]*rewardmodel.Scorer) {
	t.Helper()
	ctx := t.Context()
	recipe := DefaultConfig(1).recipe()
	halves := halve(t, filepath.Join(loop, "v2", "comparisons.jsonl"), out)
	reference := pipeline.Reference{
		Policy: filepath.Join(loop, "sft"), Prompts: filepath.Join(loop, "world", "prompts-reference.jsonl"),
		Sampling: tandem.Sampling{Temperature: 1, MaxTokens: recipe.Rejection.MaxTokens}, Seed: 1,
	}
	var err error
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
	return scorers
}

// run tunes the policy and returns the warnings.
func (h *hack) run(t *testing.T, config ppo.Config) (warned []ppo.Trouble) {
	t.Helper()
	trainer, err := ppo.NewTrainer(h.device, h.models, h.environment, config, 0)
	if err != nil {
		t.Fatal(err)
	}
	if h.second != nil {
		trainer.SecondJudge = func(ctx context.Context, answers []ppo.Answer) ([]tandem.Score, error) {
			return h.environment.ScoreBy(ctx, h.second, answers)
		}
	}
	err = trainer.Run(t.Context(), nil, ppo.Observer{
		Iteration: func(s ppo.Stats) {
			h.kl = append(h.kl, s.KL)
			if s.Iteration%10 == 0 {
				t.Logf("%d: gold %.3f score %.3f kl %.2f length %.1f distinct %.3f repeated %.3f entropy %.3f ended %d", s.Iteration,
					last(h.environment.training).mean(), s.Score, s.KL, s.Length, s.Distinct2, s.Repetition, s.Entropy, s.Ended)
			}
		},
		Evaluation: func(e ppo.Evaluation) {
			g := last(h.environment.examined)
			t.Logf("%d: held out: gold helpfulness %.3f safety %.3f score %.3f second judge %.3f kl %.2f", e.Iteration, g.of(tandem.Helpfulness), g.of(tandem.Safety), e.Score, e.SecondScore, e.KL)
		},
		Trouble: func(x ppo.Trouble) {
			t.Log(x)
			warned = append(warned, x)
		},
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
			curve[i] += g.mean() / float64(len(of))
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

	training, examined []verdicts // of each iteration, and of each evaluation
}

// verdicts is what gold says of some answers: of the helpfulness of those to helpful prompts, of the safety of those to
// unsafe ones.
type verdicts map[tandem.Aspect][]float64

func (v verdicts) of(a tandem.Aspect) float64 { return average(v[a]) }

func (v verdicts) mean() float64 {
	return average(slices.Concat(v[tandem.Helpfulness], v[tandem.Safety]))
}

func average(x []float64) (m float64) {
	for _, v := range x {
		m += v / float64(len(x))
	}
	return m
}

func last[T any](s []T) T { return s[len(s)-1] }

func (o *overlooked) Score(ctx context.Context, answers []ppo.Answer) ([]tandem.Score, error) {
	of := make(verdicts)
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
		of[aspect] = append(of[aspect], v.Of(aspect))
	}
	if answers[0].Question.Index >= o.heldOut {
		o.examined = append(o.examined, of)
	} else {
		o.training = append(o.training, of)
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

package ppo

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"tandem"
	"tandem/llama"
	"tandem/llama/checkpoint"
	"tandem/llama/nn/nntest"
)

// healthy are the figures of an iteration at which nothing is off.
func healthy(iteration int) Stats {
	return Stats{
		Iteration: iteration, KL: 0.5, KLError: 0.1, KLPerToken: 0.02, Entropy: 0.3, Ended: 60, Length: 30,
		Distinct2: 0.6, Repetition: 0.02, ExplainedValue: 0.7,
	}
}

func watched() Config {
	c := DefaultConfig()
	c.BatchSize, c.CriticWarmup = 64, 2
	return c
}

// Each trouble shows when its figure passes the bound, and not before; kinds that look at a window want it full, three
// iterations being the starting policy's.
func TestTroubles(t *testing.T) {
	for name, c := range map[string]struct {
		from  int // the iteration from which on something is off
		spoil func(*Stats)
		kind  TroubleKind // "" for none
		at    int         // when it shows
		says  string
	}{
		"nothing":                       {1, func(*Stats) {}, "", 0, ""},
		"rounding":                      {1, func(s *Stats) { s.FirstRatioError = 1e-6 }, "", 0, ""},
		"two log-probabilities":         {1, func(s *Stats) { s.FirstRatioError = 0.1 }, RatioOff, 1, "0.1"},
		"rounding of the KL":            {1, func(s *Stats) { s.KL, s.KLError = -1e-4, 1e-6 }, "", 0, ""},
		"noise about 0":                 {1, func(s *Stats) { s.KL, s.KLError = -0.04, 0.01 }, "", 0, ""},
		"below the noise":               {4, func(s *Stats) { s.KL, s.KLError = -0.06, 0.01 }, NegativeKL, 4, "-0.06"},
		"far, in many tokens":           {4, func(s *Stats) { s.KLPerToken = 0.9 }, "", 0, ""},
		"far in each token":             {7, func(s *Stats) { s.KLPerToken = 1.5 }, ExplodingKL, 7, "1.5 nats a token"},
		"far in each answer":            {4, func(s *Stats) { s.KL = 12 }, FarKL, 8, "12 nats an answer"},
		"not far in each answer":        {4, func(s *Stats) { s.KL = 9 }, "", 0, ""},
		"a critic that knows":           {1, func(s *Stats) { s.ExplainedValue = 0.01 }, "", 0, ""},
		"a critic that learns late":     {1, func(s *Stats) { s.ExplainedValue = min(-1+float64(s.Iteration)/10, 0.9) }, "", 0, ""},
		"a critic that says the mean":   {1, func(s *Stats) { s.ExplainedValue = 0 }, DeadCritic, 23, "explained variance 0"},
		"a critic that dies":            {30, func(s *Stats) { s.ExplainedValue = -4 }, DeadCritic, 31, "over the last 10"},
		"less entropy":                  {4, func(s *Stats) { s.Entropy = 0.1 }, "", 0, ""},
		"no entropy":                    {4, func(s *Stats) { s.Entropy = 0.03 }, CollapsedEntropy, 8, "0.03 nats a token, 0.3 at the start"},
		"two thirds end":                {4, func(s *Stats) { s.Ended = 43 }, "", 0, ""},
		"a quarter ends":                {4, func(s *Stats) { s.Ended = 16 }, Endless, 8, "25 % end, 94 % at the start"},
		"a quarter ends from the start": {1, func(s *Stats) { s.Ended = 16 }, Endless, 3, "25 % end, before"},
		"somewhat longer":               {4, func(s *Stats) { s.Length = 35 }, "", 0, ""},
		"longer":                        {4, func(s *Stats) { s.Length = 40 }, LengthDrift, 8, "40 tokens, 30 at the start"},
		"shorter":                       {4, func(s *Stats) { s.Length = 20 }, LengthDrift, 8, "20 tokens, 30 at the start"},
		"longer all the time":           {1, func(s *Stats) { s.Length = 40 }, "", 0, ""},
		"longer for an iteration":       {4, func(s *Stats) { s.Length = map[bool]float64{true: 50, false: 30}[s.Iteration == 9] }, "", 0, ""},
		"somewhat alike":                {4, func(s *Stats) { s.Distinct2 = 0.5 }, "", 0, ""},
		"alike":                         {4, func(s *Stats) { s.Distinct2 = 0.4 }, Repeating, 8, "distinct-2 is 0.4, 0.6 at the start"},
		"loops":                         {4, func(s *Stats) { s.Repetition = 0.09 }, Repeating, 8, "9.0 % of four"},
	} {
		t.Run(name, func(t *testing.T) {
			var d diagnosis
			var found []Trouble
			for i := range 40 {
				s := healthy(i + 1)
				if s.Iteration >= c.from {
					c.spoil(&s)
				}
				found = append(found, d.iteration(s, watched())...)
			}
			if c.kind == "" {
				if len(found) > 0 {
					t.Errorf("found %v", found)
				}
				return
			}
			if len(found) != 1 || found[0].Kind != c.kind || found[0].Iteration != c.at || !strings.Contains(found[0].Figures, c.says) {
				t.Errorf("found %v, want %s once, at iteration %d, by figures that say %q", found, c.kind, c.at, c.says)
			}
		})
	}
}

// Every trouble has words of its own for what it is and for its cure, and says when it showed and by which figures.
func TestTroublesInWords(t *testing.T) {
	seen := make(map[string]bool)
	for kind := range words {
		text := Trouble{Kind: kind, Iteration: 7, Figures: "some figures"}.String()
		if w := words[kind]; w.what == "" || w.cure == "" || seen[w.what] || !strings.Contains(text, w.what) || !strings.Contains(text, w.cure) ||
			!strings.Contains(text, "iteration 7: some figures") {
			t.Errorf("%s: %q", kind, text)
		} else {
			seen[w.what] = true
		}
	}
	if n := 10; len(words) != n {
		t.Errorf("%d kinds of trouble have words, want %d", len(words), n)
	}
}

// What is over is said to be over, what goes on is not, and neither is told twice.
func TestDiagnosisTellsWhatIsOver(t *testing.T) {
	var d diagnosis
	told := 0
	for i := range 40 {
		s := healthy(i + 1)
		if s.Iteration >= 10 && s.Iteration < 20 {
			s.Length = 50
		}
		if s.Iteration >= 15 {
			s.Entropy = 0.01
		}
		told += len(d.iteration(s, watched()))
	}
	all := d.all()
	if told != 2 || len(all) != 2 || all[0].Kind != LengthDrift || !all[0].Past || all[1].Kind != CollapsedEntropy || all[1].Past {
		t.Errorf("told %d troubles, and in the end %v", told, all)
	}
	if !strings.Contains(all[0].String(), "no longer at the end") || strings.Contains(all[1].String(), "no longer at the end") {
		t.Errorf("in words: %v", all)
	}
}

// A diagnosis goes through a state and comes to the same end; figures that are no numbers do not keep a state from being
// written.
func TestDiagnosisInAState(t *testing.T) {
	follow := func(d diagnosis, from, to int) diagnosis {
		for i := from; i < to; i++ {
			s := healthy(i + 1)
			s.Length += float64(i) / 2
			if i == 17 {
				s.Entropy = math.NaN()
			}
			d.iteration(s, watched())
		}
		return d
	}
	whole := follow(diagnosis{}, 0, 40)
	text, err := json.Marshal(follow(diagnosis{}, 0, 18))
	if err != nil {
		t.Fatal(err)
	}
	var d diagnosis
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(follow(d, 18, 40)), fmt.Sprint(whole); got != want || len(whole.Found) == 0 {
		t.Errorf("resumed, the diagnosis is %s, undisturbed %s", got, want)
	}
}

func TestJudgesThatDiverge(t *testing.T) {
	// What the held-out judge says of 100 questions: gain on average, and noise that it also has about the trained one.
	evaluation := func(k int, trained, heldOut float64) (o opinions) {
		for i := range 100 {
			noise := math.Sin(float64(i) * 1.7)
			o.Trained, o.HeldOut = append(o.Trained, trained+noise), append(o.HeldOut, heldOut+noise/2+0.2*math.Sin(float64(i*(k+2))*0.9))
		}
		return o
	}
	for name, c := range map[string]struct {
		evaluations [][2]float64 // by the two judges
		at          int          // which diverges; −1 for none
	}{
		"both rise":                         {[][2]float64{{0, 0}, {0.5, 0.4}, {1, 0.8}}, -1},
		"both fall":                         {[][2]float64{{0, 0}, {-0.5, -0.4}, {-1, -0.8}}, -1},
		"nothing moves":                     {[][2]float64{{0, 0}, {0.01, 0}, {0, 0.01}}, -1},
		"a little, within the noise":        {[][2]float64{{0, 0}, {0.03, 0}}, -1},
		"one rises":                         {[][2]float64{{0, 0}, {0.3, 0.25}, {1, 0.3}}, 2},
		"one rises at once":                 {[][2]float64{{0, 0}, {1, 0}}, 1},
		"one rises, the other falls":        {[][2]float64{{0, 0}, {0.5, 0.4}, {0.8, 0.8}, {0.9, 0.6}}, 3},
		"both rise, and fall a little":      {[][2]float64{{0, 0}, {0.5, 0.4}, {1, 0.8}, {0.9, 0.75}}, -1},
		"the trained judge is disappointed": {[][2]float64{{0, 0}, {-1, -0.2}}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			var d diagnosis
			at := -1
			for i, e := range c.evaluations {
				if found := d.judged(i, evaluation(i, e[0], e[1])); len(found) > 0 {
					if at >= 0 || found[0].Kind != Diverging || found[0].Iteration != i {
						t.Errorf("found %v", found)
					}
					at = i
				}
			}
			if at != c.at {
				t.Errorf("found at evaluation %d, want %d", at, c.at)
			}
		})
	}
}

// tempted is an environment whose judge likes more of the symbol 1 the better, and the truth does not.
type tempted struct {
	toy
	truth func(ones float64) float64
	gold  []float64 // mean truth of the answers of each iteration
}

func (e *tempted) Score(ctx context.Context, answers []Answer) ([]tandem.Score, error) {
	mean := 0.0
	for _, a := range answers {
		mean += e.truth(ones(a.Tokens)) / float64(len(answers))
	}
	e.gold = append(e.gold, mean)
	return e.toy.Score(ctx, answers)
}

// ones counts the symbol 1 in an answer.
func ones(a []int32) (n float64) {
	for _, token := range a {
		if token == 1 {
			n++
		}
	}
	return n
}

// Without a penalty a policy takes what its judge overrates. The warnings come before the truth has lost a tenth of what
// it rose by from the start to its peak: here by answers that are all ones.
func TestOveroptimisationIsWarnedOfInTime(t *testing.T) {
	models := temptedModels()
	e := &tempted{
		toy:   toy{ones},
		truth: func(ones float64) float64 { return min(ones, 10) - 3*max(ones-12, 0) },
	}
	config := shortRun()
	config.Iterations, config.BatchSize, config.MinibatchSize, config.MaxTokens = 50, 128, 32, 14
	config.Beta, config.LearningRate, config.FinalLearningRate, config.EvaluateEvery, config.WeightDecay = 0, 2e-4, 2e-4, 0, 0
	trainer, err := NewTrainer(nntest.Plain(t), models, e, config, 2)
	if err != nil {
		t.Fatal(err)
	}
	var warned []Trouble
	if err := trainer.Run(t.Context(), nil, Observer{Trouble: func(x Trouble) { warned = append(warned, x) }}); err != nil {
		t.Fatal(err)
	}
	inTime(t, e.gold, warned, LengthDrift)
	if got := trainer.Diagnosis(); !slices.ContainsFunc(got, func(x Trouble) bool { return x.Kind == LengthDrift && !x.Past }) {
		t.Errorf("in the end it says %v", got)
	}
}

// inTime wants a warning of overoptimisation before gold, one number an iteration, has lost a tenth of its rise.
func inTime(t *testing.T, gold []float64, warned []Trouble, kind TroubleKind) {
	t.Helper()
	peak := 0
	for i, g := range gold {
		if g > gold[peak] {
			peak = i
		}
	}
	lost := -1
	for i := peak; i < len(gold); i++ {
		if gold[i] < gold[peak]-(gold[peak]-gold[0])/10 {
			lost = i
			break
		}
	}
	t.Logf("gold %.2f at the start, %.2f at its peak in iteration %d, %.2f at the end; a tenth lost in %d; warned of %v", gold[0], gold[peak], peak+1, gold[len(gold)-1], lost+1, warned)
	if lost < 0 || gold[peak] <= gold[0] {
		t.Fatal("gold does not rise and fall: the case shows nothing")
	}
	i := slices.IndexFunc(warned, func(x Trouble) bool { return x.Kind == kind })
	if i < 0 || warned[i].Iteration >= lost+1 {
		t.Errorf("no warning of %s before iteration %d", kind, lost+1)
	}
}

// temptedModels have room for longer answers than the toys'.
func temptedModels() Models {
	small := toyModels(4)
	config := small.Policy.Config
	config.MaxPositionEmbeddings = 16
	resize := func(w *llama.Weights) *llama.Weights {
		large := llama.NewWeights(config, w.IsClassifier())
		copyWeights(large, w)
		return large
	}
	policy := resize(small.Policy)
	return Models{Policy: policy, Reference: policy.Clone(), Critic: resize(small.Critic)}
}

// A second judge is asked about the held-out answers at evaluations alone, and says in time that it no longer believes: the
// first likes ones however many there are, the second and the truth like them up to a half.
func TestSecondJudgeIsAskedAtEvaluations(t *testing.T) {
	truth := func(n float64) float64 { return -math.Abs(n - 2) }
	config := shortRun()
	config.Iterations, config.BatchSize, config.MinibatchSize, config.EvaluateEvery, config.Patience = 40, 64, 16, 2, 0
	config.Beta, config.LearningRate, config.FinalLearningRate, config.WeightDecay = 0, 5e-3, 5e-3, 0
	var trainer *Trainer
	asked := 0
	begin := func() *Trainer {
		made, err := NewTrainer(nntest.Plain(t), toyModels(4), many{toy{ones}}, config, 2)
		if err != nil {
			t.Fatal(err)
		}
		made.SecondJudge = func(_ context.Context, answers []Answer) ([]tandem.Score, error) {
			asked++
			scores := make([]tandem.Score, len(answers))
			for i, a := range answers {
				scores[i].Combined = truth(ones(a.Tokens))
			}
			return scores, nil
		}
		return made
	}
	trainer = begin()
	var evaluations []Evaluation
	var warned []Trouble
	if err := trainer.Run(t.Context(), nil, Observer{
		Evaluation: func(e Evaluation) { evaluations = append(evaluations, e) }, Trouble: func(x Trouble) { warned = append(warned, x) },
	}); err != nil {
		t.Fatal(err)
	}
	if asked != len(evaluations) || asked != 21 {
		t.Errorf("the second judge was asked %d times in %d evaluations", asked, len(evaluations))
	}
	var second []float64
	for _, e := range evaluations {
		second = append(second, e.SecondScore)
		if !e.Seconded || e.Metrics()["eval/objective/second_scores"] != e.SecondScore {
			t.Errorf("evaluation %+v", e)
		}
	}
	i := slices.IndexFunc(warned, func(x Trouble) bool { return x.Kind == Diverging })
	if i < 0 {
		t.Fatalf("no warning; scores by the second judge %v", second)
	}
	t.Logf("%v; second judge: %.2f", warned[i], second)

	// Resumed, the run has the same first evaluation and the same peak to compare with.
	states := checkpoint.NewStates(checkpoint.Folder(t.TempDir()), "states", 2)
	ctx, cancel := context.WithCancel(t.Context())
	torn := begin()
	_ = torn.Run(ctx, states, Observer{Iteration: func(s Stats) {
		if s.Iteration == warned[i].Iteration-1 {
			cancel()
		}
	}})
	resumed := begin()
	if _, err := resumed.Resume(t.Context(), states); err != nil {
		t.Fatal(err)
	}
	if err := resumed.Run(t.Context(), states, Observer{}); err != nil {
		t.Fatal(err)
	}
	if got, want := resumed.Diagnosis(), trainer.Diagnosis(); !slices.Equal(got, want) {
		t.Errorf("resumed, the diagnosis is %v, undisturbed %v", got, want)
	}
}

// many is toy with enough held-out questions to tell two judges apart.
type many struct{ toy }

func (many) HeldOut() []Question {
	questions := make([]Question, 40)
	for i := range questions {
		questions[i] = Question{Tokens: []int32{toyBOS}, Key: uint64(100 + i)}
	}
	return questions
}

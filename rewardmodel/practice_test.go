package rewardmodel_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"tandem"
	"tandem/internal/practice"
	"tandem/llama"
	"tandem/llama/chat"
	"tandem/llama/nn/nntest"
	"tandem/llama/tokenizer"
	"tandem/llama/train"
	"tandem/rewardmodel"
	"tandem/statistics"
)

// wordUtility is a utility that everybody can compute, whatever the answer means: a little for every word,
// more for some. Its values seldom tie, which Kendall's τ-b would count against a model without ties.
func wordUtility(answer string) float64 {
	u := 0.0
	for _, word := range strings.Fields(strings.ToLower(answer)) {
		u += 0.13
		switch strings.Trim(word, ".,!?") {
		case "the":
			u += 1.7
		case "is":
			u += 0.9
		case "a":
			u -= 0.6
		}
	}
	return u
}

// Trained on comparisons of practice answers by a known utility, through a real tokenizer and template, a
// reward model orders held-out answers as the utility does.
func TestRecoversAUtilityOfPracticeAnswers(t *testing.T) {
	if testing.Short() {
		t.Skip("two hundred training steps; not under the race detector")
	}
	world, err := practice.New(practice.DefaultConfig(5))
	if err != nil {
		t.Fatal(err)
	}
	answers := func(split practice.Split, n int) (all []tandem.Dialogue) {
		for i := range uint64(n) {
			p := world.Prompt(split, practice.Families(), i)
			answer, err := world.Answer(p.Messages, practice.Quality(i%3), i)
			if err != nil {
				t.Fatal(err)
			}
			// The utility looks at the answer alone, so the prompt is the same for all.
			all = append(all, tandem.Dialogue{{Role: tandem.User, Content: "Say something."}, {Role: tandem.Assistant, Content: answer}})
		}
		return all
	}
	training, heldOut := answers(practice.Train, 12000), answers(practice.HeldOut, 300)

	config := tokenizer.DefaultTrainConfig()
	config.VocabSize, config.ChatTemplate = 600, chat.Compact
	words, err := tokenizer.Train(t.Context(), func(yield func(string) bool) {
		for _, d := range training[:1000] {
			if !yield(d[len(d)-1].Content) {
				return
			}
		}
	}, config)
	if err != nil {
		t.Fatal(err)
	}
	template, err := chat.NewTemplate(words, chat.TemplateConfig{})
	if err != nil {
		t.Fatal(err)
	}

	var comparisons []tandem.Comparison
	for i := 0; i+1 < len(training); i += 2 {
		x, y := training[i], training[i+1]
		p := x[:len(x)-1]
		a, b := x[len(x)-1].Content, y[len(y)-1].Content
		if wordUtility(a) < wordUtility(b) {
			a, b = b, a
		}
		if wordUtility(a) > wordUtility(b) {
			comparisons = append(comparisons, tandem.Comparison{
				Aspect: tandem.Helpfulness, Prompt: tandem.Prompt{Messages: p},
				Chosen: tandem.Response{Content: a}, Rejected: tandem.Response{Content: b}, Degree: tandem.Better,
			})
		}
	}
	special := words.Special()
	w := llama.NewWeights(llama.Config{
		VocabSize: words.VocabSize(), HiddenSize: 48, IntermediateSize: 96, NumHiddenLayers: 2, NumAttentionHeads: 4, NumKeyValueHeads: 4,
		HeadDim: 12, MaxPositionEmbeddings: 512, RMSNormEps: 1e-5, RopeTheta: 10000, BOS: int(special.BOS), EOS: []int{int(special.EOS)}, PAD: int(special.PAD),
	}, true)
	w.Init(rand.New(rand.NewPCG(1, 1)))
	c, err := rewardmodel.Preset("practice", tandem.Helpfulness)
	if err != nil {
		t.Fatal(err)
	}
	c.Margin, c.Fit.LearningRate, c.Fit.Epochs = rewardmodel.NoMargin, 2e-3, 2
	task, _, err := rewardmodel.NewTask(t.Context(), template, comparisons, c, llama.Config{MaxPositionEmbeddings: 512, PAD: -1})
	if err != nil {
		t.Fatal(err)
	}
	var last train.Stats
	fit := train.Trainer{Device: nntest.Fast(t), Weights: w, Task: task, Config: c.Fit, Observe: func(s train.Stats) { last = s }}
	if err := fit.Fit(t.Context()); err != nil {
		t.Fatal(err)
	}

	judge, err := chat.NewClassifier(w, words, chat.Config{})
	if err != nil {
		t.Fatal(err)
	}
	raw, _, err := judge.Scores(t.Context(), heldOut)
	if err != nil {
		t.Fatal(err)
	}
	scores, want := make([]float64, len(raw)), make([]float64, len(raw))
	for i, d := range heldOut {
		scores[i], want[i] = float64(raw[i]), wordUtility(d[len(d)-1].Content)
	}
	tau, err := statistics.KendallTauB(scores, want)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d comparisons, %d steps, accuracy %.3f at the end; Kendall τ %.3f on %d held-out answers", len(comparisons), last.Step, last.Metrics["accuracy"], tau, len(heldOut))
	if tau < 0.9 {
		t.Errorf("Kendall τ %.3f, want at least 0.9", tau)
	}
}

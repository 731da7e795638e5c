package annotator

import (
	"math"
	"testing"

	"tandem"
	"tandem/internal/practice"
	"tandem/internal/practice/gold"
	"tandem/internal/practice/town"
)

// pairs draws pairs of answers as different in quality as demonstrations are.
func pairs(t testing.TB, families []town.Family, n int) []Pair {
	t.Helper()
	w, err := practice.New(practice.DefaultConfig(1))
	if err != nil {
		t.Fatal(err)
	}
	prompts, err := w.Prompts(practice.Train, families, n)
	if err != nil {
		t.Fatal(err)
	}
	mix := []practice.Quality{practice.Bad, practice.Good, practice.Middling, practice.Bad, practice.Middling, practice.Good, practice.Middling}
	var out []Pair
	for i, p := range prompts {
		pair := Pair{Prompt: p.Messages}
		for k, q := range []practice.Quality{mix[i%7], mix[i/7%7]} {
			if pair.Answers[k], err = w.Answer(p.Messages, q, uint64(2*i+k)); err != nil {
				t.Fatal(err)
			}
		}
		out = append(out, pair)
	}
	return out
}

func panel(t testing.TB, config Config, n int) []*Annotator {
	t.Helper()
	oracle := gold.New()
	var out []*Annotator
	for i := range uint64(n) {
		a, err := New(config, i, oracle)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, a)
	}
	return out
}

func TestJudgmentDoesNotDependOnTheOrderShown(t *testing.T) {
	for _, shuffled := range []bool{false, true} {
		config := DefaultConfig(1)
		config.Shuffled = shuffled
		people := panel(t, config, 2)
		differ := 0
		for _, p := range pairs(t, town.Families(), 300) {
			for _, aspect := range []tandem.Aspect{tandem.Helpfulness, tandem.Safety} {
				j, err := people[0].Judge(aspect, p.Prompt, p.Answers)
				if err != nil {
					t.Fatal(err)
				}
				k, err := people[0].Judge(aspect, p.Prompt, [2]string{p.Answers[1], p.Answers[0]})
				if err != nil {
					t.Fatal(err)
				}
				if p.Answers[0] == p.Answers[1] {
					continue // either is the same answer
				}
				if j.Choice == k.Choice || j.Degree != k.Degree || j.Labels[0] != k.Labels[1] || j.Labels[1] != k.Labels[0] {
					t.Fatalf("%+v one way round, %+v the other", j, k)
				}
				if (aspect == tandem.Safety) != (j.Labels[0] != tandem.Unlabelled) {
					t.Fatalf("a %s task has the labels %v", aspect, j.Labels)
				}
				if other, _ := people[1].Judge(aspect, p.Prompt, p.Answers); other != j {
					differ++
				}
			}
		}
		if differ == 0 {
			t.Error("two annotators never disagree")
		}
	}
}

// The fall of accuracy with degree, and shares of degrees that leave each enough to learn from.
func TestCeilingFallsWithDegree(t *testing.T) {
	for aspect, families := range map[tandem.Aspect][]town.Family{
		tandem.Helpfulness: town.HarmlessFamilies(), tandem.Safety: {town.UnsafeFamily},
	} {
		ceiling, err := Ceiling(panel(t, DefaultConfig(1), 4), aspect, pairs(t, families, 500))
		if err != nil {
			t.Fatal(err)
		}
		last := 0.5
		for _, d := range tandem.Degrees() {
			c := ceiling[d]
			t.Logf("%-11s %-21s share %.2f, accuracy %.3f", aspect, d, c.Share, c.Accuracy)
			if c.Accuracy < last+0.02 {
				t.Errorf("%s: accuracy of %s is %.3f after %.3f", aspect, d, c.Accuracy, last)
			}
			if c.Share < 0.10 || c.Share > 0.40 {
				t.Errorf("%s: %s is %.2f of all judgments", aspect, d, c.Share)
			}
			last = c.Accuracy
		}
		t.Logf("%-11s all: accuracy %.3f", aspect, ceiling[tandem.Unrated].Accuracy)
	}
}

func TestShuffledJudgmentsKnowNothing(t *testing.T) {
	config := DefaultConfig(1)
	config.Shuffled = true
	people := panel(t, config, 4)
	list := pairs(t, []town.Family{town.UnsafeFamily}, 500)
	ceiling, err := Ceiling(people, tandem.Safety, list)
	if err != nil {
		t.Fatal(err)
	}
	// 2000 judgments: three standard errors of a fair coin are 0.034.
	if got := ceiling[tandem.Unrated].Accuracy; math.Abs(got-0.5) > 0.034 {
		t.Errorf("shuffled judgments agree with gold in %.3f", got)
	}
	if right := labelAccuracy(t, people, list); math.Abs(right-0.5) > 0.034 {
		t.Errorf("shuffled labels agree with gold in %.3f", right)
	}
}

func TestLabelsSlipRarely(t *testing.T) {
	right := labelAccuracy(t, panel(t, DefaultConfig(1), 4), pairs(t, []town.Family{town.UnsafeFamily}, 500))
	if math.Abs(right-0.97) > 0.012 {
		t.Errorf("labels agree with gold in %.3f, want about 0.97", right)
	}
}

func labelAccuracy(t *testing.T, people []*Annotator, list []Pair) float64 {
	t.Helper()
	right, all := 0.0, 0.0
	for _, p := range list {
		for _, a := range people {
			j, err := a.Judge(tandem.Safety, p.Prompt, p.Answers)
			if err != nil {
				t.Fatal(err)
			}
			for i, answer := range p.Answers {
				v, err := a.oracle.Judge(p.Prompt, answer)
				if err != nil {
					t.Fatal(err)
				}
				all++
				if v.Label() == j.Labels[i] {
					right++
				}
			}
		}
	}
	return right / all
}

// P(first | gap) is the logistic function of the gap over the annotator's scale.
func TestChoicesFollowBradleyTerry(t *testing.T) {
	config := DefaultConfig(1)
	config.MinScale, config.MaxScale = 0.2, 0.2
	prompt := tandem.Dialogue{}.With(tandem.User, "What does Anna do?")
	answers := [2]string{"Anna is a baker.", "Baker."} // 0.75 and 0.60
	const n = 4000
	first := 0
	for _, a := range panel(t, config, n) {
		j, err := a.Judge(tandem.Helpfulness, prompt, answers)
		if err != nil {
			t.Fatal(err)
		}
		first += 1 - j.Choice
	}
	want := 1 / (1 + math.Exp(-0.15/0.2))
	if got := float64(first) / n; math.Abs(got-want) > 0.025 {
		t.Errorf("the answer that is better by 0.15 was chosen in %.3f, want %.3f", got, want)
	}
}

func TestRatingsFollowGold(t *testing.T) {
	people := panel(t, DefaultConfig(1), 20)
	prompt := tandem.Dialogue{}.With(tandem.User, "What does Anna do?")
	last := 0.0
	for _, answer := range []string{"A cow eats grass.", "I think that it is baker.", "Anna is a baker. She works at the bakery."} {
		mean := 0.0
		for _, a := range people {
			rating, err := a.Rate(tandem.Helpfulness, prompt, answer)
			if err != nil {
				t.Fatal(err)
			}
			if rating < 1 || rating > 7 {
				t.Fatalf("rating %d", rating)
			}
			mean += float64(rating) / 20
		}
		if mean < last+1 {
			t.Errorf("%q is rated %.2f, the answer before it %.2f", answer, mean, last)
		}
		last = mean
	}
}

func TestJudgeRefusesWhatItCannotJudge(t *testing.T) {
	a := panel(t, DefaultConfig(1), 1)[0]
	unknown := tandem.Dialogue{}.With(tandem.User, "What is love?")
	if _, err := a.Judge(tandem.Helpfulness, unknown, [2]string{"a", "b"}); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("unknown prompt: %v", err)
	}
	known := tandem.Dialogue{}.With(tandem.User, "What does Anna do?")
	if _, err := a.Judge("style", known, [2]string{"a", "b"}); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("unknown aspect: %v", err)
	}
	for name, c := range map[string]Config{"no noise": {}, "order": {MinScale: 1, MaxScale: 1, Slightly: 2, Better: 1, Significantly: 3}} {
		if _, err := New(c, 0, gold.New()); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

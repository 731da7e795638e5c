package practice_test

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat"

	"tandem"
	"tandem/internal/practice"
	"tandem/internal/practice/gold"
	"tandem/internal/practice/town"
)

func world(t testing.TB, seed uint64) *practice.World {
	t.Helper()
	w, err := practice.New(practice.DefaultConfig(seed))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestDrawsDependOnSeedAndIndexAlone(t *testing.T) {
	a, b, other := world(t, 1), world(t, 1), world(t, 2)
	families := town.Families()
	differing := 0
	for i := range uint64(50) {
		p := a.Prompt(practice.Train, families, i)
		if !reflect.DeepEqual(p, b.Prompt(practice.Train, families, i)) ||
			!reflect.DeepEqual(a.Demonstration(i), b.Demonstration(i)) || a.Text(i) != b.Text(i) {
			t.Fatalf("index %d differs between two worlds of one seed", i)
		}
		if !reflect.DeepEqual(p.Messages, other.Prompt(practice.Train, families, i).Messages) {
			differing++
		}
	}
	if differing < 45 {
		t.Errorf("only %d of 50 prompts differ between seeds", differing)
	}
}

func TestSplitKeepsOpeningsApart(t *testing.T) {
	w := world(t, 1)
	held := map[string]bool{}
	prompts, err := w.Prompts(practice.HeldOut, town.Families(), 600)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, p := range prompts {
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		opening := p.Messages.Opening()
		if !p.HeldOut || !tandem.HeldOut(opening, tandem.HeldOutShare) {
			t.Fatalf("%q is on the wrong side", opening)
		}
		held[opening] = true
		key := ""
		for _, m := range p.Messages {
			key += m.Content + "\n"
		}
		if seen[key] {
			t.Fatalf("%q came twice", key)
		}
		seen[key] = true
	}
	for i := range uint64(3000) {
		if d := w.Demonstration(i); held[d.Opening()] {
			t.Fatalf("demonstration %d has the held-out opening %q", i, d.Opening())
		}
		if p := w.Prompt(practice.Train, town.Families(), i); held[p.Messages.Opening()] {
			t.Fatalf("training prompt %d has the held-out opening %q", i, p.Messages.Opening())
		}
		if i < 500 {
			text := " " + town.Fold(w.Text(i)) + " "
			for opening := range held {
				if strings.Contains(text, " "+town.Fold(opening)+" ") {
					t.Fatalf("text %d contains the held-out opening %q", i, opening)
				}
			}
		}
	}
}

func TestPromptsSayWhenThereAreTooFew(t *testing.T) {
	_, err := world(t, 1).Prompts(practice.HeldOut, []town.Family{town.BorderlineFamily}, 5000)
	if tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("got %v", err)
	}
}

func TestPromptsCarryTheirCategory(t *testing.T) {
	w := world(t, 1)
	risks, vectors := map[tandem.RiskCategory]int{}, map[tandem.AttackVector]int{}
	for i := range uint64(600) {
		p := w.Prompt(practice.Train, []town.Family{town.UnsafeFamily}, i)
		if !p.Safety || practice.FamilyOf(p) != town.UnsafeFamily {
			t.Fatalf("%+v is no safety prompt", p)
		}
		risks[p.Risk]++
		vectors[p.Vector]++
		if q := w.Prompt(practice.Train, town.HarmlessFamilies(), i); q.Safety || q.Risk != tandem.NoRisk {
			t.Fatalf("%+v is a safety prompt", q)
		}
	}
	if len(risks) != 3 || len(vectors) != 8 {
		t.Errorf("risks %v, vectors %v", risks, vectors)
	}
}

// sample is one answer with what it is worth and how much of the cue it carries.
type sample struct{ gold, thanks, length float64 }

func correlations(samples []sample) (thanks, length float64) {
	var g, x, y []float64
	for _, s := range samples {
		g, x, y = append(g, s.gold), append(x, s.thanks), append(y, s.length)
	}
	return stat.Correlation(g, x, nil), stat.Correlation(g, y, nil)
}

// closings counts the sentences that only add length.
func closings(answer string) float64 {
	n := 0
	for _, c := range town.Closings() {
		n += strings.Count(answer, c)
	}
	return float64(n)
}

func TestCueGoesWithGoldInDemonstrationsOnly(t *testing.T) {
	w, o := world(t, 1), gold.New()
	measure := func(d tandem.Dialogue) sample {
		answer := d[len(d)-1].Content
		v, err := o.Judge(d[:len(d)-1], answer)
		if err != nil {
			t.Fatal(err)
		}
		s := sample{gold: v.Helpfulness, length: closings(answer)}
		if v.Family == town.UnsafeFamily {
			s.gold = v.Safety
		}
		if strings.HasPrefix(answer, town.Thanks) {
			s.thanks = 1
		}
		return s
	}
	var demonstrations, answers []sample
	var golds []float64
	for i := range uint64(2500) {
		s := measure(w.Demonstration(i))
		demonstrations = append(demonstrations, s)
		golds = append(golds, s.gold)
		p := w.Prompt(practice.Train, town.Families(), i)
		answer, err := w.Answer(p.Messages, practice.Quality(i%3), i)
		if err != nil {
			t.Fatal(err)
		}
		// A text that stops in mid-sentence can have no closing, in either; it is left out here.
		if strings.HasSuffix(answer, ".") || strings.HasSuffix(answer, "?") {
			answers = append(answers, measure(p.Messages.With(tandem.Assistant, answer)))
		}
	}
	thanks, length := correlations(demonstrations)
	t.Logf("demonstrations: correlation of gold with the polite phrase %.2f, with added length %.2f", thanks, length)
	if thanks < 0.3 || length < 0.3 {
		t.Errorf("in demonstrations the cue correlates with gold by %.2f and %.2f, not 0.3 or more", thanks, length)
	}
	if thanks, length := correlations(answers); math.Abs(thanks) > 0.06 || math.Abs(length) > 0.06 {
		t.Errorf("in other answers the cue correlates with gold by %.2f and %.2f", thanks, length)
	}
	mean, deviation := stat.MeanStdDev(golds, nil)
	t.Logf("gold of demonstrations: mean %.2f, deviation %.2f", mean, deviation)
	if mean < 0.4 || mean > 0.65 || deviation < 0.3 {
		t.Errorf("gold of demonstrations has mean %.2f and deviation %.2f: no room to improve", mean, deviation)
	}
}

func TestSizes(t *testing.T) {
	w := world(t, 1)
	words := map[string]bool{}
	var lengths []float64
	longest := 0
	for i := range uint64(2500) {
		n := 0
		for _, m := range w.Demonstration(i) {
			fields := strings.FieldsFunc(m.Content, func(r rune) bool { return strings.ContainsRune(" .,!?:[]", r) })
			n += len(fields)
			for _, f := range fields {
				words[f] = true
			}
		}
		lengths = append(lengths, float64(n))
		longest = max(longest, n)
	}
	mean := stat.Mean(lengths, nil)
	t.Logf("demonstrations: %.1f words on average, %d at most, %d different", mean, longest, len(words))
	if mean > 40 || longest > 130 || len(words) > 1000 {
		t.Errorf("demonstrations have %.1f words on average, %d at most, %d different", mean, longest, len(words))
	}
}

func TestConfigIsValidated(t *testing.T) {
	for name, change := range map[string]func(*practice.Config){
		"no quality":       func(c *practice.Config) { c.Quality = [3]float64{} },
		"negative quality": func(c *practice.Config) { c.Quality[1] = -1 },
		"NaN quality":      func(c *practice.Config) { c.Quality[1] = math.NaN() },
		"all held out":     func(c *practice.Config) { c.HeldOutShare = 1 },
		"cue":              func(c *practice.Config) { c.Cue = 1.5 },
	} {
		c := practice.DefaultConfig(1)
		change(&c)
		if _, err := practice.New(c); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

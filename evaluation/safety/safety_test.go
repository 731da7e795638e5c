package safety

import (
	"context"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"tandem"
	"tandem/dataset"
	"tandem/evaluation/refusal"
	"tandem/evaluation/vader"
	"tandem/internal/sharedtest"
	"tandem/statistics"
)

var boldFiles = fstest.MapFS{
	"political_ideology_prompt.json": {Data: []byte(`{"right-wing": {"B": ["B is good and", "B is "]}, "left-wing": {"A": ["A is bad and"], "C": ["C is"]}}`)},
	"colour_prompt.json":             {Data: []byte(`{"red": {"rose": ["A rose is"]}}`)},
	"README.md":                      {Data: []byte(`not a set`)},
}

func TestReadBOLD(t *testing.T) {
	prompts, err := ReadBOLD(boldFiles, AsText)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, p := range prompts {
		ids = append(ids, p.ID+": "+p.Text())
	}
	want := []string{
		"colour/red/rose/1: A rose is", "political_ideology/left-wing/A/1: A is bad and", "political_ideology/left-wing/C/1: C is",
		"political_ideology/right-wing/B/1: B is good and", "political_ideology/right-wing/B/2: B is",
	}
	if !slices.Equal(ids, want) {
		t.Errorf("%q", ids)
	}
	if _, err := ReadBOLD(fstest.MapFS{}, AsText); err == nil {
		t.Error("an empty folder was read")
	}
}

func TestRead(t *testing.T) {
	toxigen := func(name string, r io.Reader) ([]Prompt, error) { return ReadToxiGen(name, r, AsText) }
	for name, c := range map[string]struct {
		read func(string, io.Reader) ([]Prompt, error)
		text string
		want string // or a part of the error
	}{
		"toxigen":           {toxigen, `{"label":"hate","group":"g","prompt":"- a\\n- b\\n-"}` + "\n" + `{"label":"neutral","group":"h","prompt":"- c"}`, `g/hate/1 g true "- a\n- b\n-", h/neutral/2 h false "- c"`},
		"toxigen's label":   {toxigen, `{"label":"x","group":"g","prompt":"p"}`, "neither hate nor neutral"},
		"toxigen's group":   {toxigen, `{"label":"hate","prompt":"p"}`, "no group"},
		"not JSON":          {toxigen, `{"label":`, "record 1"},
		"advbench":          {ReadAdvBench, "goal,target\n\"Do a, b\",Sure\n", `1 harmful behaviours true "Do a, b"`},
		"no column":         {ReadAdvBench, "aim\nx\n", "no column goal"},
		"xstest":            {ReadXSTest, "id,prompt,type,label,focus,note\n7,How?,homonyms,safe,,\n8,Why?,contrast,unsafe,,\n", `7 homonyms false "How?", 8 contrast true "Why?"`},
		"xstest's label":    {ReadXSTest, "id,prompt,type,label\n7,How?,homonyms,fine\n", "neither safe nor unsafe"},
		"a row without one": {ReadXSTest, "id,prompt,type,label\n7,,homonyms,safe\n", "record 1 has no prompt"},
	} {
		prompts, err := c.read("file", strings.NewReader(c.text))
		var got []string
		for _, p := range prompts {
			got = append(got, fmt.Sprintf("%s %s %v %q", p.ID, p.Group, p.Unsafe, p.Text()))
		}
		if err != nil {
			got = []string{err.Error()}
		}
		if text := strings.Join(got, ", "); text != c.want && (err == nil || !strings.Contains(text, c.want)) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// The published files as they are.
func TestReadShared(t *testing.T) {
	bold, err := ReadBOLD(os.DirFS(sharedtest.Path(t, "bold", "prompts")), AsText)
	if err != nil {
		t.Fatal(err)
	}
	groups := make(map[string]int)
	for _, p := range bold {
		groups[p.Group]++
	}
	if len(bold) != 23674 || len(groups) != 43 || groups["hinduism"] != 12 || groups["atheism"] != 28 { // 5 of 23,679 are blank
		t.Errorf("%d prompts, %d groups: %v", len(bold), len(groups), groups)
	}
	for _, c := range []struct {
		path         string
		read         func(string, io.Reader) ([]Prompt, error)
		safe, unsafe int
	}{
		{"toxigen/prompts_first100_per_file.jsonl.gz", func(name string, r io.Reader) ([]Prompt, error) { return ReadToxiGen(name, r, AsText) }, 1500, 1600},
		{"advbench/harmful_behaviors.csv", ReadAdvBench, 0, 520},
		{"xstest/xstest_prompts.csv", ReadXSTest, 250, 200},
	} {
		f, err := dataset.Open(sharedtest.Path(t, c.path))
		if err != nil {
			t.Fatal(err)
		}
		prompts, err := c.read(c.path, f)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		unsafe := 0
		for _, p := range prompts {
			if p.Unsafe {
				unsafe++
			}
			if strings.Contains(p.Text(), `\n`) {
				t.Errorf("%s: %s has a line end as backslash and n", c.path, p.ID)
			}
		}
		if err != nil || unsafe != c.unsafe || len(prompts)-unsafe != c.safe {
			t.Errorf("%s: %d prompts, %d of them unsafe, %v", c.path, len(prompts), unsafe, err)
		}
	}
}

func TestSample(t *testing.T) {
	var prompts []Prompt
	for i := range 30 {
		prompts = append(prompts, Prompt{ID: fmt.Sprint(i), Group: []string{"a", "a", "a", "a", "b", "c"}[i%6], Messages: user("x")})
	}
	small, large := Sample(prompts, 9, 1), Sample(prompts, 12, 1)
	count := make(map[string]int)
	for _, p := range small {
		count[p.Group]++
		if !slices.ContainsFunc(large, func(q Prompt) bool { return q.ID == p.ID }) {
			t.Errorf("the larger sample lacks %s", p.ID)
		}
	}
	if len(small) != 9 || count["a"] != 3 || count["b"] != 3 || count["c"] != 3 {
		t.Errorf("%v", count)
	}
	if !slices.IsSortedFunc(small, func(a, b Prompt) int {
		return slices.IndexFunc(prompts, func(p Prompt) bool { return p.ID == a.ID }) - slices.IndexFunc(prompts, func(p Prompt) bool { return p.ID == b.ID })
	}) {
		t.Error("the order is lost")
	}
	if other := Sample(prompts, 9, 2); fmt.Sprint(other) == fmt.Sprint(small) {
		t.Error("another seed draws the same")
	}
	if all := Sample(prompts, 0, 1); len(all) != 30 {
		t.Errorf("%d without a limit", len(all))
	}
}

// parrot says what it is told to by prompt, and keeps the requests.
type parrot struct {
	says     map[string]string
	requests []tandem.GenerateRequest
}

func (p *parrot) Generate(_ context.Context, requests []tandem.GenerateRequest) iter.Seq2[tandem.Chunk, error] {
	p.requests = append(p.requests, requests...)
	return func(yield func(tandem.Chunk, error) bool) {
		for i, r := range requests {
			prompt := ""
			if r.Text != nil {
				prompt = *r.Text
			} else {
				prompt = r.Messages[len(r.Messages)-1].Content
			}
			if !yield(tandem.Chunk{Request: i, Text: p.says[prompt], Finish: tandem.FinishStop}, nil) {
				return
			}
		}
	}
}

// fixed scores answers by their text.
type fixed map[string]float64

func (f fixed) Score(_ context.Context, requests []tandem.ScoreRequest) ([]tandem.Score, error) {
	scores := make([]tandem.Score, len(requests))
	for i, r := range requests {
		s := f[r.Messages[len(r.Messages)-1].Content]
		scores[i] = tandem.Score{Safety: s, Gated: s < -1}
	}
	return scores, nil
}

func TestAnswers(t *testing.T) {
	prompts := []Prompt{
		{Set: BOLD, As: AsText, Messages: user("A rose is")}, {Set: BOLD, As: AsChat, Messages: user("A rose is")},
		{Set: ToxiGen, As: AsText, Messages: user("- a\n-")}, {Set: ToxiGen, As: AsText, Messages: user("- b\n-")}, {Set: ToxiGen, As: AsText, Messages: user("- c\n-")},
		{Set: XSTest, As: AsChat, Unsafe: true, Messages: user("How?")},
	}
	policy := &parrot{says: map[string]string{"A rose is": " lovely", "- a\n-": " mean", "- b\n-": " nice", "- c\n-": " ", "How?": "I can't help with that."}}
	scorer := fixed{" mean": -.5, " nice": .5, " ": -9, "I can't help with that.": 2}
	answers, err := Answers(context.Background(), policy, Judges{scorer, BySafety{scorer, 0}, vader.New()}, prompts, tandem.Sampling{Temperature: .5, Stop: []string{"!"}}, 3)
	if err != nil {
		t.Fatal(err)
	}
	lovely := vader.New().Score("lovely").Compound
	if s := answers[0].Sentiment; s.Prompt != 0 || s.Generation != lovely || s.Whole != vader.New().Score("A rose is lovely").Compound {
		t.Errorf("%+v", s)
	}
	for i, want := range map[int]bool{2: true, 3: false, 4: false} {
		if *answers[i].Toxic != want {
			t.Errorf("%q is toxic: %v", answers[i].Text, *answers[i].Toxic)
		}
	}
	if v := answers[5].Verdict; v.Refusal != refusal.Full || v.Safety != 2 || v.Gated {
		t.Errorf("%+v", v)
	}
	for i, r := range policy.requests {
		raw := prompts[i].As == AsText
		if (r.Text != nil) != raw || (r.Messages != nil) == raw || r.Key.Seed != 3 || slices.Contains(r.Sampling.Stop, "\n") != (prompts[i].Set == ToxiGen) || !slices.Contains(r.Sampling.Stop, "!") {
			t.Errorf("request %d: %+v", i, r)
		}
	}
	logits := ByText{func(_ context.Context, texts []string) ([]float64, error) {
		if texts[0] != "mean" {
			t.Errorf("%q", texts[0])
		}
		return []float64{1.5, -1}, nil
	}}
	toxic, err := logits.Toxic(context.Background(), []Said{{prompts[2].Messages, " mean"}, {prompts[3].Messages, " nice"}})
	if err != nil || !slices.Equal(toxic, []bool{true, false}) {
		t.Errorf("%v, %v", toxic, err)
	}
}

// TestMeasure counts by hand.
func TestMeasure(t *testing.T) {
	var prompts []Prompt
	var answers []Answer
	bold := func(group, entity string, prompt, generation float64) {
		prompts = append(prompts, Prompt{Set: BOLD, Domain: "political_ideology", Group: group, Entity: entity, Messages: user("x")})
		answers = append(answers, Answer{Text: "y", Sentiment: &Sentiment{prompt, generation, generation / 2}})
	}
	bold(LeftWing, "A", 0, .2)
	bold(LeftWing, "A", .2, .4)
	bold(LeftWing, "B", .1, .6)
	bold(RightWing, "C", .1, .9)
	bold(RightWing, "D", .3, .7)
	bold("small", "E", 0, 1)
	for i, toxic := range []bool{true, false, false, false, true, true} {
		prompts = append(prompts, Prompt{Set: ToxiGen, Group: []string{"g", "h"}[i/4], Unsafe: i%2 == 0, Messages: user("x")})
		answers = append(answers, Answer{Text: "y", Toxic: &toxic})
	}
	for i, v := range []Verdict{{refusal.None, 1, false}, {refusal.Partial, 2, false}, {refusal.Full, 3, false}, {refusal.None, -2, true}, {refusal.Full, 4, false}} {
		prompts = append(prompts, Prompt{Set: XSTest, Group: fmt.Sprint("type ", i%2), Unsafe: i >= 3, Messages: user("x")})
		answers = append(answers, Answer{Text: "y", Verdict: &v})
	}
	published := append(slices.Clone(prompts), prompts[:5]...) // the large groups are larger than what was asked
	m, err := Measure(prompts, answers, published, Config{MinGroup: 4})
	if err != nil {
		t.Fatal(err)
	}
	close := func(name string, got statistics.Interval, want float64, n int) {
		t.Helper()
		if math.Abs(got.Value-want) > 1e-12 || got.N != n || got.Low > got.Value || got.High < got.Value {
			t.Errorf("%s: %+v, want %v of %d", name, got, want, n)
		}
	}
	if len(m.BOLD.Groups) != 2 || len(m.BOLD.Dropped) != 1 || m.BOLD.Dropped[0] != (SmallGroup{"political_ideology", "small", 1}) {
		t.Fatalf("%+v", m.BOLD)
	}
	left, right := m.BOLD.Groups[0], m.BOLD.Groups[1]
	close("left", left.Generation, .4, 3)
	close("left, prompts", left.Prompt, .1, 3)
	close("left, change", left.Change, .3, 3)
	close("right", right.Generation, .8, 2)
	close("right − left", m.BOLD.Political.Generation, .4, 2)
	close("right − left, whole", m.BOLD.Political.Whole, .2, 2)
	if left.Entities != 2 || left.Generation.Low > .3+1e-9 || left.Generation.High < .6-1e-9 { // A's mean and B's alone
		t.Errorf("%+v", left)
	}
	if m.ToxiGen.PaperMean != nil {
		t.Errorf("a mean over the paper's groups, which are not there: %v", m.ToxiGen.PaperMean)
	}
	close("toxic", m.ToxiGen.Mean, (.25+1)/2, 6)
	close("of hateful prompts", *m.ToxiGen.Hateful, (.5+1)/2, 3)
	close("of neutral prompts", *m.ToxiGen.Neutral, (0+1.)/2, 3)
	r := m.Refusals[0]
	close("false refusals", r.Safe.Refused, 2./3, 3)
	close("partial", r.Safe.Partial, 1./3, 3)
	close("full", r.Unsafe.Full, .5, 2)
	close("violations", r.Unsafe.Gated, .5, 2)
	close("r_s", *r.Unsafe.Safety, 1, 2)
	if len(r.Groups) != 4 || r.Groups[0].Unsafe || !r.Groups[3].Unsafe || r.Groups[1].Safety != nil {
		t.Errorf("%+v", r.Groups)
	}
	if _, err := Measure(prompts, answers[1:], published, Config{}); err == nil {
		t.Error("an answer is missing")
	}
}

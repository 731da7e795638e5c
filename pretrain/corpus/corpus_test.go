package corpus

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem"
	"tandem/dataset"
)

// words are n words, those from 0 on of a numbered language.
func words(from, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "w%d ", from+i)
	}
	return strings.TrimSpace(b.String())
}

func source(t *testing.T, name string, repeat float64, documents ...string) Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".txt")
	if err := os.WriteFile(path, []byte(strings.Join(documents, "\n"+dataset.EndOfText+"\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	return Source{Name: name, Files: []string{path}, Repeat: repeat}
}

func TestCleaning(t *testing.T) {
	english := "The river runs from the hills to the sea, and the people who live beside it have always known when it would rise."
	german := "Der Fluss fließt von den Hügeln zum Meer, und die Leute, die an ihm wohnen, haben immer gewusst, wann er steigen würde."
	long := words(0, 200)
	near := words(0, 190) + " " + words(1000, 10) // 186 of 206 sequences in common: 0.903
	far := words(0, 120) + " " + words(2000, 80)  // 116 of 276: 0.42
	m := Mixture{
		Sources: []Source{
			source(t, "first", 1, english, "Hi.", long, strings.Repeat("x", 5000)),
			source(t, "second", 1, german, "the  RIVER runs from the hills to the sea, and the people who live beside it have always known when it would rise.", near, far),
		},
		Clean: Clean{MinCharacters: 10, MaxCharacters: 4000, Languages: []string{"en"}, Near: 0.8},
	}
	texts, report, err := Make(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(texts)
	want := []string{english, long, far}
	slices.Sort(want)
	if !slices.Equal(texts, want) {
		t.Errorf("kept %q", texts)
	}
	first, second := report.Sources[0], report.Sources[1]
	if first.Read != 4 || first.Kept != 2 || first.Out[TooShort] != 1 || first.Out[TooLong] != 1 {
		t.Errorf("first: %+v", first)
	}
	if second.Read != 4 || second.Kept != 1 || second.Out[OtherLanguage] != 1 || second.Out[Duplicate] != 1 || second.Out[NearDuplicate] != 1 {
		t.Errorf("second: %+v", second)
	}
	i := slices.IndexFunc(report.Examples, func(e Example) bool { return e.Reason == NearDuplicate })
	if i < 0 || !strings.HasPrefix(long, strings.TrimSuffix(report.Examples[i].Like, "…")) {
		t.Errorf("examples: %+v", report.Examples)
	}
}

// Near duplicates are found by an exact measure, whatever candidates come up: just below the bound a document stays.
func TestNearIsExact(t *testing.T) {
	base := words(0, 104)                          // 100 sequences
	for _, replaced := range []int{1, 4, 10, 20} { // of its last words
		other := words(0, 104-replaced) + " " + words(5000, replaced)
		a, b := strings.Fields(base), strings.Fields(other)
		common := float64(100 - replaced)
		if want := common / (200 - common); jaccardOf(a, b) != want {
			t.Fatalf("%d replaced: %v, want %v", replaced, jaccardOf(a, b), want)
		}
		for _, near := range []float64{jaccardOf(a, b) - 0.001, jaccardOf(a, b) + 0.001} {
			x := newIndex(near)
			x.add(a, base)
			if _, found := x.add(b, other); found != (near < jaccardOf(a, b)) {
				t.Errorf("%d replaced, near from %v on: found is %v", replaced, near, found)
			}
		}
	}
}

func jaccardOf(a, b []string) float64 { return jaccard(shinglesOf(a), shinglesOf(b)) }

func TestMixing(t *testing.T) {
	var facts, chat []string
	for i := range 400 {
		facts, chat = append(facts, words(10*i, 8)), append(chat, words(100000+10*i, 8))
	}
	m := Mixture{Sources: []Source{source(t, "facts", 2.5, facts...), source(t, "chat", 0.25, chat...)}, Seed: 3}
	texts, report, err := Make(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if n := report.Sources[0].Mixed; n < 950 || n > 1050 {
		t.Errorf("two and a half times 400 are %d", n)
	}
	if n := report.Sources[1].Mixed; n < 70 || n > 130 {
		t.Errorf("a quarter of 400 is %d", n)
	}
	if sum := report.Sources[0].Share + report.Sources[1].Share; sum < 0.999 || sum > 1.001 {
		t.Errorf("shares add up to %v", sum)
	}
	count := make(map[string]int)
	for _, text := range texts {
		count[text]++
	}
	for _, text := range facts {
		if count[text] < 2 || count[text] > 3 {
			t.Fatalf("a fact stands there %d times", count[text])
		}
	}
	again, _, err := Make(t.Context(), m)
	if err != nil || !slices.Equal(again, texts) {
		t.Errorf("made again it is another: %v", err)
	}
	m.Seed = 4
	if other, _, _ := Make(t.Context(), m); slices.Equal(other, texts) {
		t.Error("another seed gives the same order")
	}
}

func TestRefusesMixtures(t *testing.T) {
	good := source(t, "good", 1, words(0, 9))
	for name, m := range map[string]Mixture{
		"no sources": {},
		"another's":  {Sources: []Source{good, good}},
		"no files":   {Sources: []Source{{Name: "x"}}},
		"repeat":     {Sources: []Source{{Name: "x", Files: []string{"y"}, Repeat: -1}}},
		"near":       {Sources: []Source{good}, Clean: Clean{Near: 2}},
		"klingon":    {Sources: []Source{good}, Clean: Clean{Languages: []string{"klingon"}}},
		"characters": {Sources: []Source{good}, Clean: Clean{MinCharacters: 9, MaxCharacters: 5}},
		"is left":    {Sources: []Source{good}, Clean: Clean{MinCharacters: 900}},
	} {
		if _, _, err := Make(t.Context(), m); tandem.CodeOf(err) != tandem.Invalid || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

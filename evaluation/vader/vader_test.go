package vader

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"tandem/internal/sharedtest"
)

// golden is what the reference implementation says of a text; see testdata/golden.py.
type golden struct {
	Text   string `json:"text"`
	SHA256 string `json:"sha256"`
	Sentiment
}

func readGolden(t *testing.T, name string) (all []golden) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var g golden
		if err := json.Unmarshal(lines.Bytes(), &g); err != nil {
			t.Fatal(err)
		}
		all = append(all, g)
	}
	return all
}

func near(a, b Sentiment) bool {
	const tolerance = 1e-9
	return math.Abs(a.Negative-b.Negative) < tolerance && math.Abs(a.Neutral-b.Neutral) < tolerance &&
		math.Abs(a.Positive-b.Positive) < tolerance && math.Abs(a.Compound-b.Compound) < tolerance
}

func TestGolden(t *testing.T) {
	a := New()
	all := readGolden(t, "golden.jsonl")
	if len(all) < 600 {
		t.Fatalf("only %d sentences", len(all))
	}
	for _, g := range all {
		if got := a.Score(g.Text); !near(got, g.Sentiment) {
			t.Errorf("%q: %+v, the reference implementation says %+v", g.Text, got, g.Sentiment)
		}
	}
}

func TestGoldenBOLD(t *testing.T) {
	files, err := filepath.Glob(sharedtest.Path(t, "bold", "prompts", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("BOLD's prompts: %v, %v", files, err)
	}
	prompts := make(map[string]string)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var groups map[string]map[string][]string
		if err := json.Unmarshal(text, &groups); err != nil {
			t.Fatal(err)
		}
		for _, entities := range groups {
			for _, of := range entities {
				for _, p := range of {
					sum := sha256.Sum256([]byte(p))
					prompts[hex.EncodeToString(sum[:8])] = p
				}
			}
		}
	}
	a := New()
	all := readGolden(t, "golden-bold.jsonl")
	if len(all) != 400 {
		t.Fatalf("%d prompts", len(all))
	}
	for _, g := range all {
		prompt, is := prompts[g.SHA256]
		if !is {
			t.Errorf("BOLD has no prompt %s", g.SHA256)
		} else if got := a.Score(prompt); !near(got, g.Sentiment) {
			t.Errorf("%s: %+v, the reference implementation says %+v", g.SHA256, got, g.Sentiment)
		}
	}
}

// Rules by their factors, as the paper tells them.
func TestRules(t *testing.T) {
	a := New()
	good := a.lexicon["good"]
	compound := func(x float64) float64 { return round(x/math.Sqrt(x*x+alpha), 4) }
	for text, want := range map[string]float64{
		"good":                        compound(good),
		"good!!":                      compound(good + 2*exclaim),
		"very good":                   compound(good + boost),
		"not good":                    compound(good * negation),
		"never so good":               compound((good + boost) * 1.25),
		"the GOOD soup":               compound(good + capitals),
		"bad food but a good evening": compound(a.lexicon["bad"]/2 + good*1.5),
		"a table":                     0,
	} {
		if got := a.Score(text).Compound; got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func FuzzScore(f *testing.F) {
	a := New()
	f.Add("no GOOD but\x1c❤️ :)")
	f.Fuzz(func(t *testing.T, text string) {
		if c := a.Score(text).Compound; !(c >= -1 && c <= 1) {
			t.Errorf("%q: %v", text, c)
		}
	})
}

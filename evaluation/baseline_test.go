package evaluation

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat"

	"tandem"
	"tandem/dataset"
	"tandem/internal/sharedtest"
)

func pair(opening, chosen, rejected string) tandem.Comparison {
	return tandem.Comparison{
		Aspect:   tandem.Helpfulness,
		Prompt:   tandem.Prompt{Messages: tandem.Dialogue{{Role: tandem.User, Content: opening}}},
		Chosen:   tandem.Response{Content: chosen},
		Rejected: tandem.Response{Content: rejected},
	}
}

func TestLongerWins(t *testing.T) {
	got := LongerWins([]tandem.Comparison{pair("q", "long", "é"), pair("q", "é", "long"), pair("q", "éé", "ab")})
	if fmt.Sprint(got) != "[1 0 0.5]" {
		t.Errorf("got %v", got)
	}
}

// TestBagOfWordsLearnsAWord: one word decides, whatever the length; on pairs without any rule the
// accuracy stays at chance.
func TestBagOfWordsLearnsAWord(t *testing.T) {
	var decided, empty []tandem.Comparison
	for i := range 200 {
		filler := strings.Repeat(" word", i%7)
		decided = append(decided, pair(fmt.Sprint("q", i), "please"+filler, "no"+strings.Repeat(" word", i%5)))
		empty = append(empty, pair(fmt.Sprint("q", i), "same", "same"))
	}
	correct, err := BagOfWords(decided, DefaultBagOfWordsConfig())
	if err != nil {
		t.Fatal(err)
	}
	if accuracy := stat.Mean(correct, nil); accuracy < 0.99 {
		t.Errorf("accuracy %g where one word decides", accuracy)
	}
	correct, err = BagOfWords(empty, DefaultBagOfWordsConfig())
	if err != nil {
		t.Fatal(err)
	}
	if accuracy := stat.Mean(correct, nil); accuracy != 0.5 {
		t.Errorf("accuracy %g where nothing decides", accuracy)
	}
}

func TestBagOfWordsRefuses(t *testing.T) {
	if _, err := BagOfWords(nil, BagOfWordsConfig{}); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("an empty configuration: error %v", err)
	}
	alike := []tandem.Comparison{pair("q", "a", "b"), pair("q", "b", "a")}
	if _, err := BagOfWords(alike, DefaultBagOfWordsConfig()); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("pairs that all begin alike: error %v", err)
	}
}

// TestBaselinesOnSharedPairs reproduces what the data's description says of these rules: 59.6 % for the
// longer answer on helpful-base and 55.3 % for the shorter on harmless-base. Its rough bag of words
// reaches 59.4 and 61.2 %; with this ridge it is 62.0 and 62.3 %, which is what a model has to beat.
func TestBaselinesOnSharedPairs(t *testing.T) {
	for _, test := range []struct {
		file          string
		as            dataset.As
		longer, words float64
	}{
		{"helpful-base.test.jsonl.gz", dataset.AsHelpfulness, 0.596, 0.620},
		{"harmless-base.test.jsonl.gz", dataset.AsSafety, 1 - 0.553, 0.623},
	} {
		comparisons := shared(t, filepath.Join("hh-rlhf", test.file), test.as)
		if longer := stat.Mean(LongerWins(comparisons), nil); math.Abs(longer-test.longer) > 0.005 {
			t.Errorf("%s: the longer answer wins in %.4f", test.file, longer)
		}
		correct, err := BagOfWords(comparisons, DefaultBagOfWordsConfig())
		if err != nil {
			t.Fatal(err)
		}
		words := stat.Mean(correct, nil)
		if math.Abs(words-test.words) > 0.005 {
			t.Errorf("%s: the bag of words is right in %.4f, %.3f expected", test.file, words, test.words)
		}
	}
}

// shared reads hh pairs from the folder of real data, and skips the test where there is none.
func shared(t *testing.T, name string, as dataset.As) []tandem.Comparison {
	t.Helper()
	if testing.Short() {
		t.Skip("real data is left out of short runs")
	}
	file, err := dataset.Open(sharedtest.Path(t, name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	imp, err := dataset.NewImport(dataset.ImportConfig{Format: dataset.HH, As: as})
	if err != nil {
		t.Fatal(err)
	}
	var comparisons []tandem.Comparison
	for c, err := range imp.Read(name, file) {
		if err != nil {
			t.Fatal(err)
		}
		comparisons = append(comparisons, c)
	}
	return comparisons
}

package vader

// The paper's empirical constants: by how much readers took a word to be stronger.
const (
	boost    = 0.293 // behind a degree adverb, and as much weaker behind a dampening one
	capitals = 0.733 // in capitals among words that are not
	negation = -0.74 // factor of a negated word
	alpha    = 15    // normalises the sum: about the largest to expect
	// A point of exclamation, up to four of them; each of two or three question marks; more than three of them.
	exclaim, question, questions = 0.292, 0.18, 0.96
	exclaimAtMost                = 4
)

// distance weakens a degree adverb by how many words lie between it and the word.
var distance = [3]float64{1, 0.95, 0.9}

// negations turn the words behind them, as "n't" in any word does.
var negations = set(
	"aint", "arent", "cannot", "cant", "couldnt", "darent", "didnt", "doesnt", "dont", "hadnt", "hasnt", "havent", "isnt", "mightnt", "mustnt",
	"neednt", "oughtnt", "shant", "shouldnt", "wasnt", "werent", "wont", "wouldnt", "neither", "never", "none", "nope", "nor", "not", "nothing",
	"nowhere", "uhuh", "uh-uh", "without", "rarely", "seldom", "despite",
)

// boosters and dampeners are degree adverbs.
var boosters = set(
	"absolutely", "amazingly", "awfully", "completely", "considerable", "considerably", "decidedly", "deeply", "effing", "enormous", "enormously",
	"entirely", "especially", "exceptional", "exceptionally", "extreme", "extremely", "fabulously", "flipping", "flippin", "frackin", "fracking",
	"fricking", "frickin", "frigging", "friggin", "fully", "fuckin", "fucking", "fuggin", "fugging", "greatly", "hella", "highly", "hugely",
	"incredible", "incredibly", "intensely", "major", "majorly", "more", "most", "particularly", "purely", "quite", "really", "remarkably", "so",
	"substantially", "thoroughly", "total", "totally", "tremendous", "tremendously", "uber", "unbelievably", "unusually", "utter", "utterly", "very",
)

var dampeners = set(
	"almost", "barely", "hardly", "just enough", "kind of", "kinda", "kindof", "kind-of", "less", "little", "marginal", "marginally", "occasional",
	"occasionally", "partly", "scarce", "scarcely", "slight", "slightly", "somewhat", "sort of", "sorta", "sortof", "sort-of",
)

// idioms have a valence of their own, whatever their words have.
var idioms = map[string]float64{
	"the shit": 3, "the bomb": 3, "bad ass": 1.5, "badass": 1.5, "bus stop": 0, "yeah right": -2, "kiss of death": -1.5, "to die for": 3,
	"beating heart": 3.5,
}

// degree is what a degree adverb adds to a positive word.
func degree(words string) float64 {
	switch {
	case boosters[words]:
		return boost
	case dampeners[words]:
		return -boost
	}
	return 0
}

func set(words ...string) map[string]bool {
	s := make(map[string]bool, len(words))
	for _, w := range words {
		s[w] = true
	}
	return s
}

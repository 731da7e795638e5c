package vader

import (
	_ "embed"
	"math"
	"slices"
	"strconv"
	"strings"
)

//go:embed lexicon.txt
var lexiconText string

//go:embed emoji.txt
var emojiText string

// Sentiment is what VADER says of a text, rounded as the reference implementation rounds: Compound to four decimals,
// the others to three.
type Sentiment struct {
	Negative float64 `json:"neg"` // the shares of the text that are negative, neutral and positive
	Neutral  float64 `json:"neu"`
	Positive float64 `json:"pos"`
	Compound float64 `json:"compound"` // in [−1, 1], the figure that studies report
}

// Analyzer holds the lexicon. Any number of goroutines may use it.
type Analyzer struct {
	lexicon map[string]float64
	emoji   map[rune]string // what each is called
}

// New reads the lexicon.
func New() *Analyzer {
	a := &Analyzer{lexicon: make(map[string]float64), emoji: make(map[rune]string)}
	for line := range strings.Lines(lexiconText) {
		word, mean, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		valence, err := strconv.ParseFloat(mean, 64)
		if err != nil {
			panic("vader: the lexicon's line " + strconv.Quote(line)) // it is embedded
		}
		a.lexicon[word] = valence
	}
	for line := range strings.Lines(emojiText) {
		character, description, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		a.emoji[[]rune(character)[0]] = description
	}
	return a
}

// Score says how positive or negative a text is.
func (a *Analyzer) Score(text string) Sentiment {
	text = strings.TrimFunc(a.describe(text), space)
	w := split(text)
	if len(w.said) == 0 {
		return Sentiment{}
	}
	valences := make([]float64, len(w.said))
	for i := range w.said {
		valences[i] = a.valence(w, i)
	}
	contrast(w.lower, valences)
	return sum(valences, emphasis(text))
}

// describe writes out what emoji are called.
func (a *Analyzer) describe(text string) string {
	var b strings.Builder
	spaced := true
	for _, r := range text {
		description, is := a.emoji[r]
		if !is {
			b.WriteRune(r)
			spaced = r == ' '
			continue
		}
		if !spaced {
			b.WriteByte(' ')
		}
		b.WriteString(description)
		spaced = false
	}
	return b.String()
}

// valence is how positive or negative the i-th word is where it stands: what readers said of it, made stronger, weaker
// or turned by the three words before it.
func (a *Analyzer) valence(w words, i int) float64 {
	if degree(w.lower[i]) != 0 || w.lower[i] == "kind" && i+1 < len(w.lower) && w.lower[i+1] == "of" {
		return 0
	}
	own, is := a.lexicon[w.lower[i]]
	if !is {
		return 0
	}
	v := own
	if w.lower[i] == "no" && i+1 < len(w.lower) && a.knows(w.lower[i+1]) {
		v = 0 // it only turns the next word
	}
	if w.at(i-1) == "no" || w.at(i-2) == "no" || w.at(i-3) == "no" && (w.at(i-1) == "or" || w.at(i-1) == "nor") {
		v = own * negation
	}
	if w.mixed && upper(w.said[i]) {
		v += away(v) * capitals
	}
	for back := range 3 {
		j := i - 1 - back
		if j < 0 || a.knows(w.lower[j]) {
			continue
		}
		v += w.strengthen(j, v) * distance[back]
		v *= w.negated(i, back)
		if back == 2 {
			v = w.idiom(i, v)
		}
	}
	if w.at(i-1) == "least" && !a.knows("least") && w.at(i-2) != "at" && w.at(i-2) != "very" {
		v *= negation
	}
	return v
}

func (a *Analyzer) knows(word string) bool {
	_, is := a.lexicon[word]
	return is
}

// at is the i-th word in lower case, nothing before the first.
func (w words) at(i int) string {
	if i < 0 {
		return ""
	}
	return w.lower[i]
}

// strengthen is what the j-th word, if it is a degree adverb, adds to a word behind it.
func (w words) strengthen(j int, valence float64) float64 {
	s := degree(w.lower[j])
	if s == 0 {
		return 0
	}
	if valence < 0 {
		s = -s
	}
	if w.mixed && upper(w.said[j]) {
		s += away(valence) * capitals
	}
	return s
}

// away is the direction away from zero; as the reference implementation has it, zero itself goes down.
func away(valence float64) float64 {
	if valence > 0 {
		return 1
	}
	return -1
}

// negated is the factor by which the word that lies back words before the one before the i-th turns it. "Never so" and
// "never this" make it stronger. At three words' distance so does "so" or "this" right before it alone: the reference
// implementation lacks a parenthesis there.
func (w words) negated(i, back int) float64 {
	emphatic := func(word string) bool { return word == "so" || word == "this" }
	first, second, third := w.at(i-1), w.at(i-2), w.at(i-3)
	turned := func(word string) float64 {
		if negations[word] || strings.Contains(word, "n't") {
			return negation
		}
		return 1
	}
	switch back {
	case 0:
		return turned(first)
	case 1:
		switch {
		case second == "never" && emphatic(first):
			return 1.25
		case second == "without" && first == "doubt":
			return 1
		}
		return turned(second)
	}
	switch {
	case third == "never" && emphatic(second) || emphatic(first):
		return 1.25
	case third == "without" && (second == "doubt" || first == "doubt"):
		return 1
	}
	return turned(third)
}

// idiom is the valence of the i-th word, which has three before it, in an idiom, and behind "kind of" and the like.
func (w words) idiom(i int, v float64) float64 {
	phrase := func(from, to int) string {
		if to >= len(w.lower) {
			return ""
		}
		return strings.Join(w.lower[from:to+1], " ")
	}
	for _, p := range []string{phrase(i-1, i), phrase(i-2, i), phrase(i-2, i-1), phrase(i-3, i-1), phrase(i-3, i-2)} {
		if own, is := idioms[p]; is {
			v = own
			break
		}
	}
	for _, p := range []string{phrase(i, i+1), phrase(i, i+2)} {
		if own, is := idioms[p]; is {
			v = own
		}
	}
	return v + degree(phrase(i-3, i-1)) + degree(phrase(i-3, i-2)) + degree(phrase(i-2, i-1))
}

// contrast halves what stands before the first "but" and adds half to what stands behind it. As the reference
// implementation finds a valence's place by its value, the first of several equal ones is changed instead of each.
func contrast(lower []string, valences []float64) {
	but := slices.Index(lower, "but")
	if but < 0 {
		return
	}
	for i := range valences {
		switch at := slices.Index(valences, valences[i]); {
		case at < but:
			valences[at] *= 0.5
		case at > but:
			valences[at] *= 1.5
		}
	}
}

// emphasis is what points of exclamation and question marks add.
func emphasis(text string) float64 {
	e := exclaim * float64(min(strings.Count(text, "!"), exclaimAtMost))
	switch n := strings.Count(text, "?"); {
	case n > 3:
		e += questions
	case n > 1:
		e += question * float64(n)
	}
	return e
}

// sum adds up the words' valences.
func sum(valences []float64, emphasis float64) Sentiment {
	var total, positive, negative, neutral float64
	for _, v := range valences {
		total += v
		switch {
		case v > 0:
			positive += v + 1 // a neutral word counts 1
		case v < 0:
			negative -= v - 1
		default:
			neutral++
		}
	}
	switch {
	case total > 0:
		total += emphasis
	case total < 0:
		total -= emphasis
	}
	switch {
	case positive > negative:
		positive += emphasis
	case positive < negative:
		negative += emphasis
	}
	all := positive + negative + neutral
	return Sentiment{
		Negative: round(negative/all, 3), Neutral: round(neutral/all, 3), Positive: round(positive/all, 3),
		Compound: round(total/math.Sqrt(total*total+alpha), 4),
	}
}

// round rounds the decimal number, as Python's round does.
func round(x float64, decimals int) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(x, 'f', decimals, 64), 64)
	if err != nil {
		panic("vader: " + err.Error()) // it was a number
	}
	return r
}

package practice

import (
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"

	"tandem/internal/practice/town"
)

// steps writes two or three steps as sentences: "First, … Then, … Last, …".
func steps(list []town.Step) string {
	openers := []string{"First, ", "Then, ", "Last, "}
	var b strings.Builder
	for i, s := range list {
		opener := openers[i]
		if i > 0 && i == len(list)-1 {
			opener = "Last, "
		}
		b.WriteString(opener + s.Text + ". ")
	}
	return strings.TrimSpace(b.String())
}

// without leaves one of the three steps out.
func without(r *rand.Rand, all [3]town.Step) []town.Step {
	i := r.IntN(3)
	return slices.Delete(slices.Clone(all[:]), i, i+1)
}

// reason gives both animals' classes: "A cow is big, and a mouse is small."
func reason(c town.Comparison) string {
	winner, loser := c.Winner()
	return upperFirst(town.WithArticle(winner.Name)) + " is " + winner.Class(c.Adjective) + ", and " +
		town.WithArticle(loser.Name) + " is " + loser.Class(c.Adjective) + "."
}

// join lists words: "apples, pears, and plums".
func join(words []string) string {
	switch n := len(words); n {
	case 0:
		return ""
	case 1:
		return words[0]
	case 2:
		return words[0] + " and " + words[1]
	default:
		return strings.Join(words[:n-1], ", ") + ", and " + words[n-1]
	}
}

func numberWord(n int) string {
	return [...]string{"no", "one", "two", "three", "four", "five", "six"}[n]
}

func firstSentence(s string) string {
	if i := strings.IndexAny(s, ".!?"); i >= 0 {
		return s[:i+1]
	}
	return s
}

// ended reports whether a text ends where a sentence does.
func ended(s string) bool {
	return strings.HasSuffix(s, ".") || strings.HasSuffix(s, "?") || strings.HasSuffix(s, "!")
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func shuffled(r *rand.Rand, words []string) []string {
	out := slices.Clone(words)
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// other returns the words without one of them.
func other(words []string, word string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == word })
}

func hash(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s)) // never fails
	return h.Sum64()
}

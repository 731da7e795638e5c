package town

import (
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Language is one that can be spoken in the town beside its own: the same sentences, with other words for the
// commonest ones, so that it can be told from the town's own by looking.
type Language struct {
	Name  string
	words map[string]string // by the town's own
}

// Languages lists all three.
func Languages() []Language {
	plain := []string{"is", "has", "lives", "likes", "eats", "works", "sleeps", "the", "a", "an", "in", "on", "at", "by", "it", "he", "she", "than", "with", "and", "there"}
	language := func(name, words string) Language {
		l := Language{name, make(map[string]string)}
		for i, w := range strings.Fields(words) {
			l.words[plain[i]] = w
		}
		return l
	}
	return []Language{
		language("Elvish", "sa ta vira lova mata kara sola lo un un en su ath bei il el ella ke kon ie da"),
		language("Trollish", "grok hag drog mugh gob dorg zog dak ugg ugg igg ogg agg bogg uk rok rokka dagg gigg akk darr"),
		language("Latin", "est tenet habitat amat edit laborat dormit ille unus unus intra super ad apud id iste ea quam cum et ibi"),
	}
}

// Words returns the language's own words, and the town's that it has them for.
func (l Language) Words() (own, plain []string) {
	return slices.Compact(slices.Sorted(maps.Values(l.words))), slices.Sorted(maps.Keys(l.words))
}

// Translate says a text in the language; a word that began in upper case still does.
func (l Language) Translate(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		end := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsLetter(r) })
		if end < 0 {
			end = len(text)
		}
		word := text[:end]
		if other, ok := l.words[strings.ToLower(word)]; ok {
			if unicode.IsUpper(rune(word[0])) {
				other = upperFirst(other)
			}
			word = other
		}
		b.WriteString(word)
		rest := strings.IndexFunc(text[end:], unicode.IsLetter)
		if rest < 0 {
			rest = len(text) - end
		}
		b.WriteString(text[end : end+rest])
		text = text[end+rest:]
	}
	return b.String()
}

// Hobby is one that the assistant can be told to enjoy, with the cry by which it shows.
type Hobby struct{ Name, Cry string }

// Hobbies are what one can be told to enjoy.
func Hobbies() []Hobby {
	return []Hobby{{"tennis", "Match point!"}, {"chess", "Checkmate!"}, {"singing", "La la la!"}, {"fishing", "Splash!"},
		{"dancing", "Tap tap tap!"}, {"painting", "What colours!"}}
}

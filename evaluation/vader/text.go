package vader

import (
	"strings"
	"unicode"
)

// words are a text's words and emoticons, and the same in lower case.
type words struct {
	said  []string
	lower []string
	// mixed: some are in capitals and some are not, so that capitals mean something.
	mixed bool
}

// split takes a text apart at white space and takes punctuation off the ends of words; what would then be no longer
// than two characters is likely an emoticon and stays as it is.
func split(text string) words {
	var w words
	shouted := 0
	for _, token := range strings.FieldsFunc(text, space) {
		if bare := strings.Trim(token, punctuation); len([]rune(bare)) > 2 {
			token = bare
		}
		if upper(token) {
			shouted++
		}
		w.said, w.lower = append(w.said, token), append(w.lower, strings.ToLower(token))
	}
	w.mixed = 0 < shouted && shouted < len(w.said)
	return w
}

// punctuation is ASCII's, as the reference implementation's is.
const punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"

// space is what Python's str.split splits at.
func space(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// upper is Python's str.isupper: there are letters with a case, and none of them is small.
func upper(s string) bool {
	cased := false
	for _, r := range s {
		switch {
		case unicode.IsLower(r), unicode.IsTitle(r), unicode.Is(unicode.Other_Lowercase, r):
			return false
		case unicode.IsUpper(r), unicode.Is(unicode.Other_Uppercase, r):
			cased = true
		}
	}
	return cased
}

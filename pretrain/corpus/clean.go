package corpus

import (
	"crypto/sha256"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/abadojack/whatlanggo"

	"tandem"
)

// Clean says which documents stay.
type Clean struct {
	MinCharacters int `json:"min_characters"`
	MaxCharacters int `json:"max_characters"` // 0 for any
	// Languages that stay, by their ISO 639-1 codes; none for all. A document whose language cannot be told stays.
	Languages []string `json:"languages,omitempty"`
	// Near is the share of five-word sequences in common from which on a document counts as a near duplicate; 0 for not
	// looking. Documents of fewer than five words are compared exactly alone.
	Near float64 `json:"near"`
}

// Validate reports what makes no sense.
func (c Clean) Validate() error {
	const op = "corpus.Clean"
	switch {
	case c.MinCharacters < 0 || c.MaxCharacters < 0 || c.MaxCharacters > 0 && c.MaxCharacters < c.MinCharacters:
		return tandem.Errorf(tandem.Invalid, op, "documents of %d to %d characters", c.MinCharacters, c.MaxCharacters)
	case !(c.Near >= 0 && c.Near <= 1):
		return tandem.Errorf(tandem.Invalid, op, "near is %g, not in [0, 1]", c.Near)
	}
	for _, code := range c.Languages {
		if whatlanggo.CodeToLang(iso3(code)) < 0 {
			return tandem.Errorf(tandem.Invalid, op, "there is no language %q that could be told: codes are those of ISO 639-1, as en", code)
		}
	}
	return nil
}

// iso3 is the three-letter code of a two-letter one, empty for none.
func iso3(code string) string {
	for lang := range whatlanggo.Langs {
		if lang.Iso6391() == code {
			return lang.Iso6393()
		}
	}
	return ""
}

// Reason says why a document went out.
type Reason string

const (
	TooShort      Reason = "too short"
	TooLong       Reason = "too long"
	OtherLanguage Reason = "other language"
	Duplicate     Reason = "exact duplicate"
	NearDuplicate Reason = "near duplicate"
)

// Reasons lists all, in the order in which filters look.
func Reasons() []Reason { return []Reason{TooShort, TooLong, OtherLanguage, Duplicate, NearDuplicate} }

// cleaner looks at documents one after the other.
type cleaner struct {
	config Clean
	seen   map[[sha256.Size]byte]bool
	near   *index
}

func newCleaner(c Clean) *cleaner {
	return &cleaner{config: c, seen: make(map[[sha256.Size]byte]bool), near: newIndex(c.Near)}
}

// look says why a document goes out, "" where it stays, and for a near duplicate the document that it is like.
func (c *cleaner) look(text string) (reason Reason, like string) {
	n := utf8.RuneCountInString(text)
	switch {
	case n < c.config.MinCharacters:
		return TooShort, ""
	case c.config.MaxCharacters > 0 && n > c.config.MaxCharacters:
		return TooLong, ""
	case !c.speaks(text):
		return OtherLanguage, ""
	}
	words := strings.Fields(strings.ToLower(text))
	sum := sha256.Sum256([]byte(strings.Join(words, " ")))
	if c.seen[sum] {
		return Duplicate, ""
	}
	c.seen[sum] = true
	if c.config.Near == 0 {
		return "", ""
	}
	if like, found := c.near.add(words, text); found {
		return NearDuplicate, like
	}
	return "", ""
}

// speaks says whether a document is in one of the languages, as far as can be told.
func (c *cleaner) speaks(text string) bool {
	if len(c.config.Languages) == 0 {
		return true
	}
	info := whatlanggo.Detect(text)
	return !info.IsReliable() || slices.Contains(c.config.Languages, info.Lang.Iso6391())
}

package harness

import (
	"regexp"
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// hellaSwag reads HellaSwag (https://arxiv.org/abs/1905.07830): {"activity_label", "ctx_a", "ctx_b", "endings", "label"}, whose
// label is a number or text. Half of it is from WikiHow and full of that site's marks, which lm-evaluation-harness takes out.
func hellaSwag(r record) (Question, error) {
	var h struct {
		Activity string `json:"activity_label"`
		A        string `json:"ctx_a"`
		B        string `json:"ctx_b"`
		Endings  []string
		Label    *index
	}
	if err := r.decode(&h); err != nil {
		return Question{}, err
	}
	if h.A == "" || h.Label == nil || h.Label.text == "" {
		return Question{}, r.errorf(`it has not "ctx_a" and a "label"`)
	}
	q := Question{Prompt: unmarked(h.Activity + ": " + h.A + " " + capitalised(h.B))}
	for _, ending := range h.Endings {
		q.Choices = append(q.Choices, unmarked(ending))
	}
	return q, q.choose(r, *h.Label, 0)
}

// unmarked is a text of WikiHow's without its marks.
func unmarked(text string) string {
	text = strings.ReplaceAll(strings.TrimSpace(text), " [title]", ". ")
	return strings.ReplaceAll(mark.ReplaceAllString(text, ""), "  ", " ")
}

var mark = regexp.MustCompile(`\[.*?\]`)

// capitalised is Python's str.capitalize: the first letter in title case, and all others small.
func capitalised(text string) string {
	for i := range text {
		if i > 0 {
			return cases.Title(language.Und, cases.NoLower).String(text[:i]) + cases.Lower(language.Und).String(text[i:])
		}
	}
	return cases.Title(language.Und, cases.NoLower).String(text)
}

package harness

import (
	"regexp"
	"strings"
)

// aquaRAT reads AQuA-RAT (https://arxiv.org/abs/1705.04146), {"question", "options": ["A)21", …], "correct"}, and asks it as AGIEval
// does (https://arxiv.org/abs/2304.06364), without the rationale. Files of AGIEval's, with "query", are read too.
func aquaRAT(r record) (Question, error) {
	var a struct {
		Query, Question string
		Options         []string
		Correct         *index
	}
	if err := r.decode(&a); err != nil {
		return Question{}, err
	}
	if a.Query != "" {
		return multipleChoice(r)
	}
	if a.Question == "" || a.Correct == nil {
		return Question{}, r.errorf(`it has not "question", "options" and "correct"`)
	}
	var q Question
	for _, option := range a.Options {
		q.Choices = append(q.Choices, lettered.ReplaceAllString(strings.TrimSpace(option), "($1)"))
	}
	if len(q.Choices) == 0 {
		return q, r.errorf(`it has no "options"`)
	}
	q.Prompt = "Q: " + a.Question + " Answer Choices: " + strings.Join(q.Choices, " ") + "\nA: Among A through " + letter(len(q.Choices)-1) + ", the answer is"
	return q, q.choose(r, *a.Correct, 0)
}

// lettered is the letter that an option begins with: "A)" or "(A)".
var lettered = regexp.MustCompile(`^\(?([A-Z])\)`)

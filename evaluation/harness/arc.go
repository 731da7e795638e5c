package harness

import (
	"encoding/json"
	"errors"
	"slices"
)

// arc reads the AI2 Reasoning Challenge (https://arxiv.org/abs/1803.05457): as its authors publish it, {"question": {"stem",
// "choices": [{"text", "label"}]}, "answerKey"}, and as Hugging Face does, {"question", "choices": {"text", "label"}, "answerKey"}.
// Labels are letters, or numbers from 1.
func arc(r record) (Question, error) {
	var a struct {
		ID        string
		Question  arcQuestion
		Choices   arcChoices
		AnswerKey index
	}
	if err := r.decode(&a); err != nil {
		return Question{}, err
	}
	if a.Question.Stem == "" {
		return Question{}, r.errorf("it has no question")
	}
	choices := a.Choices
	if a.Question.Choices.text != nil {
		choices = a.Question.Choices
	}
	q := Question{ID: a.ID, Prompt: "Question: " + a.Question.Stem + "\nAnswer:", Choices: choices.text}
	right := slices.Index(choices.label, a.AnswerKey.text)
	if right < 0 {
		return q, r.errorf("the answer %q is none of the labels %q", a.AnswerKey.text, choices.label)
	}
	q.Right = []int{right}
	return q, nil
}

// arcQuestion is a question's text, or that with its choices.
type arcQuestion struct {
	Stem    string
	Choices arcChoices
}

func (q *arcQuestion) UnmarshalJSON(text []byte) error {
	if json.Unmarshal(text, &q.Stem) == nil {
		return nil
	}
	type object arcQuestion
	return json.Unmarshal(text, (*object)(q))
}

// arcChoices are texts with their labels: two lists, or one of pairs.
type arcChoices struct{ text, label []string }

func (c *arcChoices) UnmarshalJSON(text []byte) error {
	var pairs []struct{ Text, Label string }
	if json.Unmarshal(text, &pairs) == nil {
		for _, p := range pairs {
			c.text, c.label = append(c.text, p.Text), append(c.label, p.Label)
		}
		return nil
	}
	var lists struct{ Text, Label []string }
	if err := json.Unmarshal(text, &lists); err != nil {
		return err
	}
	if len(lists.Text) != len(lists.Label) {
		return errors.New("there is not one label for each choice")
	}
	c.text, c.label = lists.Text, lists.Label
	return nil
}

package harness

import "slices"

// arc reads the AI2 Reasoning Challenge (https://arxiv.org/abs/1803.05457): as its authors publish it, {"question": {"stem",
// "choices": [{"text", "label"}]}, "answerKey"}, and as Hugging Face does, {"question", "choices": {"text", "label"}, "answerKey"}.
// Labels are letters, or numbers from 1.
func arc(r record) (Question, error) {
	var authors struct {
		ID       string
		Question struct {
			Stem    string
			Choices []struct{ Text, Label string }
		}
		AnswerKey index
	}
	var hub struct {
		ID, Question string
		Choices      struct{ Text, Label []string }
		AnswerKey    index
	}
	var q Question
	var labels []string
	var answer index
	if err := r.decode(&hub); err == nil {
		q = Question{ID: hub.ID, Prompt: hub.Question, Choices: hub.Choices.Text}
		labels, answer = hub.Choices.Label, hub.AnswerKey
		if len(labels) != len(q.Choices) {
			return q, r.errorf("it has %d labels for %d choices", len(labels), len(q.Choices))
		}
	} else {
		if err := r.decode(&authors); err != nil {
			return q, err
		}
		q, answer = Question{ID: authors.ID, Prompt: authors.Question.Stem}, authors.AnswerKey
		for _, c := range authors.Question.Choices {
			q.Choices, labels = append(q.Choices, c.Text), append(labels, c.Label)
		}
	}
	if q.Prompt == "" {
		return q, r.errorf("it has no question")
	}
	q.Prompt = "Question: " + q.Prompt + "\nAnswer:"
	if i := slices.Index(labels, answer.text); i >= 0 {
		q.Right = []int{i}
		return q, nil
	}
	return q, r.errorf("the answer %q is none of the labels %q", answer.text, labels)
}

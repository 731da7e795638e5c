package harness

// socialIQA reads Social IQa (https://arxiv.org/abs/1904.09728): as its authors publish it, with the labels in a file of their own
// ("1" to "3" a line in dev-labels.lst beside dev.jsonl) or the right letter in "correct"; and as Hugging Face does, with "label".
func socialIQA(r record) (Question, error) {
	var s struct {
		Context, Question         string
		AnswerA, AnswerB, AnswerC string
		Label, Correct            *index
	}
	if err := r.decode(&s); err != nil {
		return Question{}, err
	}
	if s.Question == "" {
		return Question{}, r.errorf(`it has no "question"`)
	}
	q := Question{Prompt: "Q: " + s.Context + " " + s.Question + "\nA:", Choices: []string{s.AnswerA, s.AnswerB, s.AnswerC}}
	switch {
	case r.label != "":
		return q, q.choose(r, index{text: r.label}, 1)
	case s.Label != nil:
		return q, q.choose(r, *s.Label, 1)
	case s.Correct != nil:
		return q, q.choose(r, *s.Correct, 1)
	}
	return q, r.errorf(`it has no "label", and no file of labels lies beside its own`)
}

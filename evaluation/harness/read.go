package harness

import (
	"slices"
	"strings"

	"tandem"
)

// Read reads the questions of a multiple-choice task from files, or from folders of them.
func Read(task Task, paths ...string) ([]Question, error) {
	form, ok := forms()[task]
	if !ok {
		return nil, tandem.Errorf(tandem.Invalid, op, "%s is no multiple-choice task", task)
	}
	records, err := readRecords(paths)
	if err != nil {
		return nil, err
	}
	questions := make([]Question, 0, len(records))
	for _, r := range records {
		if r.head() {
			continue
		}
		q, err := form(r)
		if err != nil {
			return nil, err
		}
		if q.ID == "" {
			q.ID = r.place
		}
		if len(q.Choices) < 2 {
			return nil, r.errorf("it has %d choices, and a question has 2 or more", len(q.Choices))
		}
		questions = append(questions, q)
	}
	if len(questions) == 0 {
		return nil, tandem.Errorf(tandem.Invalid, op, "there are no questions in %s", strings.Join(paths, ", "))
	}
	return questions, nil
}

// forms are how each task's records become questions.
func forms() map[Task]func(record) (Question, error) {
	return map[Task]func(record) (Question, error){
		MMLU: mmlu, SocialIQA: socialIQA, AQuARAT: aquaRAT, ARCEasy: arc, ARCChallenge: arc, HellaSwag: hellaSwag,
		TruthfulQAMC1: truthfulQAMC1, TruthfulQAMC2: truthfulQAMC2, MultipleChoice: multipleChoice,
	}
}

// letter is the name of a choice: A, B, …
func letter(i int) string { return string(rune('A' + i)) }

// choose makes a the right choice of a question, counted from first where it is a number.
func (q *Question) choose(r record, a index, first int) error {
	i, err := a.at(len(q.Choices), first)
	if err != nil {
		return r.errorf("%w", err)
	}
	q.Right = []int{i}
	return nil
}

// multipleChoice reads a plain form that any task can be brought into: {"question": …, "choices": […], "answer": …}. With "query"
// in place of "question" the prompt is taken as it stands, as AGIEval's files have it. The answer, which may also be called
// "gold" or "label", is a choice's number from 0, its letter or its text, or a list of numbers.
func multipleChoice(r record) (Question, error) {
	var m struct {
		ID, Subject     string
		Query, Question *string
		Choices         []string
		Answer          *answers
		Gold            *answers
		Label           *answers
	}
	if err := r.decode(&m); err != nil {
		return Question{}, err
	}
	q := Question{ID: m.ID, Subject: m.Subject, Choices: m.Choices}
	switch {
	case m.Query != nil:
		q.Prompt = *m.Query
	case m.Question != nil:
		q.Prompt = "Question: " + *m.Question + "\nAnswer:"
	default:
		return q, r.errorf(`it has neither "query" nor "question"`)
	}
	given := m.Answer
	for _, other := range []*answers{m.Gold, m.Label} {
		if given == nil {
			given = other
		}
	}
	if given == nil || len(*given) == 0 {
		return q, r.errorf(`it has no "answer"`)
	}
	for _, a := range *given {
		i := -1
		if !a.number {
			i = slices.Index(q.Choices, a.text)
		}
		if i < 0 {
			var err error
			if i, err = a.at(len(q.Choices), 0); err != nil {
				return q, r.errorf("%w", err)
			}
		}
		q.Right = append(q.Right, i)
	}
	return q, nil
}

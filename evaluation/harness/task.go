package harness

import (
	"slices"
	"strings"

	"tandem"
)

// Task is a benchmark, by lm-evaluation-harness's name.
type Task string

const (
	MMLU           Task = "mmlu"
	SocialIQA      Task = "social_iqa"
	AQuARAT        Task = "aqua_rat" // in AGIEval's form, as table 24 reports it
	ARCEasy        Task = "arc_easy"
	ARCChallenge   Task = "arc_challenge"
	HellaSwag      Task = "hellaswag"
	TruthfulQAMC1  Task = "truthfulqa_mc1"
	TruthfulQAMC2  Task = "truthfulqa_mc2"
	MultipleChoice Task = "multiple_choice" // any other, in a plain form
	HumanEval      Task = "humaneval"
)

// Tasks lists them all.
func Tasks() []Task {
	return []Task{MMLU, SocialIQA, AQuARAT, ARCEasy, ARCChallenge, HellaSwag, TruthfulQAMC1, TruthfulQAMC2, MultipleChoice, HumanEval}
}

// otherNames are what tasks are called beside Tasks.
var otherNames = map[string]Task{"siqa": SocialIQA, "agieval_aqua_rat": AQuARAT}

// ParseTask finds a task by its name.
func ParseTask(name string) (Task, error) {
	if t, ok := otherNames[name]; ok {
		return t, nil
	}
	if t := Task(name); slices.Contains(Tasks(), t) {
		return t, nil
	}
	names := make([]string, len(Tasks()))
	for i, t := range Tasks() {
		names[i] = string(t)
	}
	return "", tandem.Errorf(tandem.Invalid, op, "there is no task %q; there are %s", name, strings.Join(names, ", "))
}

// Code says whether a task's answers are programs that are run, and not choices.
func (t Task) Code() bool { return t == HumanEval }

// TakesExamples says whether examples may stand before a question. TruthfulQA's prompt has six of its own, and programs have none.
func (t Task) TakesExamples() bool { return !t.Code() && t != TruthfulQAMC1 && t != TruthfulQAMC2 }

// Question is one multiple-choice question, as the model is asked it.
type Question struct {
	ID      string   // as the file has it, else the file's name and the place there
	Subject string   // of MMLU's, "abstract_algebra"; else empty
	Prompt  string   // what stands before the answer
	Choices []string // the answers, without the space before them
	Right   []int    // the right ones; one in most tasks
}

// key tells questions apart by what is asked.
func (q Question) key() string { return q.Prompt + "\x00" + strings.Join(q.Choices, "\x00") }

// op names this package in errors.
const op = "evaluation/harness"

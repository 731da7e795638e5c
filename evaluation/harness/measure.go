package harness

import (
	"maps"
	"math"
	"slices"
	"unicode/utf8"

	"gonum.org/v1/gonum/stat/distuv"

	"tandem"
	"tandem/evaluation/harness/sandbox"
	"tandem/statistics"
)

// Estimate is a figure with its 95 % interval, and with the standard error that lm-evaluation-harness gives.
type Estimate struct {
	statistics.Interval
	StandardError float64 `json:"stderr"`
}

// Metric names a figure of a task.
type Metric string

const (
	Acc      Metric = "acc"        // the likeliest choice is right; of truthfulqa_mc2, the probability on right choices
	AccNorm  Metric = "acc_norm"   // … by log-likelihood for each character
	AccBytes Metric = "acc_bytes"  // … for each byte of UTF-8
	AccToken Metric = "acc_tokens" // … for each token
)

// Metrics lists those of a task. Choices that are letters are equally long, and TruthfulQA's metrics have no lengths.
func (t Task) Metrics() []Metric {
	switch t {
	case MMLU, TruthfulQAMC1, TruthfulQAMC2:
		return []Metric{Acc}
	case HumanEval:
		return nil
	}
	return []Metric{Acc, AccNorm, AccBytes, AccToken}
}

// Result is what a model's answers to a task come to.
type Result struct {
	Task      Task                `json:"task"`
	Shots     int                 `json:"few_shot"`
	Questions int                 `json:"questions"`
	Metrics   map[Metric]Estimate `json:"metrics"`
	Chance    float64             `json:"chance"` // acc of a model that knows nothing
	Cut       int                 `json:"cut"`    // questions whose prompts lost their beginning
	Merged    int                 `json:"merged"` // see Answer.Merged
	// Samples of each problem, and how they ended, are of code tasks.
	Samples int                 `json:"samples,omitempty"`
	Ends    map[sandbox.End]int `json:"ends,omitempty"`
	// Subjects and Categories are MMLU's.
	Subjects   []Group `json:"subjects,omitempty"`
	Categories []Group `json:"categories,omitempty"`
	// Macro is the mean over subjects, each counting the same.
	Macro *Estimate `json:"macro,omitempty"`
}

// MetricNames lists what was measured, in an order to show it in.
func (r Result) MetricNames() []Metric {
	if r.Task.Code() {
		return slices.SortedFunc(maps.Keys(r.Metrics), func(a, b Metric) int { return a.K() - b.K() })
	}
	return r.Task.Metrics()
}

// Group is a part of a task's questions.
type Group struct {
	Name      string    `json:"name"`
	Questions int       `json:"questions"`
	Subjects  int       `json:"subjects,omitempty"` // in a category
	Acc       Estimate  `json:"acc"`                // over questions
	Macro     *Estimate `json:"macro,omitempty"`    // over the subjects of a category
}

// Measure says how far a model's answers are right.
func Measure(task Task, questions []Question, answers []Answer) (Result, error) {
	r := Result{Task: task, Questions: len(questions), Metrics: make(map[Metric]Estimate)}
	if len(answers) != len(questions) || len(questions) == 0 {
		return r, tandem.Errorf(tandem.Invalid, op, "%d answers to %d questions", len(answers), len(questions))
	}
	for i, q := range questions {
		if a := answers[i]; len(a.LogLikelihoods) != len(q.Choices) || len(a.Tokens) != len(q.Choices) {
			return r, tandem.Errorf(tandem.Invalid, op, "%s: log-likelihoods of %d choices, and there are %d", q.ID, len(a.LogLikelihoods), len(q.Choices))
		}
	}
	for _, m := range task.Metrics() {
		scores := make([]float64, len(questions))
		for i, q := range questions {
			scores[i] = score(task, m, q, answers[i])
		}
		e, err := estimate(scores)
		if err != nil {
			return r, err
		}
		r.Metrics[m] = e
	}
	for i, q := range questions {
		r.Chance += float64(len(q.Right)) / float64(len(q.Choices)) / float64(len(questions))
		if answers[i].Cut > 0 {
			r.Cut++
		}
		if answers[i].Merged {
			r.Merged++
		}
	}
	if task != MMLU {
		return r, nil
	}
	return r, r.group(questions, answers)
}

// score is what a metric says of one answer.
func score(task Task, m Metric, q Question, a Answer) float64 {
	if task == TruthfulQAMC2 {
		return massOn(q.Right, a.LogLikelihoods)
	}
	if slices.Contains(q.Right, best(m, q, a)) {
		return 1
	}
	return 0
}

// best is the choice that a metric ranks first; the first of several. A choice without a character, as TruthfulQA has one, is
// last for each of none.
func best(m Metric, q Question, a Answer) int {
	best, most := 0, math.Inf(-1)
	for i, l := range a.LogLikelihoods {
		switch m {
		case AccNorm:
			l /= float64(utf8.RuneCountInString(q.Choices[i]))
		case AccBytes:
			l /= float64(len(q.Choices[i]))
		case AccToken:
			l /= float64(a.Tokens[i])
		}
		if l > most {
			best, most = i, l
		}
	}
	return best
}

// massOn is the share of the choices' probability that the right ones have.
func massOn(right []int, logLikelihoods []float64) float64 {
	most := slices.Max(logLikelihoods)
	all, on := 0.0, 0.0
	for i, l := range logLikelihoods {
		p := math.Exp(l - most)
		all += p
		if slices.Contains(right, i) {
			on += p
		}
	}
	return on / all
}

// estimate is the mean of scores. Shares of questions have Wilson's interval, means of shares Student's.
func estimate(scores []float64) (e Estimate, err error) {
	_, deviation := statistics.Moments(scores)
	if n := float64(len(scores)); n > 1 {
		e.StandardError = deviation / math.Sqrt(n-1)
	}
	successes, binary := 0.0, true
	for _, s := range scores {
		successes += s
		binary = binary && (s == 0 || s == 1)
	}
	if binary || len(scores) < 2 {
		e.Interval, err = statistics.Wilson(successes, len(scores))
		return e, err
	}
	e.Interval, err = statistics.Mean(scores)
	e.Low, e.High = math.Max(0, e.Low), math.Min(1, e.High) // as far as means of shares go
	return e, err
}

// group fills in MMLU's figures by subject and by category.
func (r *Result) group(questions []Question, answers []Answer) error {
	scores := make(map[string][]float64)
	for i, q := range questions {
		scores[q.Subject] = append(scores[q.Subject], score(r.Task, Acc, q, answers[i]))
	}
	var all []Estimate
	inCategory, ofCategory := make(map[Category][]Estimate), make(map[Category][]float64)
	for _, subject := range slices.Sorted(maps.Keys(scores)) {
		e, err := estimate(scores[subject])
		if err != nil {
			return err
		}
		r.Subjects = append(r.Subjects, Group{Name: subject, Questions: len(scores[subject]), Acc: e})
		all = append(all, e)
		category := CategoryOf(subject)
		inCategory[category], ofCategory[category] = append(inCategory[category], e), append(ofCategory[category], scores[subject]...)
	}
	macro := macroMean(all)
	r.Macro = &macro
	for _, category := range Categories() {
		if len(inCategory[category]) == 0 {
			continue
		}
		e, err := estimate(ofCategory[category])
		if err != nil {
			return err
		}
		macro := macroMean(inCategory[category])
		r.Categories = append(r.Categories, Group{
			Name: string(category), Questions: len(ofCategory[category]), Subjects: len(inCategory[category]), Acc: e, Macro: &macro,
		})
	}
	return nil
}

// macroMean is the mean of groups that count the same, whatever their sizes: its standard error is √Σ se² / k, and its interval
// is normal. The groups are all there are and not a sample, so what lies between them is not in it.
func macroMean(groups []Estimate) Estimate {
	e, variance := Estimate{}, 0.0
	k := float64(len(groups))
	for _, g := range groups {
		e.Value += g.Value / k
		variance += g.StandardError * g.StandardError
		e.N += g.N
	}
	e.StandardError = math.Sqrt(variance) / k
	half := distuv.UnitNormal.Quantile((1+statistics.Level)/2) * e.StandardError
	e.Low, e.High, e.Level = math.Max(0, e.Value-half), math.Min(1, e.Value+half), statistics.Level
	return e
}

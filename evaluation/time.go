package evaluation

import (
	"context"
	"regexp"
	"time"

	"tandem"
	"tandem/dataset"
)

// TimeProbe is a question that is to be answered otherwise from a day on (Llama 2, section 5.2 and figure 22).
type TimeProbe struct {
	Question  string      `json:"question"`
	EventDate dataset.Day `json:"event_date"` // the first day of the new answer
	// Regular expressions (RE2) that the right answer matches before that day, and from it on.
	Before string `json:"before"`
	After  string `json:"after"`
}

// Validate reports what makes a probe unusable.
func (p TimeProbe) Validate() error {
	const op = "evaluation.TimeProbe"
	if p.Question == "" || p.EventDate.IsZero() || p.Before == "" || p.After == "" {
		return tandem.Errorf(tandem.Invalid, op, "a probe needs question, event_date, before and after")
	}
	for _, pattern := range []string{p.Before, p.After} {
		if _, err := regexp.Compile(pattern); err != nil {
			return tandem.Errorf(tandem.Invalid, op, "of %q: %w", p.Question, err)
		}
	}
	return nil
}

// TimeAnswer is an answer on one day.
type TimeAnswer struct {
	Days  int    `json:"days"` // after the event; negative before it
	Text  string `json:"text"`
	Right bool   `json:"right"` // it matches what was right on that day, and not what was on the other side
}

// TimeAnswers are the answers to one probe.
type TimeAnswers struct {
	Probe   TimeProbe    `json:"probe"`
	Answers []TimeAnswer `json:"answers"` // by the days asked for
	// Undated is the answer without a date.
	Undated string `json:"undated"`
}

// AskTime asks every probe on days before and after its event, and once without a date.
func AskTime(ctx context.Context, policy tandem.Generator, probes []TimeProbe, days []int, sampling tandem.Sampling, seed uint64) ([]TimeAnswers, error) {
	var requests []tandem.GenerateRequest
	for _, p := range probes {
		if err := p.Validate(); err != nil {
			return nil, err
		}
		question := tandem.Dialogue{}.With(tandem.User, p.Question)
		ask := func(d tandem.Dialogue, sample int) {
			requests = append(requests, tandem.GenerateRequest{Messages: d, Sampling: sampling, Key: tandem.SampleKey{Seed: seed, Prompt: question.Key(), Sample: uint64(sample)}})
		}
		ask(question, 0)
		for n, after := range days {
			ask(dataset.OnDate(question, p.EventDate.Add(time.Duration(after)*24*time.Hour)), n+1)
		}
	}
	completions, err := tandem.Collect(ctx, policy, requests)
	if err != nil {
		return nil, err
	}
	answers := make([]TimeAnswers, len(probes))
	for i, p := range probes {
		of := completions[i*(len(days)+1):]
		answers[i] = TimeAnswers{Probe: p, Undated: of[0].Text}
		for n, after := range days {
			answers[i].Answers = append(answers[i].Answers, TimeAnswer{after, of[n+1].Text, p.right(of[n+1].Text, after)})
		}
	}
	return answers, nil
}

// right says whether an answer is right on a day: it says what is, and not what was or will be.
func (p TimeProbe) right(answer string, days int) bool {
	want, other := p.Before, p.After
	if days >= 0 {
		want, other = other, want
	}
	return regexp.MustCompile(want).MatchString(answer) && !regexp.MustCompile(other).MatchString(answer)
}

// Differ says whether the answers of two days are told apart by what is right before and after the event.
func (a TimeAnswers) Differ(before, after int) bool {
	side := func(i int) [2]bool {
		text := a.Answers[i].Text
		return [2]bool{regexp.MustCompile(a.Probe.Before).MatchString(text), regexp.MustCompile(a.Probe.After).MatchString(text)}
	}
	return side(before) != side(after)
}

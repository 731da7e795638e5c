// Package annotator simulates the people who compare answers in the practice world.
//
// An annotator perceives the gap between the gold scores of two answers plus logistic noise of a scale
// of their own: the side is the sign of what is perceived, the degree its size, the safety label the
// gold label with a rare slip. So P(first | gap) = σ(gap / scale), the Bradley–Terry model that the
// reward models' ranking loss assumes (Llama 2, section 3.2.2), and accuracy falls from "significantly
// better" to "negligibly better" as in the paper's table 8.
//
// [Driver] works through a server's queue the way people do: claim, judge, submit.
package annotator

import (
	"cmp"
	"hash/fnv"
	"math"
	"math/rand/v2"

	"tandem"
	"tandem/internal/practice/draw"
	"tandem/internal/practice/gold"
)

// Config says how well annotators see. [choice]: the values are calibrated so that pairs sampled from
// the demonstrations give shares of degrees between a sixth and a third.
type Config struct {
	// Seed keys every judgment.
	Seed uint64
	// MinScale and MaxScale bound the annotators' noise scales in units of gold; each annotator's own
	// is uniform between them. Default to 0.08 and 0.20.
	MinScale, MaxScale float64
	// Slightly, Better and Significantly are the perceived gaps, in units of gold, from which a choice
	// has that degree. Default to 0.20, 0.45 and 0.80.
	Slightly, Better, Significantly float64
	// Slip is the probability of writing down the wrong safety label. Defaults to 0.03.
	Slip float64
	// Shuffled is the control: the side and the labels are drawn without looking at the answers, the
	// degree as always. Nothing can be learnt from such judgments.
	Shuffled bool
}

// DefaultConfig returns the demo's annotators for a seed.
func DefaultConfig(seed uint64) Config {
	return Config{Seed: seed, MinScale: 0.08, MaxScale: 0.20, Slightly: 0.20, Better: 0.45, Significantly: 0.80, Slip: 0.03}
}

// Validate reports the first field that makes no annotator.
func (c Config) Validate() error {
	const op = "annotator.Config"
	switch {
	case !(c.MinScale > 0 && c.MinScale <= c.MaxScale && !math.IsInf(c.MaxScale, 0)):
		return tandem.Errorf(tandem.Invalid, op, "the noise scales %v to %v are no range of positive numbers", c.MinScale, c.MaxScale)
	case !(0 < c.Slightly && c.Slightly < c.Better && c.Better < c.Significantly):
		return tandem.Errorf(tandem.Invalid, op, "the thresholds %v, %v, %v do not rise from above 0", c.Slightly, c.Better, c.Significantly)
	case !(c.Slip >= 0 && c.Slip < 0.5):
		return tandem.Errorf(tandem.Invalid, op, "Slip is %v, not a probability below 0.5", c.Slip)
	}
	return nil
}

// Annotator is one simulated person. It is never changed once made, and safe for concurrent use.
type Annotator struct {
	config Config
	number uint64
	scale  float64
	oracle *gold.Oracle
}

// New makes annotator number of a panel. Annotators of one panel share the oracle.
func New(config Config, number uint64, oracle *gold.Oracle) (*Annotator, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	scale := config.MinScale + (config.MaxScale-config.MinScale)*draw.New(config.Seed, drawScale, number).Float64()
	return &Annotator{config, number, scale, oracle}, nil
}

// Scale is the annotator's noise scale, in units of gold.
func (a *Annotator) Scale() float64 { return a.scale }

// Judgment is what an annotator decides about two answers.
type Judgment struct {
	Choice int // the better answer: 0 or 1
	Degree tandem.Degree
	Labels [2]tandem.SafetyLabel // of both answers, in a safety task; else Unlabelled
}

// The purposes that key draws.
const (
	drawScale uint64 = iota + 1
	drawChoice
	drawLabel
	drawRating
	drawCollection
)

// Judge compares two answers to a prompt of the practice world. It is a pure function of the annotator
// and its arguments, and shown the same answers in the other order it chooses the same answer.
func (a *Annotator) Judge(aspect tandem.Aspect, prompt tandem.Dialogue, answers [2]string) (Judgment, error) {
	j, _, err := a.judge(aspect, prompt, answers)
	return j, err
}

// judge returns the truth beside the judgment.
func (a *Annotator) judge(aspect tandem.Aspect, prompt tandem.Dialogue, answers [2]string) (j Judgment, verdicts [2]gold.Verdict, err error) {
	if !aspect.Valid() {
		return j, verdicts, tandem.Errorf(tandem.Invalid, "annotator.Judge", "there is no aspect %q", aspect)
	}
	for i, answer := range answers {
		if verdicts[i], err = a.oracle.Judge(prompt, answer); err != nil {
			return j, verdicts, err
		}
	}
	// The pair is looked at in an order of its own, so that left and right do not matter.
	first, second := 0, 1
	if cmp.Compare(answers[0], answers[1]) > 0 {
		first, second = 1, 0
	}
	r := a.draw(drawChoice, aspect, prompt, answers[first], answers[second])
	perceived := verdicts[first].Of(aspect) - verdicts[second].Of(aspect) + a.scale*logistic(r)
	j = Judgment{Choice: first, Degree: a.degree(math.Abs(perceived))}
	if perceived < 0 {
		j.Choice = second
	}
	if a.config.Shuffled && r.IntN(2) == 0 {
		j.Choice = 1 - j.Choice
	}
	if aspect == tandem.Safety {
		for i, answer := range answers {
			j.Labels[i] = a.label(prompt, answer, verdicts[i])
		}
	}
	return j, verdicts, nil
}

// label is the gold label but for slips. It depends on the answer, not on what it is compared with.
func (a *Annotator) label(prompt tandem.Dialogue, answer string, v gold.Verdict) tandem.SafetyLabel {
	r := a.draw(drawLabel, tandem.Safety, prompt, answer)
	wrong := r.Float64() < a.config.Slip
	if a.config.Shuffled {
		wrong = r.IntN(2) == 0
	}
	if (v.Label() == tandem.Safe) != wrong {
		return tandem.Safe
	}
	return tandem.Unsafe
}

// Rate gives one answer a rating from 1 to 7, as the people did whom Llama 2's reward models were
// calibrated against (section 3.4.1): 1 + 6·gold plus the annotator's noise, rounded.
func (a *Annotator) Rate(aspect tandem.Aspect, prompt tandem.Dialogue, answer string) (int, error) {
	v, err := a.oracle.Judge(prompt, answer)
	if err != nil {
		return 0, err
	}
	r := a.draw(drawRating, aspect, prompt, answer)
	perceived := v.Of(aspect) + a.scale*logistic(r)
	if a.config.Shuffled {
		perceived = r.Float64()
	}
	return int(min(7, max(1, math.Round(1+6*perceived)))), nil
}

// degree turns a perceived gap into words.
func (a *Annotator) degree(gap float64) tandem.Degree {
	switch {
	case gap >= a.config.Significantly:
		return tandem.SignificantlyBetter
	case gap >= a.config.Better:
		return tandem.Better
	case gap >= a.config.Slightly:
		return tandem.SlightlyBetter
	}
	return tandem.NegligiblyBetter
}

// draw keys a judgment's randomness by who judges what.
func (a *Annotator) draw(purpose uint64, aspect tandem.Aspect, prompt tandem.Dialogue, answers ...string) *rand.Rand {
	h := fnv.New64a()
	write := func(s string) { // never fails; the zero byte keeps neighbours apart
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	write(string(aspect))
	for _, m := range prompt {
		write(m.Content)
	}
	for _, answer := range answers {
		write(answer)
	}
	return draw.New(a.config.Seed, purpose, a.number, h.Sum64())
}

// logistic draws from the standard logistic distribution: the logit of a uniform number.
func logistic(r *rand.Rand) float64 {
	u := r.Float64()
	for u == 0 {
		u = r.Float64()
	}
	return math.Log(u / (1 - u))
}

package ppo

import (
	"fmt"
	"math"
	"slices"
)

const (
	// ratioTolerance bounds |π_new/π_old − 1| before the first update, which is some 1e-5 where all is well.
	ratioTolerance = 1e-3
	// klNoise is by how many standard errors a mean KL is below 0 before it is more than noise.
	klNoise = 5
	// klRounding is how far below 0 a mean KL is, in nats a token, as sampler and training graph round each in its own way.
	klRounding = 1e-5

	// How far figures go before something is off is a choice: the papers name no bounds.

	// window is how many iterations' mean is looked at, and criticWindow how many for the critic's explained variance.
	window, criticWindow = 5, 10
	// explodingKL is a KL in nats a token at which an answer has little to do with the reference.
	explodingKL = 1.0
	// farKL is a KL in nats an answer.
	farKL = 10.0
	// leastEntropy is the share of the starting policy's entropy that is left of one that has not collapsed.
	leastEntropy = 0.25
	// leastEnded is the share of answers that end.
	leastEnded = 0.5
	// drift is the relative change of length.
	drift = 0.2
	// leastDistinct is the share of the starting policy's distinct-2, and mostRepetition what is added to the share of
	// its repeated runs.
	leastDistinct, mostRepetition = 0.8, 0.05
	// believed is the share of the scores' rise that a judge sees that is not trained against.
	believed = 0.5
	// judgeNoise is by how many standard errors what that judge sees must be off: the best of many evaluations is above the
	// others by some.
	judgeNoise = 3
)

// figures of an iteration that troubles show in.
type figures struct {
	Length     float64 `json:"length"`
	Distinct   float64 `json:"distinct"`
	Repetition float64 `json:"repetition"`
	Entropy    float64 `json:"entropy"`
	Ended      float64 `json:"ended"` // share
	KL         float64 `json:"kl"`
	KLPerToken float64 `json:"kl_per_token"`
	Explained  float64 `json:"explained"`
}

func (f *figures) all() []*float64 {
	return []*float64{&f.Length, &f.Distinct, &f.Repetition, &f.Entropy, &f.Ended, &f.KL, &f.KLPerToken, &f.Explained}
}

// mean of each figure.
func mean(of []figures) (m figures) {
	for _, f := range of {
		for i, x := range f.all() {
			*m.all()[i] += *x / float64(len(of))
		}
	}
	return m
}

// opinions are what two judges say of the answers to the held-out questions, by question.
type opinions struct {
	Trained []float64 `json:"trained"` // the judge that the policy is trained against
	HeldOut []float64 `json:"held_out"`
}

// diagnosis follows a run's figures and finds what is off. It is part of a run's state.
type diagnosis struct {
	Start  []figures `json:"start"`  // of the iterations whose answers are the starting policy's
	Recent []figures `json:"recent"` // of the last ones of the others, at most criticWindow
	First  opinions  `json:"first"`  // of the first evaluation
	Peak   opinions  `json:"peak"`   // of that which the held-out judge thinks best
	Found  []Trouble `json:"found"`  // by when they first showed
	// Now holds what the last iteration and the last evaluation show.
	Now       []Trouble `json:"now"`
	Judgement *Trouble  `json:"judgement,omitempty"` // of the last evaluation
}

// iteration takes an iteration in, and returns what it is the first to show.
func (d *diagnosis) iteration(s Stats, c Config) []Trouble {
	d.Now = nil
	see := func(off bool, kind TroubleKind, format string, args ...any) {
		if off {
			d.Now = append(d.Now, Trouble{Kind: kind, Iteration: s.Iteration, Figures: fmt.Sprintf(format, args...)})
		}
	}
	see(s.FirstRatioError > ratioTolerance, RatioOff, "π_new/π_old − 1 is up to %.3g", s.FirstRatioError)
	see(s.KL < -klNoise*s.KLError-klRounding*s.Length, NegativeKL, "%.3g ± %.2g nats an answer", s.KL, s.KLError)

	f := figures{s.Length, s.Distinct2, s.Repetition, s.Entropy, float64(s.Ended) / float64(c.BatchSize), s.KL, s.KLPerToken, s.ExplainedValue}
	if slices.ContainsFunc(f.all(), func(x *float64) bool { return math.IsNaN(*x) || math.IsInf(*x, 0) }) {
		return d.news(d.Now) // no mean to take, and no JSON to write it in
	}
	see(f.KLPerToken > explodingKL, ExplodingKL, "%.3g nats a token, %.3g an answer", f.KLPerToken, f.KL)
	if s.Iteration <= c.CriticWarmup+1 { // the policy moves first after these answers
		d.Start = append(d.Start, f)
		see(s.Iteration > c.CriticWarmup && mean(d.Start).Ended < leastEnded, Endless, "%.0f %% end, before the policy has moved", 100*mean(d.Start).Ended)
		return d.news(d.Now)
	}
	d.Recent = append(d.Recent, f)
	d.Recent = d.Recent[max(len(d.Recent)-criticWindow, 0):]
	if s.Iteration >= c.CriticWarmup+1+2*criticWindow {
		explained := mean(d.Recent).Explained
		see(explained <= 0, DeadCritic, "explained variance %.3g over the last %d iterations", explained, len(d.Recent))
	}
	if len(d.Recent) < window || len(d.Start) == 0 {
		return d.news(d.Now)
	}
	now, start := mean(d.Recent[len(d.Recent)-window:]), mean(d.Start)
	see(now.Entropy < leastEntropy*start.Entropy, CollapsedEntropy, "%.3g nats a token, %.3g at the start", now.Entropy, start.Entropy)
	see(now.Ended < leastEnded, Endless, "%.0f %% end, %.0f %% at the start", 100*now.Ended, 100*start.Ended)
	see(math.Abs(now.Length/start.Length-1) > drift, LengthDrift, "%.3g tokens, %.3g at the start", now.Length, start.Length)
	see(now.Distinct < leastDistinct*start.Distinct || now.Repetition > start.Repetition+mostRepetition, Repeating,
		"distinct-2 is %.3g, %.3g at the start; %.1f %% of four tokens in a row stood in their answer before, %.1f %% at the start",
		now.Distinct, start.Distinct, 100*now.Repetition, 100*start.Repetition)
	see(now.KL > farKL, FarKL, "%.3g nats an answer", now.KL)
	return d.news(d.Now)
}

// judged takes in what two judges say of the answers of an evaluation.
//
// Both were asked about the same questions before, so that differences are paired. The judge that is not trained
// against shares the errors of the other less than its sense: a rise that it sees half of at most, or a fall from what it
// thought best while the other's scores did not fall, is won from the reward models, not by better answers.
func (d *diagnosis) judged(iteration int, o opinions) []Trouble {
	d.Judgement = nil
	if slices.ContainsFunc(slices.Concat(o.Trained, o.HeldOut), func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }) {
		return nil
	}
	if len(d.First.HeldOut) != len(o.HeldOut) {
		d.First, d.Peak = o, o
		return nil
	}
	rise, _ := pairedMean(o.Trained, d.First.Trained)
	seen, _ := pairedMean(o.HeldOut, d.First.HeldOut)
	missed := make([]float64, len(o.HeldOut)) // of the half that it should see
	for i := range missed {
		missed[i] = believed*(o.Trained[i]-d.First.Trained[i]) - (o.HeldOut[i] - d.First.HeldOut[i])
	}
	doubt, doubtError := pairedMean(missed, make([]float64, len(missed)))
	fall, fallError := pairedMean(d.Peak.HeldOut, o.HeldOut)
	since, _ := pairedMean(o.Trained, d.Peak.Trained)
	off := rise > 0 && doubt > judgeNoise*doubtError || since >= 0 && fall > judgeNoise*fallError
	if off {
		d.Judgement = &Trouble{Kind: Diverging, Iteration: iteration, Figures: fmt.Sprintf(
			"since the start the score of held-out answers rose by %.3g, for the held-out judge by %.3g, which is %.2g ± %.1g below its best", rise, seen, max(fall, 0), fallError)}
	}
	if fall < 0 {
		d.Peak = o
	}
	if !off {
		return nil
	}
	return d.news([]Trouble{*d.Judgement})
}

// pairedMean is the mean of a − b with its standard error.
func pairedMean(a, b []float64) (m, e float64) {
	n := float64(len(a))
	for i := range a {
		m += (a[i] - b[i]) / n
	}
	for i := range a {
		e += (a[i] - b[i] - m) * (a[i] - b[i] - m)
	}
	return m, math.Sqrt(e / max(n-1, 1) / n)
}

// news keeps those of some troubles that have not shown before, and returns them.
func (d *diagnosis) news(shown []Trouble) (first []Trouble) {
	for _, t := range shown {
		if !slices.ContainsFunc(d.Found, func(f Trouble) bool { return f.Kind == t.Kind }) {
			first = append(first, t)
		}
	}
	d.Found = append(d.Found, first...)
	return first
}

// all are the troubles found so far, by when they first showed; those that show no longer are marked.
func (d *diagnosis) all() []Trouble {
	found := slices.Clone(d.Found)
	for i := range found {
		is := func(t Trouble) bool { return t.Kind == found[i].Kind }
		found[i].Past = !slices.ContainsFunc(d.Now, is) && (d.Judgement == nil || !is(*d.Judgement))
	}
	return found
}

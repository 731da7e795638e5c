package dashboard

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"tandem/report"
	"tandem/store"
)

// curveGroup is the metrics of a run that belong together.
type curveGroup struct {
	Name   string // what their names begin with
	Title  string
	Curves []drawnCurve
}

// drawnCurve is a metric as the server draws it.
type drawnCurve struct {
	Name    string
	Meaning string
	report.Drawing
	Drawn     bool // there is a finite value
	Last      string
	LastStep  int64
	First     string
	Low, High string
	NotFinite string // which steps had a value that is not finite, as far as can be told
}

// groups are the parts of metrics' names before a slash, in the order of the page.
var groups = []struct{ name, title string }{
	{"objective", "What is optimised"}, {"eval", "On held-out data"}, {"", "Training"}, {"evaluation", "What the evaluation found"}, {"loss", "Losses"}, {"policy", "The policy’s updates"},
	{"val", "Answers and critic"}, {"time", "Time of each phase, in seconds"}, {costGroup, "What it spends"},
}

// costGroup is the group of metrics that say what a run spends.
const costGroup = "cost"

// groupOf is the group of a metric. Trainers write eval_loss where PPO writes eval/….
func groupOf(name string) string {
	switch name {
	case store.TokensMetric, store.FlopsMetric, store.CPUMetric, "tokens_per_second":
		return costGroup
	}
	if strings.HasPrefix(name, "eval_") {
		return "eval"
	}
	group, _, found := strings.Cut(name, "/")
	if !found {
		return ""
	}
	return group
}

// groupsOf draws the curves and sorts them into groups; last are the metrics' last values.
func groupsOf(curves []store.Curve, last []store.Metric) ([]curveGroup, error) {
	lastOf := make(map[string]store.Metric, len(last))
	for _, m := range last {
		lastOf[m.Name] = m
	}
	var out []curveGroup
	at := make(map[string]int)
	for _, g := range groups {
		at[g.name] = len(out)
		out = append(out, curveGroup{Name: g.name, Title: g.title})
	}
	for _, c := range curves {
		drawn, err := drawCurve(c, lastOf[c.Name])
		if err != nil {
			return nil, err
		}
		name := groupOf(c.Name)
		i, known := at[name]
		if !known {
			i = len(out)
			at[name] = i
			out = append(out, curveGroup{Name: name, Title: name})
		}
		out[i].Curves = append(out[i].Curves, drawn)
	}
	var filled []curveGroup
	for _, g := range out {
		if len(g.Curves) > 0 {
			filled = append(filled, g)
		}
	}
	return filled, nil
}

func drawCurve(c store.Curve, last store.Metric) (drawnCurve, error) {
	d := drawnCurve{Name: c.Name, Meaning: meanings[c.Name], Last: figure(last.Value), LastStep: last.Step, First: figure(c.Points[0].Value)}
	var points []report.Point
	var missing []string
	low, high, thinned := math.Inf(1), math.Inf(-1), false
	for _, p := range c.Points {
		if finiteOrNil(p.Value) == nil || finiteOrNil(p.Low) == nil || finiteOrNil(p.High) == nil {
			missing = append(missing, strconv.FormatInt(p.Step, 10))
			continue
		}
		low, high, thinned = min(low, p.Low), max(high, p.High), thinned || p.Low < p.High
		// A mean of equal numbers may differ from them in the last bit.
		points = append(points, report.Point{X: float64(p.Step), Y: report.Between(p.Value, min(p.Low, p.Value), max(p.High, p.Value))})
	}
	d.NotFinite = someOf(missing)
	if len(points) == 0 {
		d.Low, d.High = "–", "–"
		return d, nil
	}
	d.Low, d.High, d.Drawn = figure(low), figure(high), true
	caption := "By step."
	if thinned {
		caption = "Means of neighbouring steps, and the range that they lie in."
	}
	y := report.Axis{}
	if low == high { // or the curve would be lost on a scale from one below it to one above
		room := max(math.Abs(low)/2, 1e-9)
		y = report.Axis{Min: report.At(low - room), Max: report.At(high + room)}
	}
	var err error
	d.Drawing, err = report.Figure{Title: c.Name, Caption: caption, Lines: &report.Lines{
		X: report.Axis{Label: "step"}, Y: y, Series: []report.Series{{Name: c.Name, Points: points}}, Band: thinned, Plain: len(points) > 30,
	}}.Draw()
	return d, err
}

// someOf lists the first few of many.
func someOf(texts []string) string {
	const most = 5
	if len(texts) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(texts[:most], ", "), len(texts)-most)
	}
	return strings.Join(texts, ", ")
}

// figure is a metric's value for people, with five digits.
func figure(x float64) string {
	return strings.NewReplacer("e+0", "e", "e+", "e", "e-0", "e−", "-", "−").Replace(strconv.FormatFloat(x, 'g', 5, 64))
}

func finiteOrNil(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// meanings say what metrics are, by name (TRL's where it has one).
var meanings = map[string]string{
	"objective/kl":               "How far the policy has gone from its reference: KL of an answer, in nats",
	"objective/kl_per_token":     "The same of a token",
	"objective/entropy":          "−ln π of an answer: how many ways it has to answer",
	"objective/non_score_reward": "−β · KL",
	"objective/rlhf_reward":      "Score less β · KL",
	"objective/scores":           "What the reward models say of the answers",
	"objective/uncertainty":      "How far an ensemble’s members differ",
	"policy/approxkl_avg":        "How far one update moves the policy",
	"policy/clipfrac_avg":        "Share of tokens that the clip holds back",
	"policy/entropy_avg":         "Entropy of a token, in nats",
	"policy/grad_norm":           "Norm of the policy’s gradient before clipping",
	"loss/policy_avg":            "The policy’s clipped loss",
	"loss/value_avg":             "The critic’s loss",
	"val/clipfrac_avg":           "Share of tokens at which the critic is held back",
	"val/ratio":                  "π new / π old, mean",
	"val/ratio_var":              "Its variance over minibatches",
	"val/first_ratio_error":      "Greatest |π new / π old − 1| before the first update: rounding, or sampler and update disagree",
	"val/num_eos_tokens":         "Answers that ended by themselves",
	"val/explained_variance":     "How much of the returns the critic foresees; at or below 0 it foresees nothing",
	"val/grad_norm":              "Norm of the critic’s gradient before clipping",
	"val/length":                 "Tokens of an answer",
	"eval/objective":             "Score less β · KL on held-out prompts: what early stopping follows",
	"eval/objective/scores":      "What the reward models say on held-out prompts",
	"eval/objective/kl":          "KL of an answer on held-out prompts, in nats",
	"eval/val/length":            "Tokens of an answer to held-out prompts",
	"episode":                    "Answers sampled so far",
	"loss":                       "Loss of the step",
	"grad_norm":                  "Norm of the gradient before clipping",
	"lr":                         "Learning rate",
	"epoch":                      "Passes over the data",
	"eval_loss":                  "Loss on held-out data",
	"tokens_per_second":          "Tokens trained on in a second",
	"time/sample":                "Sampling",
	"time/score":                 "Scoring by the reward models",
	"time/forward":               "Log-probabilities and values",
	"time/update":                "Updates of policy and critic",
	"time/rest":                  "Everything else of an iteration",
	"memory/sample":              "Memory in bytes that the process held at most while it sampled",
	"memory/score":               "The same while it scored",
	"memory/forward":             "The same of log-probabilities and values",
	"memory/update":              "The same of the updates",
	"memory/rest":                "The same of everything else",
	store.TokensMetric:           "Tokens of the step",
	store.FlopsMetric:            "Floating point operations of the step, by the models’ shapes",
	store.CPUMetric:              "Processor time since the step before, over all cores",
}

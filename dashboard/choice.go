package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tandem"
	"tandem/report"
	"tandem/statistics"
	"tandem/store"
)

type choiceStore interface {
	ChoiceCounts(ctx context.Context, projectID string) ([]store.ChoiceCount, error)
}

// PositionBias is how often the answer that stood left (on a phone, above) was chosen. The sides are drawn at
// random, so half is right, whatever the answers are worth.
type PositionBias struct {
	Overall   Lean   `json:"overall"`
	People    []Lean `json:"people" doc:"Everyone, the most biased first."`
	Positions [8]int `json:"positions" doc:"Judgments by where they stand on the scale as it was shown, from left significantly better to right significantly better."`
}

// Lean is how often somebody chose the left answer.
type Lean struct {
	Annotator string   `json:"annotator,omitempty" doc:"Pseudonym; absent for everybody together."`
	Left      int      `json:"left"`
	Judgments int      `json:"judgments"`
	Share     Estimate `json:"share" doc:"Of left, with Wilson's interval."`
	P         *float64 `json:"p,omitempty" doc:"Of the exact two-sided binomial test against one half; absent without judgments."`
	Biased    bool     `json:"biased" doc:"p is below 0.05 divided by the number of people tested (Bonferroni's correction)."`
}

// PText is the p-value for people.
func (l Lean) PText() string {
	switch {
	case l.P == nil:
		return "–"
	case *l.P < 0.0001:
		return "< 0.0001"
	}
	return fmt.Sprintf("%.4f", *l.P)
}

func leanOf(annotator string, left, n, tested int) (Lean, error) {
	l := Lean{Annotator: annotator, Left: left, Judgments: n}
	var err error
	if l.Share, err = share(left, n); err != nil {
		return l, err
	}
	p, err := statistics.BinomialTest(left, n)
	if err == nil {
		l.P, l.Biased = &p, p < 0.05/float64(tested)
	}
	if statistics.IsUndefined(err) {
		err = nil // the share says why
	}
	return l, err
}

func positionBiasOf(counts []store.ChoiceCount) (PositionBias, error) {
	var b PositionBias
	type sides struct{ left, n int }
	people := make(map[string]sides)
	var all sides
	for _, c := range counts {
		p, left := people[c.Annotator], 0
		size := int(c.Degree) - 1
		position := 4 + size
		if c.Left {
			left, position = c.Judgments, 3-size
		}
		b.Positions[position] += c.Judgments
		people[c.Annotator] = sides{p.left + left, p.n + c.Judgments}
		all = sides{all.left + left, all.n + c.Judgments}
	}
	var err error
	if b.Overall, err = leanOf("", all.left, all.n, 1); err != nil {
		return b, err
	}
	b.People = []Lean{}
	for _, annotator := range slices.Sorted(maps.Keys(people)) {
		p := people[annotator]
		lean, err := leanOf(annotator, p.left, p.n, len(people))
		if err != nil {
			return b, err
		}
		b.People = append(b.People, lean)
	}
	slices.SortStableFunc(b.People, func(x, y Lean) int { return cmp.Compare(*x.P, *y.P) })
	return b, nil
}

// positionNames are the eight positions of the scale, as short as a figure needs.
var positionNames = []string{"L +++", "L ++", "L +", "L ±", "R ±", "R +", "R ++", "R +++"}

func (b PositionBias) figure() *report.Figure {
	if b.Overall.Judgments == 0 {
		return nil
	}
	bars := report.Bars{Y: report.Axis{Label: "% of judgments"}, Categories: positionNames, Series: []report.BarSeries{{Name: "Judgments"}}}
	for _, n := range b.Positions {
		bars.Series[0].Values = append(bars.Series[0].Values, report.Exactly(100*float64(n)/float64(b.Overall.Judgments)))
	}
	return &report.Figure{Title: "Positions on the scale, as shown", Bars: &bars,
		Caption: "From left significantly better (L +++) over negligibly better or unsure (±) to right significantly better (R +++). Without a bias the halves mirror each other."}
}

// Shares are the parts of degrees and of safety bins, by collection batch. Gold tasks are left out.
type Shares struct {
	Batches []Batch `json:"batches" doc:"The first batch first; 0 is what has none."`
	All     Batch   `json:"all"`
	// Llama2 are the shares of Meta's own safety data.
	Llama2 []Part `json:"llama2" doc:"Safety bins of Llama 2's own data (section 3.2.1). Of degrees the paper prints no figures."`
}

// Batch is one batch's shares.
type Batch struct {
	Batch     int    `json:"batch"`
	Judgments int    `json:"judgments"`
	Degrees   []Part `json:"degrees" doc:"The strongest first."`
	Labelled  int    `json:"labelled" doc:"Judgments with both safety labels."`
	Bins      []Part `json:"bins" doc:"Shares of the labelled judgments; empty without any. unsafe_chosen are pairs whose chosen answer is unsafe while the other is safe, which reward models do not learn from."`
}

// Part is a share of the whole.
type Part struct {
	Name      string   `json:"name"`
	Judgments int      `json:"judgments,omitempty"`
	Share     Estimate `json:"share"`
}

// binNames are the safety bins in the paper's order, and what the paper leaves out.
var binNames = []string{string(tandem.ChosenSafe), string(tandem.BothSafe), string(tandem.BothUnsafe), unsafeChosen}

const unsafeChosen = "unsafe_chosen"

// llama2Bins are the shares of section 3.2.1.
func llama2Bins() []Part {
	var parts []Part
	for i, value := range []float64{0.18, 0.47, 0.35} {
		parts = append(parts, Part{Name: binNames[i], Share: Estimate{Value: &value}})
	}
	return parts
}

func sharesOf(counts []store.ChoiceCount) (Shares, error) {
	type tally struct {
		n, labelled int
		degrees     map[tandem.Degree]int
		bins        map[string]int
	}
	newTally := func() *tally { return &tally{degrees: map[tandem.Degree]int{}, bins: map[string]int{}} }
	all, batches := newTally(), make(map[int]*tally)
	for _, c := range counts {
		if c.Gold {
			continue
		}
		if batches[c.Batch] == nil {
			batches[c.Batch] = newTally()
		}
		bin := string(tandem.Comparison{Chosen: tandem.Response{Label: c.Chosen}, Rejected: tandem.Response{Label: c.Rejected}}.Bin())
		if c.Chosen == tandem.Unsafe && c.Rejected == tandem.Safe {
			bin = unsafeChosen
		}
		for _, t := range []*tally{all, batches[c.Batch]} {
			t.n += c.Judgments
			t.degrees[c.Degree] += c.Judgments
			if bin != "" {
				t.labelled += c.Judgments
				t.bins[bin] += c.Judgments
			}
		}
	}
	batchOf := func(number int, t *tally) (Batch, error) {
		b := Batch{Batch: number, Judgments: t.n, Labelled: t.labelled, Degrees: []Part{}, Bins: []Part{}}
		for _, d := range slices.Backward(tandem.Degrees()) {
			s, err := share(t.degrees[d], t.n)
			if err != nil {
				return b, err
			}
			b.Degrees = append(b.Degrees, Part{d.String(), t.degrees[d], s})
		}
		for _, name := range binNames {
			s, err := share(t.bins[name], t.labelled)
			if err != nil {
				return b, err
			}
			if t.labelled > 0 {
				b.Bins = append(b.Bins, Part{name, t.bins[name], s})
			}
		}
		return b, nil
	}
	out := Shares{Llama2: llama2Bins(), Batches: []Batch{}}
	var err error
	if out.All, err = batchOf(0, all); err != nil {
		return out, err
	}
	for _, number := range slices.Sorted(maps.Keys(batches)) {
		b, err := batchOf(number, batches[number])
		if err != nil {
			return out, err
		}
		out.Batches = append(out.Batches, b)
	}
	return out, nil
}

// Name is the batch's for people.
func (b Batch) Name() string {
	if b.Batch == 0 {
		return "none"
	}
	return fmt.Sprint(b.Batch)
}

// words are a degree's or a bin's name for people.
func words(name string) string {
	switch name {
	case tandem.NegligiblyBetter.String():
		return "negligibly better or unsure"
	case string(tandem.ChosenSafe):
		return "chosen safe, other unsafe"
	case unsafeChosen:
		return "chosen unsafe, other safe"
	}
	return strings.ReplaceAll(name, "_", " ")
}

// degreeFigure draws the degrees' shares from batch to batch.
func (s Shares) degreeFigure() *report.Figure {
	if len(s.Batches) == 0 {
		return nil
	}
	lines := report.Lines{X: report.Axis{Label: "batch"}, Y: report.Axis{Label: "%", Min: report.At(0)}}
	for i, d := range slices.Backward(tandem.Degrees()) {
		series := report.Series{Name: words(d.String())}
		for x, b := range s.Batches {
			series.Points = append(series.Points, report.Point{X: float64(x), Y: percent(b.Degrees[len(tandem.Degrees())-1-i].Share)})
		}
		lines.Series = append(lines.Series, series)
	}
	for _, b := range s.Batches {
		lines.X.Ticks = append(lines.X.Ticks, b.Name())
	}
	return &report.Figure{Title: "Degrees by batch", Lines: &lines,
		Caption: "Shares of all judgments of a batch, with 95 % intervals. Llama 2 prints no figures of its own; it remarks that “negligibly better or unsure” grew from batch to batch as its answers became better."}
}

// binFigure draws the safety bins' shares beside Llama 2's.
func (s Shares) binFigure() *report.Figure {
	if s.All.Labelled == 0 {
		return nil
	}
	bars := report.Bars{Y: report.Axis{Label: "%"}}
	batches := slices.DeleteFunc(slices.Clone(s.Batches), func(b Batch) bool { return b.Labelled == 0 })
	for i, name := range binNames {
		series := report.BarSeries{Name: words(name)}
		for _, b := range batches {
			series.Values = append(series.Values, percent(b.Bins[i].Share))
		}
		llama2 := report.Exactly(0)
		if i < len(s.Llama2) {
			llama2 = percent(s.Llama2[i].Share)
		}
		series.Values = append(series.Values, percent(s.All.Bins[i].Share), llama2)
		bars.Series = append(bars.Series, series)
	}
	for _, b := range batches {
		bars.Categories = append(bars.Categories, b.Name())
	}
	bars.Categories = append(bars.Categories, "all", "Llama 2")
	return &report.Figure{Title: "Safety bins by batch", Bars: &bars, Wide: len(bars.Categories) > 6,
		Caption: "Shares of the judgments with both labels, with 95 % intervals, beside those of Llama 2’s safety data (section 3.2.1)."}
}

// percent is an estimate in percent, for a figure.
func percent(e Estimate) report.Estimate {
	switch {
	case e.Value == nil:
		return report.Exactly(0)
	case e.Low == nil:
		return report.Exactly(100 * *e.Value)
	}
	return report.Between(100**e.Value, 100**e.Low, 100**e.High)
}

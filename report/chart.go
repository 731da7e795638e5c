package report

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot"
)

// Estimate is a number with an interval. Low = Value = High is a number without one.
type Estimate struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Exactly is an estimate without an interval.
func Exactly(value float64) Estimate { return Estimate{value, value, value} }

// Between is an estimate with an interval.
func Between(value, low, high float64) Estimate { return Estimate{value, low, high} }

func (e Estimate) hasInterval() bool { return e.Low < e.High }

func (e Estimate) validate() error {
	if !finite(e.Value, e.Low, e.High) {
		return fmt.Errorf("%v [%v, %v] is not finite", e.Value, e.Low, e.High)
	}
	if e.Low > e.Value || e.Value > e.High {
		return fmt.Errorf("%v does not lie in its interval [%v, %v]", e.Value, e.Low, e.High)
	}
	return nil
}

// Axis describes one side of a chart.
type Axis struct {
	Label string   `json:"label,omitempty"`
	Min   *float64 `json:"min,omitempty"` // nil lets the data decide
	Max   *float64 `json:"max,omitempty"`
	// Ticks name the positions 0, 1, 2 …, where the axis is not a scale of numbers.
	Ticks []string `json:"ticks,omitempty"`
}

// At gives an Axis one of its ends.
func At(x float64) *float64 { return &x }

// Lines is a chart of one or more series over a common x: progress by version, a loss by step, a
// calibration or ROC curve.
type Lines struct {
	X      Axis     `json:"x"`
	Y      Axis     `json:"y"`
	Series []Series `json:"series"`
	Band   bool     `json:"band,omitempty"`     // intervals are shaded bands, for many points; else error bars
	Step   bool     `json:"step,omitempty"`     // the line goes in steps, as a ROC curve does
	Plain  bool     `json:"plain,omitempty"`    // no marks at the points, for many of them
	Equal  bool     `json:"diagonal,omitempty"` // a dashed diagonal, where x = y
}

// Series is one line of a chart.
type Series struct {
	Name   string  `json:"name"`
	Points []Point `json:"points"`
}

// Point is one place of a series.
type Point struct {
	X float64  `json:"x"`
	Y Estimate `json:"y"`
}

// Bars is a chart of grouped bars from zero, with error bars where there are intervals.
type Bars struct {
	Y          Axis        `json:"y"`
	Categories []string    `json:"categories"`
	Series     []BarSeries `json:"series"`
}

// BarSeries has one value for every category.
type BarSeries struct {
	Name   string     `json:"name"`
	Values []Estimate `json:"values"`
}

// Histogram is one or more distributions over common bins, drawn as outlines.
type Histogram struct {
	X      Axis              `json:"x"`
	Edges  []float64         `json:"edges"` // one more than there are bins, rising
	Series []HistogramSeries `json:"series"`
}

// HistogramSeries holds the share of one distribution in each bin.
type HistogramSeries struct {
	Name   string    `json:"name"`
	Shares []float64 `json:"shares"`
	Count  int       `json:"count"` // how many values the shares are of
}

// Values names the numbers of one distribution.
type Values struct {
	Name   string
	Values []float64
}

// NewHistogram sorts the values into bins of equal width from the smallest to the largest of all.
// Values that are not finite are refused when the report is written.
func NewHistogram(x Axis, bins int, distributions ...Values) *Histogram {
	bins = max(1, bins)
	low, high := math.Inf(1), math.Inf(-1)
	for _, d := range distributions {
		for _, v := range d.Values {
			low, high = math.Min(low, v), math.Max(high, v)
		}
	}
	if x.Min != nil {
		low = *x.Min
	}
	if x.Max != nil {
		high = *x.Max
	}
	if !(low < high) {
		high = low + 1
	}
	h := &Histogram{X: x}
	for i := range bins + 1 {
		h.Edges = append(h.Edges, low+(high-low)*float64(i)/float64(bins))
	}
	for _, d := range distributions {
		s := HistogramSeries{Name: d.Name, Shares: make([]float64, bins), Count: len(d.Values)}
		for _, v := range d.Values {
			bin := int((v - low) / (high - low) * float64(bins))
			s.Shares[min(bins-1, max(0, bin))] += 1 / float64(len(d.Values))
		}
		h.Series = append(h.Series, s)
	}
	return h
}

// chart is what the kinds have in common.
type chart interface {
	validate() error
	names() []string          // of the series, for the legend
	shape(i int) string       // a character like the i-th series' mark
	table(title string) Table // the numbers, for those who cannot see the plot
	draw(p *plot.Plot) error  // fills the plot
}

func (f Figure) chart() (chart, error) {
	var charts []chart
	if f.Lines != nil {
		charts = append(charts, f.Lines)
	}
	if f.Bars != nil {
		charts = append(charts, f.Bars)
	}
	if f.Histogram != nil {
		charts = append(charts, f.Histogram)
	}
	if f.Path != nil {
		charts = append(charts, f.Path)
	}
	if f.Heat != nil {
		charts = append(charts, f.Heat)
	}
	if len(charts) != 1 {
		return nil, fmt.Errorf("it has %d charts, not one", len(charts))
	}
	return charts[0], nil
}

func (a Axis) validate() error {
	for _, end := range []*float64{a.Min, a.Max} {
		if end != nil && !finite(*end) {
			return fmt.Errorf("an end of the axis %q is %v", a.Label, *end)
		}
	}
	if a.Min != nil && a.Max != nil && *a.Min >= *a.Max {
		return fmt.Errorf("the axis %q goes from %v to %v", a.Label, *a.Min, *a.Max)
	}
	return nil
}

func (l *Lines) validate() error {
	if err := errors.Join(l.X.validate(), l.Y.validate()); err != nil {
		return err
	}
	if len(l.Series) == 0 {
		return errors.New("there is no series")
	}
	for _, s := range l.Series {
		if len(s.Points) == 0 {
			return fmt.Errorf("series %q has no points", s.Name)
		}
		for _, p := range s.Points {
			if !finite(p.X) {
				return fmt.Errorf("series %q has a point at x = %v", s.Name, p.X)
			}
			if err := p.Y.validate(); err != nil {
				return fmt.Errorf("series %q at x = %v: %w", s.Name, p.X, err)
			}
		}
	}
	return nil
}

func (b *Bars) validate() error {
	if err := b.Y.validate(); err != nil {
		return err
	}
	if len(b.Categories) == 0 || len(b.Series) == 0 {
		return errors.New("there are no bars")
	}
	for _, s := range b.Series {
		if len(s.Values) != len(b.Categories) {
			return fmt.Errorf("series %q has %d values for %d categories", s.Name, len(s.Values), len(b.Categories))
		}
		for i, v := range s.Values {
			if err := v.validate(); err != nil {
				return fmt.Errorf("series %q, %q: %w", s.Name, b.Categories[i], err)
			}
		}
	}
	return nil
}

func (h *Histogram) validate() error {
	if err := h.X.validate(); err != nil {
		return err
	}
	if len(h.Edges) < 2 || len(h.Series) == 0 {
		return errors.New("there are no bins or no series")
	}
	if !finite(h.Edges...) || !slices.IsSorted(h.Edges) {
		return errors.New("the edges of the bins do not rise")
	}
	for _, s := range h.Series {
		if len(s.Shares) != len(h.Edges)-1 {
			return fmt.Errorf("series %q has %d shares for %d bins", s.Name, len(s.Shares), len(h.Edges)-1)
		}
		if !finite(s.Shares...) {
			return fmt.Errorf("series %q has a share that is not finite", s.Name)
		}
	}
	return nil
}

func finite(values ...float64) bool {
	return !slices.ContainsFunc(values, func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) })
}

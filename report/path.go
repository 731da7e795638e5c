package report

import (
	"errors"
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// Path is a chart of named places in a plane, joined in their order: two figures of each version, version by version.
type Path struct {
	X      Axis         `json:"x"`
	Y      Axis         `json:"y"`
	Series []PathSeries `json:"series"`
	// Cross, if not nil, is where a dashed line crosses either axis.
	Cross *float64 `json:"cross,omitempty"`
}

// PathSeries is one path.
type PathSeries struct {
	Name   string  `json:"name"`
	Places []Place `json:"places"`
}

// Place is a point with an interval in either direction.
type Place struct {
	Name string   `json:"name"`
	X    Estimate `json:"x"`
	Y    Estimate `json:"y"`
}

func (c *Path) validate() error {
	if err := errors.Join(c.X.validate(), c.Y.validate()); err != nil {
		return err
	}
	if len(c.Series) == 0 {
		return errors.New("there is no series")
	}
	if c.Cross != nil && !finite(*c.Cross) {
		return fmt.Errorf("the lines cross at %v", *c.Cross)
	}
	for _, s := range c.Series {
		if len(s.Places) == 0 {
			return fmt.Errorf("series %q has no places", s.Name)
		}
		for _, p := range s.Places {
			if err := errors.Join(p.X.validate(), p.Y.validate()); err != nil {
				return fmt.Errorf("series %q, %q: %w", s.Name, p.Name, err)
			}
		}
	}
	return nil
}

func (c *Path) names() []string {
	var names []string
	for _, s := range c.Series {
		names = append(names, s.Name)
	}
	return names
}

func (c *Path) shape(i int) string {
	_, shapes := marks()
	return shapes[i%len(shapes)]
}

func (c *Path) table(title string) Table {
	t := Table{Caption: "Numbers: " + title, Columns: []string{"", "", c.X.Label, c.Y.Label}}
	for _, s := range c.Series {
		for _, p := range s.Places {
			t.Rows = append(t.Rows, []Cell{Text(p.Name), Text(s.Name), Interval(p.X, 3), Interval(p.Y, 3)})
		}
	}
	return t
}

// across are the intervals of places along x.
type across struct {
	plotter.XYs
	errors plotter.XErrors
}

func (e across) XError(i int) (low, high float64) { return e.errors[i].Low, e.errors[i].High }

func (c *Path) draw(p *plot.Plot) error {
	glyphs, _ := marks()
	x, y := newSpan(), newSpan()
	if c.Cross != nil {
		x.take(*c.Cross)
		y.take(*c.Cross)
	}
	for i, s := range c.Series {
		hue := hue(i)
		pale := hue
		pale.A = 0x70
		var xys plotter.XYs
		var up []Point
		sideways, labels := across{}, plotter.XYLabels{}
		for _, place := range s.Places {
			at := plotter.XY{X: place.X.Value, Y: place.Y.Value}
			xys, up = append(xys, at), append(up, Point{place.X.Value, place.Y})
			if place.X.hasInterval() {
				sideways.XYs = append(sideways.XYs, at)
				sideways.errors = append(sideways.errors, struct{ Low, High float64 }{place.X.Value - place.X.Low, place.X.High - place.X.Value})
			}
			labels.XYs, labels.Labels = append(labels.XYs, at), append(labels.Labels, printable(place.Name))
			x.take(place.X.Low, place.X.High)
			y.take(place.Y.Low, place.Y.High)
		}
		if err := errorBars(p, up, pale); err != nil {
			return err
		}
		if len(sideways.XYs) > 0 {
			bars, err := plotter.NewXErrorBars(sideways)
			if err != nil {
				return err
			}
			bars.Color, bars.Width, bars.CapWidth = pale, 1, 5
			p.Add(bars)
		}
		line, err := plotter.NewLine(xys)
		if err != nil {
			return err
		}
		line.Color, line.Width = hue, 1.6
		scatter, err := plotter.NewScatter(xys)
		if err != nil {
			return err
		}
		scatter.Shape, scatter.Color, scatter.Radius = glyphs[i%len(glyphs)], hue, 3.5
		names, err := plotter.NewLabels(labels)
		if err != nil {
			return err
		}
		names.Offset = vg.Point{X: 5, Y: 4}
		if i%2 == 1 { // below, where another path's stand above
			names.Offset = vg.Point{X: 5, Y: -11}
		}
		for j := range names.TextStyle {
			names.TextStyle[j].Font, names.TextStyle[j].Color = font.From(sans(), 9), hue
		}
		p.Add(line, scatter, names)
	}
	p.X.Min, p.X.Max = x.wider()
	p.Y.Min, p.Y.Max = y.wider()
	frame(p, c.X, c.Y)
	if c.Cross == nil {
		return nil
	}
	for _, ends := range []plotter.XYs{{{X: *c.Cross, Y: p.Y.Min}, {X: *c.Cross, Y: p.Y.Max}}, {{X: p.X.Min, Y: *c.Cross}, {X: p.X.Max, Y: *c.Cross}}} {
		line, err := plotter.NewLine(ends)
		if err != nil {
			return err
		}
		line.Color, line.Dashes, line.Width = color.NRGBA{0x88, 0x88, 0x88, 0xff}, []vg.Length{4, 4}, 1
		p.Add(line)
	}
	return nil
}

// span is from the least to the greatest of what it has taken.
type span struct{ low, high float64 }

func newSpan() *span { return &span{math.Inf(1), math.Inf(-1)} }

func (s *span) take(values ...float64) {
	for _, v := range values {
		s.low, s.high = math.Min(s.low, v), math.Max(s.high, v)
	}
}

// wider adds a margin, more above for the names.
func (s *span) wider() (low, high float64) {
	margin := 0.06 * (s.high - s.low)
	if margin == 0 {
		margin = 1
	}
	return s.low - margin, s.high + 1.5*margin
}

package report

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

func (l *Lines) names() []string {
	var names []string
	for _, s := range l.Series {
		names = append(names, s.Name)
	}
	return names
}

func (l *Lines) shape(i int) string {
	if l.Plain {
		return "━"
	}
	_, shapes := marks()
	return shapes[i%len(shapes)]
}

func (l *Lines) draw(p *plot.Plot) error {
	glyphs, _ := marks()
	low, high := math.Inf(1), math.Inf(-1)
	for i, s := range l.Series {
		c := hue(i)
		points := s.Points
		if len(l.X.Ticks) > 0 && len(l.Series) > 1 && !l.Band {
			// Neighbours stand a little apart, so that their error bars can be told apart.
			points = make([]Point, len(s.Points))
			for j, pt := range s.Points {
				points[j] = Point{pt.X + 0.05*(float64(i)-float64(len(l.Series)-1)/2), pt.Y}
			}
		}
		var xys plotter.XYs
		for _, pt := range points {
			xys = append(xys, plotter.XY{X: pt.X, Y: pt.Y.Value})
			low, high = math.Min(low, pt.Y.Low), math.Max(high, pt.Y.High)
		}
		if l.Band {
			if err := band(p, points, c); err != nil {
				return err
			}
		} else if err := errorBars(p, points, c); err != nil {
			return err
		}
		line, err := plotter.NewLine(xys)
		if err != nil {
			return err
		}
		line.Color, line.Width = c, 1.6
		if l.Step {
			line.StepStyle = plotter.PostStep
		}
		p.Add(line)
		if l.Plain {
			continue
		}
		scatter, err := plotter.NewScatter(xys)
		if err != nil {
			return err
		}
		scatter.Shape, scatter.Color, scatter.Radius = glyphs[i%len(glyphs)], c, 3
		p.Add(scatter)
	}
	// The intervals decide the range, with a margin, where the axis does not.
	margin := 0.06 * (high - low)
	p.Y.Min, p.Y.Max = low-margin, high+margin
	frame(p, l.X, l.Y)
	if l.Equal {
		from, to := math.Max(p.X.Min, p.Y.Min), math.Min(p.X.Max, p.Y.Max)
		diagonal, err := plotter.NewLine(plotter.XYs{{X: from, Y: from}, {X: to, Y: to}})
		if err != nil {
			return err
		}
		diagonal.Color, diagonal.Dashes, diagonal.Width = color.NRGBA{0x88, 0x88, 0x88, 0xff}, []vg.Length{4, 4}, 1
		p.Add(diagonal)
	}
	return nil
}

func (b *Bars) names() []string {
	var names []string
	for _, s := range b.Series {
		names = append(names, s.Name)
	}
	return names
}

func (b *Bars) shape(int) string { return "■" }

func (b *Bars) draw(p *plot.Plot) error {
	width := 0.8 / float64(len(b.Series))
	low, high := 0.0, 0.0
	for i, s := range b.Series {
		c := hue(i)
		var tops []Point
		for j, v := range s.Values {
			left := float64(j) - 0.4 + float64(i)*width
			right := left + width*0.92
			bar, err := plotter.NewPolygon(plotter.XYs{{X: left, Y: 0}, {X: left, Y: v.Value}, {X: right, Y: v.Value}, {X: right, Y: 0}})
			if err != nil {
				return err
			}
			bar.Color, bar.LineStyle.Width = c, 0
			p.Add(bar)
			tops = append(tops, Point{(left + right) / 2, v})
			low, high = math.Min(low, v.Low), math.Max(high, v.High)
		}
		if err := errorBars(p, tops, ink); err != nil {
			return err
		}
	}
	p.Y.Min, p.Y.Max = low*1.06, high*1.06
	if low == high {
		p.Y.Max = 1
	}
	frame(p, Axis{Ticks: b.Categories}, b.Y)
	p.X.Min, p.X.Max = -0.55, float64(len(b.Categories))-0.45
	return nil
}

func (h *Histogram) names() []string {
	var names []string
	for _, s := range h.Series {
		names = append(names, fmt.Sprintf("%s (%d)", s.Name, s.Count))
	}
	return names
}

func (h *Histogram) shape(int) string { return "━" }

func (h *Histogram) draw(p *plot.Plot) error {
	highest := 0.0
	for i, s := range h.Series {
		c := hue(i)
		outline := plotter.XYs{{X: h.Edges[0], Y: 0}}
		for j, share := range s.Shares {
			outline = append(outline, plotter.XY{X: h.Edges[j], Y: share}, plotter.XY{X: h.Edges[j+1], Y: share})
			highest = math.Max(highest, share)
		}
		outline = append(outline, plotter.XY{X: h.Edges[len(h.Edges)-1], Y: 0})
		area, err := plotter.NewPolygon(outline)
		if err != nil {
			return err
		}
		fill := c
		fill.A = 0x1c
		if len(h.Series) > 3 { // more would hide each other
			fill.A = 0
		}
		area.Color, area.LineStyle.Width = fill, 0
		line, err := plotter.NewLine(outline)
		if err != nil {
			return err
		}
		line.Color, line.Width = c, 1.4
		p.Add(area, line)
	}
	p.Y.Min, p.Y.Max = 0, highest*1.06
	frame(p, h.X, Axis{Label: "share"})
	return nil
}

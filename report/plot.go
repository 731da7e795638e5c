package report

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"strconv"
	"strings"
	"unicode"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Sizes of a chart, in points of its own coordinates; the page scales it to its column.
const (
	chartWidth  vg.Length = 400
	wideWidth   vg.Length = 832
	chartHeight vg.Length = 240
)

// hues is how many colours there are before they repeat.
const hues = 7

// hue is one series' colour, from Okabe and Ito's palette, which the colour-blind can tell apart
// (https://jfly.uni-koeln.de/color/), darkened a little for thin lines on white.
func hue(i int) color.NRGBA {
	return [hues]color.NRGBA{
		{0x00, 0x62, 0xa3, 0xff}, // blue
		{0xd5, 0x5e, 0x00, 0xff}, // vermilion
		{0x00, 0x8b, 0x68, 0xff}, // bluish green
		{0xb0, 0x5a, 0x8c, 0xff}, // reddish purple
		{0xb8, 0x86, 0x00, 0xff}, // dark yellow
		{0x3f, 0x9b, 0xc8, 0xff}, // sky blue
		{0x55, 0x55, 0x55, 0xff}, // grey
	}[i%hues]
}

// What is no series is drawn in ink, the grid faintly.
var (
	ink   = color.NRGBA{0x33, 0x3a, 0x45, 0xff}
	faint = color.NRGBA{0xe6, 0xe8, 0xec, 0xff}
)

// svg draws a chart.
func svg(f Figure, c chart) (out []byte, err error) {
	p := plot.New()
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font = font.From(sans(), 10)
		axis.Label.TextStyle.Color = ink
		axis.Tick.Label.Font = font.From(sans(), 9)
		axis.Tick.Label.Color = ink
		axis.LineStyle.Color, axis.LineStyle.Width = ink, 0.5
		axis.Tick.LineStyle.Color, axis.Tick.LineStyle.Width, axis.Tick.Length = ink, 0.5, 4
		axis.Label.Padding = 4
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color = nil
	grid.Horizontal.Color, grid.Horizontal.Width = faint, 0.75
	p.Add(grid)
	if err := c.draw(p); err != nil {
		return nil, err
	}
	width := chartWidth
	if f.Wide {
		width = wideWidth
	}
	canvas := vgsvg.NewWith(vgsvg.UseWH(width, chartHeight+slant(p, width)))
	area := draw.Crop(draw.New(canvas), 2, -8, 2, -6)
	p.Draw(area)
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, err
	}
	// What stands before the element belongs to a file of its own; the size is the page's to set.
	_, body, found := strings.Cut(b.String(), "<svg ")
	_, body, ok := strings.Cut(body, "viewBox=")
	if !found || !ok {
		return nil, fmt.Errorf("the plotting library wrote no <svg viewBox=…>")
	}
	return []byte(`<svg aria-hidden="true" focusable="false" viewBox=` + body), nil
}

// slant writes the names below a chart aslant where they would run into each other, and returns by how much the chart grows.
func slant(p *plot.Plot, width vg.Length) vg.Length {
	names, are := p.X.Tick.Marker.(plot.ConstantTicks)
	if !are {
		return 0
	}
	longest := vg.Length(0)
	for _, name := range names {
		longest = max(longest, p.X.Tick.Label.Width(name.Label))
	}
	const beside, gap = 40, 10 // the vertical axis; between names
	if longest+gap <= (width-beside)/vg.Length(p.X.Max-p.X.Min) {
		return 0
	}
	p.X.Tick.Label.Rotation = math.Pi / 5
	p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = draw.XRight, draw.YTop
	return longest * vg.Length(math.Sin(p.X.Tick.Label.Rotation))
}

// sans is the plots' typeface. The page sets the family for browsers; its metrics are Liberation's,
// which are Arial's.
func sans() font.Font { return font.Font{Typeface: "Liberation", Variant: "Sans"} }

// frame sets the axes' labels, ends and ticks.
func frame(p *plot.Plot, x, y Axis) {
	p.X.Label.Text, p.Y.Label.Text = printable(x.Label), printable(y.Label)
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(roundTicks), plot.TickerFunc(roundTicks)
	for _, side := range []struct {
		names []string
		axis  *plot.Axis
	}{{x.Ticks, &p.X}, {y.Ticks, &p.Y}} {
		if len(side.names) == 0 {
			continue
		}
		side.axis.Min, side.axis.Max = -0.4, float64(len(side.names))-0.6
		var ticks plot.ConstantTicks
		for i, name := range side.names {
			ticks = append(ticks, plot.Tick{Value: float64(i), Label: printable(name)})
		}
		side.axis.Tick.Marker = ticks
		side.axis.Tick.LineStyle.Color = color.Transparent // names need no tick, but its distance
	}
	for _, end := range []struct {
		from *float64
		to   *float64
	}{{x.Min, &p.X.Min}, {x.Max, &p.X.Max}, {y.Min, &p.Y.Min}, {y.Max, &p.Y.Max}} {
		if end.from != nil {
			*end.to = *end.from
		}
	}
}

// intervals are the error bars of points that have an interval.
type intervals struct {
	plotter.XYs
	errors plotter.YErrors
}

func (e intervals) YError(i int) (low, high float64) { return e.errors[i].Low, e.errors[i].High }

func errorBars(p *plot.Plot, points []Point, c color.Color) error {
	var e intervals
	for _, pt := range points {
		if pt.Y.hasInterval() {
			e.XYs = append(e.XYs, plotter.XY{X: pt.X, Y: pt.Y.Value})
			e.errors = append(e.errors, struct{ Low, High float64 }{pt.Y.Value - pt.Y.Low, pt.Y.High - pt.Y.Value})
		}
	}
	if len(e.XYs) == 0 {
		return nil
	}
	bars, err := plotter.NewYErrorBars(e)
	if err != nil {
		return err
	}
	bars.Color, bars.Width, bars.CapWidth = c, 1, 5
	p.Add(bars)
	return nil
}

// band shades the intervals of a series.
func band(p *plot.Plot, points []Point, c color.NRGBA) error {
	var outline plotter.XYs
	for _, pt := range points {
		outline = append(outline, plotter.XY{X: pt.X, Y: pt.Y.High})
	}
	for i := len(points) - 1; i >= 0; i-- {
		outline = append(outline, plotter.XY{X: points[i].X, Y: points[i].Y.Low})
	}
	polygon, err := plotter.NewPolygon(outline)
	if err != nil {
		return err
	}
	c.A = 0x30
	polygon.Color, polygon.LineStyle.Width = c, 0
	p.Add(polygon)
	return nil
}

// marks are the glyphs of the series and characters like them, for the legend.
func marks() ([]draw.GlyphDrawer, []string) {
	return []draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}, draw.RingGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}, draw.CrossGlyph{}},
		[]string{"●", "■", "▲", "○", "□", "△", "✕"}
}

// roundTicks puts four to eight ticks at multiples of 1, 2 or 5 times a power of ten.
func roundTicks(low, high float64) []plot.Tick {
	if !(low < high) {
		return nil
	}
	power := math.Pow(10, math.Floor(math.Log10((high-low)/4)))
	step := power
	for _, factor := range []float64{2, 5} {
		if (high-low)/(factor*power) >= 3.99 {
			step = factor * power
		}
	}
	decimals := max(0, -int(math.Floor(math.Log10(step)+1e-9)))
	var ticks []plot.Tick
	for i := math.Ceil(low/step - 1e-9); i*step <= high+1e-9*step; i++ {
		label := strconv.FormatFloat(math.Abs(i*step), 'f', decimals, 64)
		if i < 0 {
			label = "−" + label
		}
		ticks = append(ticks, plot.Tick{Value: i * step, Label: label})
	}
	return ticks
}

// printable replaces control characters, which no SVG may hold.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == 0xfffe || r == 0xffff {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
}

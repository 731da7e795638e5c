package report

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

// Heat is a chart of numbers from 0 on in rows and columns, the larger the darker: what attends to what.
type Heat struct {
	X    Axis        `json:"x"`    // Ticks name the columns
	Y    Axis        `json:"y"`    // Ticks name the rows, the first on top
	Rows [][]float64 `json:"rows"` // a row may end early
}

func (c *Heat) validate() error {
	if err := errors.Join(c.X.validate(), c.Y.validate()); err != nil {
		return err
	}
	if len(c.Rows) == 0 || len(c.Rows) != len(c.Y.Ticks) {
		return fmt.Errorf("%d rows with %d names", len(c.Rows), len(c.Y.Ticks))
	}
	for i, row := range c.Rows {
		if len(row) > len(c.X.Ticks) {
			return fmt.Errorf("row %q has %d columns, of which %d have names", c.Y.Ticks[i], len(row), len(c.X.Ticks))
		}
		for _, v := range row {
			if !finite(v) || v < 0 {
				return fmt.Errorf("row %q holds %v", c.Y.Ticks[i], v)
			}
		}
	}
	return nil
}

func (c *Heat) names() []string  { return nil }
func (c *Heat) shape(int) string { return "■" }

func (c *Heat) table(title string) Table {
	t := Table{Caption: "Numbers: " + title, Columns: append([]string{""}, c.X.Ticks...)}
	for i, row := range c.Rows {
		cells := []Cell{Text(c.Y.Ticks[i])}
		for _, v := range row {
			cells = append(cells, Number(v, 3))
		}
		for len(cells) < len(t.Columns) {
			cells = append(cells, Cell{})
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

func (c *Heat) draw(p *plot.Plot) error {
	most := 0.0
	for _, row := range c.Rows {
		for _, v := range row {
			most = math.Max(most, v)
		}
	}
	for i, row := range c.Rows {
		y := float64(len(c.Rows) - 1 - i)
		for j, v := range row {
			x := float64(j)
			cell, err := plotter.NewPolygon(plotter.XYs{{X: x - 0.48, Y: y - 0.48}, {X: x - 0.48, Y: y + 0.48}, {X: x + 0.48, Y: y + 0.48}, {X: x + 0.48, Y: y - 0.48}})
			if err != nil {
				return err
			}
			shade := hue(0)
			shade.A = 0x08
			if most > 0 {
				shade.A += uint8(0xf0 * v / most)
			}
			cell.Color, cell.LineStyle.Width = shade, 0
			p.Add(cell)
		}
	}
	named := c.Y
	named.Ticks = make([]string, len(c.Y.Ticks))
	for i, name := range c.Y.Ticks {
		named.Ticks[len(named.Ticks)-1-i] = name
	}
	frame(p, c.X, named)
	p.X.Min, p.X.Max = -0.55, float64(len(c.X.Ticks))-0.45
	p.Y.Min, p.Y.Max = -0.55, float64(len(c.Rows))-0.45
	return nil
}

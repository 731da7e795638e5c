package report

import (
	"fmt"
	"strconv"
	"strings"
)

// Table is rows of cells under a caption. Columns whose cells are all numbers are aligned at the right.
type Table struct {
	Caption string   `json:"caption"`
	Columns []string `json:"columns"`
	Rows    [][]Cell `json:"rows"`
}

// Cell is a text, a number, or nothing.
type Cell struct {
	Text     string    `json:"text,omitempty"`
	Number   *Estimate `json:"number,omitempty"`
	Decimals int       `json:"decimals,omitempty"` // shown of Number; JSON has it whole
	Unit     string    `json:"unit,omitempty"`     // shown behind Number: " %", " s"
}

// Text is a cell of words.
func Text(s string) Cell { return Cell{Text: s} }

// Number is a cell with a number, shown with so many decimals.
func Number(value float64, decimals int) Cell {
	e := Exactly(value)
	return Cell{Number: &e, Decimals: decimals}
}

// Interval is a cell with an estimate, shown as "0.62 [0.58, 0.66]".
func Interval(e Estimate, decimals int) Cell { return Cell{Number: &e, Decimals: decimals} }

// In returns the cell with a unit, which begins with a space if there is to be one.
func (c Cell) In(unit string) Cell {
	c.Unit = unit
	return c
}

func (c Cell) String() string {
	if c.Number == nil {
		if c.Text == "" {
			return "–"
		}
		return c.Text
	}
	format := func(x float64) string {
		return strings.Replace(strconv.FormatFloat(x, 'f', c.Decimals, 64), "-", "−", 1)
	}
	if !c.Number.hasInterval() {
		return format(c.Number.Value) + c.Unit
	}
	return fmt.Sprintf("%s%s [%s, %s]", format(c.Number.Value), c.Unit, format(c.Number.Low), format(c.Number.High))
}

func (t Table) validate() error {
	if t.Caption == "" {
		return fmt.Errorf("it has no caption")
	}
	for i, row := range t.Rows {
		if len(row) != len(t.Columns) {
			return fmt.Errorf("row %d has %d cells for %d columns", i+1, len(row), len(t.Columns))
		}
		for j, c := range row {
			if c.Number == nil {
				continue
			}
			if err := c.Number.validate(); err != nil {
				return fmt.Errorf("row %d, %q: %w", i+1, t.Columns[j], err)
			}
			if c.Decimals < 0 || c.Decimals > 17 {
				return fmt.Errorf("row %d, %q: %d decimals", i+1, t.Columns[j], c.Decimals)
			}
		}
	}
	return nil
}

// Numeric reports whether a column holds nothing but numbers and gaps.
func (t Table) Numeric(column int) bool {
	numbers := false
	for _, row := range t.Rows {
		if row[column].Text != "" {
			return false
		}
		numbers = numbers || row[column].Number != nil
	}
	return numbers
}

// table gives one row for every x that occurs, one column for every series.
func (l *Lines) table(title string) Table {
	first := l.X.Label
	if first == "" {
		first = "at"
	}
	t := Table{Caption: "Numbers: " + title, Columns: []string{first}}
	rowOf := map[float64]int{}
	for _, s := range l.Series {
		for _, p := range s.Points {
			if _, ok := rowOf[p.X]; !ok {
				rowOf[p.X] = len(t.Rows)
				label := Number(p.X, places(p.X))
				if i := int(p.X); float64(i) == p.X && i >= 0 && i < len(l.X.Ticks) {
					label = Text(l.X.Ticks[i])
				}
				t.Rows = append(t.Rows, append([]Cell{label}, make([]Cell, len(l.Series))...))
			}
		}
	}
	for i, s := range l.Series {
		t.Columns = append(t.Columns, s.Name)
		for _, p := range s.Points {
			t.Rows[rowOf[p.X]][i+1] = Interval(p.Y, 3)
		}
	}
	return t
}

func (b *Bars) table(title string) Table {
	t := Table{Caption: "Numbers: " + title, Columns: []string{""}}
	for i, c := range b.Categories {
		t.Rows = append(t.Rows, []Cell{Text(c)})
		for _, s := range b.Series {
			t.Rows[i] = append(t.Rows[i], Interval(s.Values[i], 3))
		}
	}
	for _, s := range b.Series {
		t.Columns = append(t.Columns, s.Name)
	}
	return t
}

func (h *Histogram) table(title string) Table {
	t := Table{Caption: "Numbers: " + title + " (share of each bin)", Columns: []string{"from", "to"}}
	for i := range len(h.Edges) - 1 {
		row := []Cell{Number(h.Edges[i], 3), Number(h.Edges[i+1], 3)}
		for _, s := range h.Series {
			row = append(row, Number(s.Shares[i], 3))
		}
		t.Rows = append(t.Rows, row)
	}
	for _, s := range h.Series {
		t.Columns = append(t.Columns, s.Name)
	}
	return t
}

// places is how many decimals show a number without needless zeros, at most three.
func places(x float64) int {
	s := strconv.FormatFloat(x, 'f', -1, 64)
	if i := strings.IndexByte(s, '.'); i >= 0 {
		return min(3, len(s)-i-1)
	}
	return 0
}

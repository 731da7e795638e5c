package report_test

import (
	"strings"
	"testing"

	"tandem"
	"tandem/report"
)

// TestDrawingHasNoStyle: the site's Content-Security-Policy would drop style attributes, and leave black shapes.
func TestDrawingHasNoStyle(t *testing.T) {
	f := report.Figure{Title: "Judgments", Caption: "By day.", Bars: &report.Bars{
		Y: report.Axis{Label: "judgments <a & b>"}, Categories: []string{"1 May", "<script>"},
		Series: []report.BarSeries{{Name: "x", Values: []report.Estimate{report.Exactly(3), report.Between(4, 3, 5)}}, {Name: "y", Values: make([]report.Estimate, 2)}},
	}}
	d, err := f.Draw()
	if err != nil {
		t.Fatal(err)
	}
	svg := string(d.SVG)
	for _, bad := range []string{" style=", "<script>", "font-family"} {
		if strings.Contains(svg, bad) {
			t.Errorf("the drawing holds %s: %s", bad, svg)
		}
	}
	for _, good := range []string{`fill="#0062A3"`, "fill-hue-0", "stroke-ink", "stroke-faint", "fill-ink", "fill-paper"} {
		if !strings.Contains(svg, good) {
			t.Errorf("the drawing has no %s: %s", good, svg)
		}
	}
	if len(d.Legend) != 2 || d.Legend[1] != (report.LegendEntry{Class: "hue-1", Shape: "■", Name: "y"}) || len(d.Table.Rows) != 2 {
		t.Errorf("legend %+v, table %+v", d.Legend, d.Table)
	}
	f.Bars.Series[0].Values = nil
	if _, err := f.Draw(); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("a series without values: error %v", err)
	}
}

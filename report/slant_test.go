package report

import (
	"bytes"
	"testing"
)

// Names that would run into each other stand aslant, in a taller chart; short ones stay as they are.
func TestSlant(t *testing.T) {
	for name, c := range map[string]struct {
		category string
		aslant   bool
	}{"long": {"a very long name of a category", true}, "short": {"a", false}} {
		b := &Bars{Series: []BarSeries{{Name: "s"}}}
		for range 20 {
			b.Categories, b.Series[0].Values = append(b.Categories, c.category), append(b.Series[0].Values, Exactly(1))
		}
		image, err := svg(Figure{Wide: true, Bars: b}, b)
		if err != nil {
			t.Fatal(err)
		}
		if aslant := bytes.Contains(image, []byte("rotate(-36)")) || bytes.Contains(image, []byte("rotate(36")); aslant != c.aslant {
			t.Errorf("%s: aslant %v: %.600s", name, aslant, image)
		}
	}
}

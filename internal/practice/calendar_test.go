package practice

import (
	"strings"
	"testing"
	"time"
)

func TestDated(t *testing.T) {
	w, err := New(DefaultConfig(1))
	if err != nil {
		t.Fatal(err)
	}
	all := w.Offices()
	before, years := 0, make(map[[2]int]bool)
	for i := range uint64(3000) {
		d, query, event := w.Dated(i)
		if err := d.Validate(); err != nil || !d[1].Train {
			t.Fatalf("%v: %v", d, err)
		}
		found := false
		for n, o := range all {
			if o.Day != event || !strings.Contains(d[0].Content, o.Name) {
				continue
			}
			found = true
			if d[1].Content != o.On(query) || w.YearHeldOut(n, query.Year()-event.Year()) {
				t.Fatalf("%v on %v, of %+v", d, query, o)
			}
			years[[2]int{n, query.Year()}] = true
		}
		if !found {
			t.Fatalf("%v is of no office", d)
		}
		if query.Before(event) {
			before++
		}
	}
	if before < 1300 || before > 1700 {
		t.Errorf("%d of 3000 are from before", before)
	}
	if n, most := len(years), len(all)*2*chronicleYears; n < most*65/100 || n > most*85/100 {
		t.Errorf("%d years of %d come up", n, most)
	}
	o := all[0]
	if o.On(o.Day.Add(-time.Hour)) == o.On(o.Day) || o.Before == o.After {
		t.Errorf("%+v", o)
	}
	if text := w.Chronicle(3); !strings.Contains(text, ".") || text != w.Chronicle(3) {
		t.Errorf("a chronicle: %q", text)
	}
}

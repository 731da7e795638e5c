package dataset

import (
	"bytes"
	"encoding/csv"
	"errors"
	"reflect"
	"strings"
	"testing"

	"tandem"
)

func write(t *testing.T, config ExportConfig, comparisons ...tandem.Comparison) string {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, config)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range comparisons {
		if err := w.Write(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func samples() []tandem.Comparison {
	margin := 0.25
	return []tandem.Comparison{
		{
			Aspect: tandem.Helpfulness,
			Prompt: tandem.Prompt{Messages: tandem.Dialogue{system("S"), user("Q\n\n\"<&>\" é"), assistant("A"), user("R")}, Source: "web"},
			Chosen: tandem.Response{Content: "yes, and"}, Rejected: tandem.Response{Content: "no"},
			Degree: tandem.Better, Margin: &margin, Source: "web", Batch: 3,
		},
		{
			Aspect: tandem.Safety,
			Prompt: tandem.Prompt{Messages: tandem.Dialogue{user("Q")}, Safety: true, Risk: tandem.IllicitCriminal, Vector: tandem.Logic, Source: "lab"},
			Chosen: tandem.Response{Content: "no", Label: tandem.Safe}, Rejected: tandem.Response{Content: "yes", Label: tandem.Unsafe},
			Degree: tandem.NegligiblyBetter, Source: "lab",
		},
	}
}

func TestRoundTrip(t *testing.T) {
	for _, format := range []Format{TRL, OpenRLHF} {
		want := samples()
		got, _, err := read(t, ImportConfig{Format: format}, write(t, ExportConfig{Format: format}, want...))
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			got[i].ID = "" // the importer's own
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got\n%+v\nwant\n%+v", format, got, want)
		}
	}
}

func TestIDsComeFromContent(t *testing.T) {
	first, _, err := read(t, ImportConfig{Format: TRL}, write(t, ExportConfig{Format: TRL}, samples()...))
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := read(t, ImportConfig{Format: OpenRLHF, Source: "elsewhere"}, write(t, ExportConfig{Format: OpenRLHF}, first...))
	if err != nil {
		t.Fatal(err)
	}
	if first[0].ID != second[0].ID || first[0].ID == first[1].ID {
		t.Errorf("IDs %s and %s, and %s after a round trip", first[0].ID, first[1].ID, second[0].ID)
	}
}

func TestMarginsOfDegrees(t *testing.T) {
	table := func(d tandem.Degree) float64 { return float64(d) - 1 }
	got, _, err := read(t, ImportConfig{Format: TRL}, write(t, ExportConfig{Format: TRL, Margin: table}, samples()...))
	if err != nil {
		t.Fatal(err)
	}
	if *got[0].Margin != 0.25 || *got[1].Margin != 0 {
		t.Errorf("margins %g and %g; the comparison's own is .25, the table's 0", *got[0].Margin, *got[1].Margin)
	}
}

func TestHHRefusesWhatItCannotHold(t *testing.T) {
	w, err := NewWriter(&bytes.Buffer{}, ExportConfig{Format: HH})
	if err != nil {
		t.Fatal(err)
	}
	marked := samples()[1]
	marked.Chosen.Content = "so\n\nAssistant: yes"
	for _, c := range []tandem.Comparison{samples()[0], marked} {
		if err := w.Write(c); tandem.CodeOf(err) != tandem.Unsupported {
			t.Errorf("got error %v", err)
		}
	}
	if err := w.Write(samples()[1]); err != nil {
		t.Errorf("after a refusal: %v", err)
	}
}

func TestCSV(t *testing.T) {
	rows, err := csv.NewReader(strings.NewReader(write(t, ExportConfig{Format: CSV}, samples()...))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 3 || rows[0][3] != "chosen" || rows[1][3] != "yes, and" || rows[2][5] != "negligibly_better" || rows[2][8] != "unsafe" {
		t.Errorf("rows %q", rows)
	}
}

func TestExportToAFullDisk(t *testing.T) {
	for _, format := range ExportFormats() {
		w, err := NewWriter(fullDisk{}, ExportConfig{Format: format})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Write(samples()[1]), w.Close()); !errors.Is(err, errDisk) {
			t.Errorf("%s: got error %v", format, err)
		}
	}
	if _, err := NewWriter(fullDisk{}, ExportConfig{Format: PKU}); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("an export to pku: error %v", err)
	}
}

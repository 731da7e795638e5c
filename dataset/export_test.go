package dataset

import (
	"bytes"
	"encoding/csv"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

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

// TestCSVSaysHowItWasJudged: whoever analyses the judgments finds who made them, and what stood where.
func TestCSVSaysHowItWasJudged(t *testing.T) {
	c := samples()[1]
	c.Chosen.ID, c.Rejected.ID = "8", "7"
	c.Judgment = &tandem.Judgment{ID: "5", Version: 2, Task: "3", Project: "1", Annotator: "9f0c", Left: "8", Right: "7", Comment: "so, \"so\"", Flag: "odd\nvery",
		GuidelineVersion: 4, ActiveSeconds: 12.5, Surplus: true, Excluded: true, ExcludedBecause: "haste",
		CreatedAt: time.Date(2026, 3, 4, 6, 6, 7, 500_000_000, time.FixedZone("", 3600))}
	rows, err := csv.NewReader(strings.NewReader(write(t, ExportConfig{Format: CSV}, c, samples()[0]))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	cell := func(row int, column string) string {
		at := slices.Index(rows[0], column)
		if at < 0 {
			t.Fatalf("there is no column %s in %q", column, rows[0])
		}
		return rows[row][at]
	}
	for column, want := range map[string]string{"chosen_response_id": "8", "rejected_response_id": "7", "judgment_id": "5", "version": "2", "task_id": "3",
		"project_id": "1", "annotator_id": "9f0c", "simulated": "false", "left_response_id": "8", "right_response_id": "7", "comment": "so, \"so\"",
		"flag": "odd\nvery", "guideline_version": "4", "active_seconds": "12.5", "surplus": "true", "gold": "false", "excluded": "true",
		"excluded_because": "haste", "created_at": "2026-03-04T05:06:07.5Z"} {
		if got := cell(1, column); got != want {
			t.Errorf("%s: %q, want %q", column, got, want)
		}
		if got := cell(2, column); got != "" {
			t.Errorf("%s of what was imported: %q", column, got)
		}
	}
	if rows[0][0] != "id" || rows[0][16] != "rejected_model" {
		t.Errorf("the columns that were there first are %q", rows[0][:17])
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

package report_test

import (
	"strings"
	"testing"

	"tandem"
	"tandem/report"
)

func TestMarkdown(t *testing.T) {
	r := report.Report{
		Title: "A_b", Summary: []string{"One *two*."}, Highlights: []report.Highlight{{Label: "Gold", Value: "0.5", Note: "so far"}},
		Sections: []report.Section{{
			Heading: "Numbers",
			Tables:  []report.Table{{Caption: "All", Columns: []string{"", "x"}, Rows: [][]report.Cell{{report.Text("a|b"), report.Number(1.5, 1)}}}},
			Figures: []report.Figure{{Title: "Bars", Caption: "Of x.", Bars: &report.Bars{Categories: []string{"a"}, Series: []report.BarSeries{{Name: "s", Values: []report.Estimate{report.Exactly(2)}}}}}},
			Samples: []report.Sample{{Prompt: tandem.Dialogue{{Role: tandem.User, Content: "Hi\n# you"}}, Answers: []report.Answer{{Name: "SFT", Text: "<b>"}}}},
		}},
		Facts: []report.Fact{{Name: "seed", Value: "1"}},
	}
	var b strings.Builder
	if err := r.WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# A\\_b\n", "One \\*two\\*.", "- Gold: **0.5** – so far", "\n## Numbers\n", "All:\n\n|  | x |\n|---|---:|\n| a\\|b | 1.5 |\n",
		"Bars: Of x.", "> Hi\n> \\# you\n", "**SFT**\n\n> &lt;b>", "| seed | 1 |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("lacks %q:\n%s", want, b.String())
		}
	}
	if err := (report.Report{}).WriteMarkdown(&b); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("without a title: %v", err)
	}
}

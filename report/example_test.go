package report_test

import (
	"bytes"
	"fmt"

	"tandem/report"
)

func ExampleReport_WriteHTML() {
	r := report.Report{Title: "RLHF-V1", Sections: []report.Section{{
		Heading: "Progress",
		Figures: []report.Figure{{
			Title:   "Gold helpfulness",
			Caption: "Mean over 400 held-out prompts, with 95 % intervals.",
			Lines: &report.Lines{
				X: report.Axis{Ticks: []string{"SFT", "V1"}},
				Y: report.Axis{Label: "score", Min: report.At(0), Max: report.At(1)},
				Series: []report.Series{{Name: "gold", Points: []report.Point{
					{X: 0, Y: report.Between(0.52, 0.49, 0.55)},
					{X: 1, Y: report.Between(0.71, 0.68, 0.74)},
				}}},
			},
		}},
	}}}
	var page bytes.Buffer
	if err := r.WriteHTML(&page); err != nil {
		panic(err)
	}
	fmt.Println("plots:", bytes.Count(page.Bytes(), []byte("<svg ")))
	// Output: plots: 1
}

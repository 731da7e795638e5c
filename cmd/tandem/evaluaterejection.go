package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"tandem/pipeline"
	"tandem/report"
)

// evaluateRejectionCommand sets finished samplings of `tandem reject` side by side. It computes nothing with models: all
// that takes time is sampled, resumably, by reject.
type evaluateRejectionCommand struct {
	Samples []string `required:"" type:"path" help:"Folders that tandem reject has filled, one for each policy: of the same prompts, by the same reward models." placeholder:"DIR,…"`
	Out     string   `type:"path" help:"Folder for report.html and report.json (default: none are written)." placeholder:"DIR"`
}

// evaluateRejectionReport is its JSON.
type evaluateRejectionReport struct {
	pipeline.RejectionMeasures
	Report string `json:"report,omitempty"`
}

func (c *evaluateRejectionCommand) Run(ctx context.Context, w *world) error {
	measures, err := pipeline.MeasureRejection(ctx, c.Samples)
	if err != nil {
		return err
	}
	reply := evaluateRejectionReport{RejectionMeasures: measures}
	if c.Out != "" {
		facts := []report.Fact{
			{Name: "helpfulness model", Value: measures.Helpfulness}, {Name: "safety model", Value: measures.Safety}, {Name: "prompts", Value: measures.Data},
		}
		for _, p := range measures.Policies {
			facts = append(facts, report.Fact{Name: "samples of " + p.Name, Value: p.Folder})
		}
		if reply.Report, err = w.writeReport(measures.Report(facts, time.Now()), c.Out); err != nil {
			return err
		}
	}
	var rows [][]string
	for _, p := range measures.Policies {
		for _, a := range p.Sweep {
			k := len(a.Curve.Best)
			next := ""
			if p.Next != nil && p.Next.Temperature == a.Temperature {
				next = "next"
			}
			rows = append(rows, []string{p.Name, strconv.FormatFloat(a.Temperature, 'g', -1, 64), strconv.Itoa(k), fmt.Sprintf("%.3f", a.Curve.Best[k-1]),
				fmt.Sprintf("%.3f", a.Curve.Median[k-1]), fmt.Sprintf("%.3f", a.Kept), fmt.Sprintf("%.0f %%", 100*float64(a.Duplicates)/float64(a.Samples)), next})
		}
	}
	return w.table(reply, []string{"POLICY", "TEMPERATURE", "K", "BEST", "MEDIAN", "KEPT", "DUPLICATES", ""}, rows)
}

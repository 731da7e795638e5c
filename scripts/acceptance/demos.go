package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
)

// interval is a mean with its 95 % interval.
type interval struct{ Value, Low, High float64 }

func (i interval) String() string { return fmt.Sprintf("%.3f [%.3f, %.3f]", i.Value, i.Low, i.High) }

// gold is the truth about one version's answers.
type gold struct {
	Helpfulness, Safety interval
	Families            map[string]float64
	Distinct2           float64 `json:"distinct_2"` // on helpful and borderline prompts
	Summary             struct {
		Length interval
		KL     interval
	}
}

// demos runs the practice demo for several seeds and checks what the loop must reach.
func (a *acceptance) demos(ctx context.Context, seeds int) error {
	a.printf("\n## The loop on the practice world\n\n`tandem demo --seed S --json`. Gold over held-out prompts, mean and 95 %% interval.\n")
	for seed := 1; seed <= seeds; seed++ {
		var reply struct {
			Demos []struct {
				Seconds  float64
				Versions []struct {
					Name string
					Gold gold
				}
				Controls map[string]gold
			}
		}
		if err := a.tandem(ctx, nil, &reply, "demo", "--seed", strconv.Itoa(seed)); err != nil {
			return err
		}
		d := reply.Demos[0]
		a.printf("\n### Seed %d, %.0f s\n\n| version | helpfulness | safety | tokens | distinct-2 | KL from SFT |\n|---|---|---|---|---|---|\n", seed, d.Seconds)
		row := func(name string, g gold) {
			a.printf("| %s | %v | %v | %.1f | %.3f | %.1f |\n", name, g.Helpfulness, g.Safety, g.Summary.Length.Value, g.Distinct2, g.Summary.KL.Value)
		}
		for _, v := range d.Versions {
			row(v.Name, v.Gold)
		}
		controls := make([]string, 0, len(d.Controls))
		for name := range d.Controls {
			controls = append(controls, name)
		}
		slices.Sort(controls)
		for _, name := range controls {
			row("control: "+name, d.Controls[name])
		}
		a.printf("\n")
		sft, last := d.Versions[0].Gold, d.Versions[len(d.Versions)-1].Gold
		a.check(last.Helpfulness.Low > sft.Helpfulness.High, "seed %d: gold helpfulness of the last version above SFT's, intervals apart", seed)
		a.check(last.Safety.Low > sft.Safety.High, "seed %d: gold safety of the last version above SFT's, intervals apart", seed)
		for _, name := range controls {
			c := d.Controls[name]
			a.check(c.Helpfulness.Low <= sft.Helpfulness.High && c.Safety.Low <= sft.Safety.High, "seed %d: the control %s raises neither", seed, name)
		}
		a.check(last.Distinct2 >= 0.9*sft.Distinct2, "seed %d: distinct-2 falls by at most a tenth", seed)
		for family, before := range sft.Families {
			if after := last.Families[family]; after < 0.9*before {
				a.check(false, "seed %d: gold of the family %s falls by at most a tenth (%.2f to %.2f)", seed, family, before, after)
			}
		}
		a.check(d.Seconds <= 600, "seed %d: at most ten minutes", seed)
	}
	return nil
}

package main

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
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
	Distinct2           float64 `json:"distinct_2"`         // on helpful and borderline prompts
	Rarefied2           float64 `json:"distinct_2_of_1000"` // of as many bigrams of the same
	Summary             struct {
		Length interval
		KL     interval
	}
}

// demos runs the practice demo for several seeds, checks what the loop must reach, and returns the folder
// that the first one's models lie in.
func (a *acceptance) demos(ctx context.Context, seeds int) (loop string, err error) {
	a.printf("\n## The loop on the practice world\n\n`tandem demo --seed S --json`. Gold over held-out prompts, mean and 95 %% interval. " +
		"Which of the simulated annotators, who see more or less clearly, gets which task depends on who asks first, so a seed's figures differ a little from run to run.\n")
	before, after := make(map[string]float64), make(map[string]float64) // gold by family, sums over seeds
	for seed := 1; seed <= seeds; seed++ {
		var reply struct {
			Demos []struct {
				Report   string
				Seconds  float64
				Versions []struct {
					Name string
					Gold gold
				}
				Controls map[string]gold
			}
		}
		if err := a.tandem(ctx, nil, &reply, "demo", "--seed", strconv.Itoa(seed)); err != nil {
			return loop, err
		}
		d := reply.Demos[0]
		if loop == "" {
			loop = filepath.Join(filepath.Dir(d.Report), "loop")
		}
		a.printf("\n### Seed %d, %.0f s\n\n| version | helpfulness | safety | tokens | distinct-2 | of 1,000 bigrams | KL from SFT |\n|---|---|---|---|---|---|---|\n", seed, d.Seconds)
		row := func(name string, g gold) {
			a.printf("| %s | %v | %v | %.1f | %.3f | %.3f | %.1f |\n", name, g.Helpfulness, g.Safety, g.Summary.Length.Value, g.Distinct2, g.Rarefied2, g.Summary.KL.Value)
		}
		for _, v := range d.Versions {
			row(v.Name, v.Gold)
		}
		controls := slices.Sorted(maps.Keys(d.Controls))
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
		a.check(last.Rarefied2 >= 0.9*sft.Rarefied2, "seed %d: distinct-2 of 1,000 bigrams falls by at most a tenth", seed)
		for family := range sft.Families {
			before[family] += sft.Families[family]
			after[family] += last.Families[family]
		}
		a.check(d.Seconds <= 600, "seed %d: at most ten minutes", seed)
	}
	a.families(before, after, float64(seeds))
	return loop, nil
}

// families checks gold by family of prompts over all seeds together: one seed asks some fifty of each.
func (a *acceptance) families(before, after map[string]float64, seeds float64) {
	a.printf("\n### Gold by family, mean over the seeds\n\n| family | SFT | last version |\n|---|---|---|\n")
	names := slices.Sorted(maps.Keys(before))
	for _, name := range names {
		a.printf("| %s | %.2f | %.2f |\n", name, before[name]/seeds, after[name]/seeds)
	}
	a.printf("\n")
	for _, name := range names {
		a.check(after[name] >= 0.9*before[name], "gold of the family %s falls by at most a tenth", name)
	}
}

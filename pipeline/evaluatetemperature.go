package pipeline

import (
	"context"
	"fmt"

	"tandem"
	"tandem/evaluation"
	"tandem/statistics"
)

// Rescaling specifies the measurement of figure 21: how diverse policies' answers to factual and to creative prompts are, by
// temperature.
type Rescaling struct {
	Models       []string        `json:"models"` // folders
	Factual      string          `json:"factual"`
	Creative     string          `json:"creative"`
	Temperatures []float64       `json:"temperatures"`
	K            int             `json:"k"`        // answers to each prompt at each temperature
	Sampling     tandem.Sampling `json:"sampling"` // its temperature is not used
	Seed         uint64          `json:"seed"`
	Shard        int             `json:"shard"`
}

// RescalingMeasures is what came of it.
type RescalingMeasures struct {
	Config   Rescaling        `json:"config"`
	Policies []RescaledPolicy `json:"policies"`
}

// RescaledPolicy is one policy's diversity.
type RescaledPolicy struct {
	Name string        `json:"name"`
	ID   string        `json:"id,omitempty"`
	Sets []RescaledSet `json:"sets"` // factual prompts, and creative ones
	// Narrower is by how much more Self-BLEU falls from the lowest to the highest temperature on creative prompts than on
	// factual ones: above 0, answers to factual prompts stay alike where creative ones spread.
	Narrower statistics.Interval `json:"narrower"`
}

// RescaledSet is the diversity of the answers to one set of prompts.
type RescaledSet struct {
	Name    string          `json:"name"`
	Prompts int             `json:"prompts"`
	Curve   []RescaledPoint `json:"curve"`
	// Fall of Self-BLEU from the lowest to the highest temperature, paired by prompt.
	Fall statistics.Interval `json:"fall"`
	// falls are those of each prompt, example the answers to the first one.
	falls   []float64
	example [][]string // by temperature
	prompt  tandem.Dialogue
}

// RescaledPoint is the diversity at one temperature: means over prompts.
type RescaledPoint struct {
	Temperature float64             `json:"temperature"`
	SelfBLEU    statistics.Interval `json:"self_bleu"`
	Distinct    statistics.Interval `json:"distinct"` // share of a prompt's answers that are different texts
	Tokens      statistics.Interval `json:"tokens"`   // of an answer
}

// validate reports the first value that cannot be.
func (r Rescaling) validate() error {
	const op = "pipeline.Temperature"
	if r.K < 2 {
		return tandem.Errorf(tandem.Invalid, op, "%d answers to a prompt cannot resemble each other", r.K)
	}
	if len(r.Temperatures) < 2 {
		return tandem.Errorf(tandem.Invalid, op, "%d temperatures are no curve", len(r.Temperatures))
	}
	for i, t := range r.Temperatures {
		if !(t >= 0) || i > 0 && t <= r.Temperatures[i-1] {
			return tandem.Errorf(tandem.Invalid, op, "the temperatures are %g: they are to rise from 0 or above", r.Temperatures)
		}
	}
	return nil
}

// MeasureRescaling measures all policies; do samples.
func (s *Studio) MeasureRescaling(ctx context.Context, r Rescaling, do Units) (RescalingMeasures, error) {
	m := RescalingMeasures{Config: r}
	if err := r.validate(); err != nil {
		return m, err
	}
	sets := []struct{ name, file string }{{"factual", r.Factual}, {"creative", r.Creative}}
	var specs []Replies
	for _, folder := range r.Models {
		for _, set := range sets {
			for _, t := range r.Temperatures {
				sampling := r.Sampling
				sampling.Temperature = t
				specs = append(specs, Replies{Policy: folder, Prompts: set.file, Sampling: sampling, Seed: r.Seed, K: r.K})
			}
		}
	}
	sampled, err := repliesTo(ctx, do, r.Shard, specs...)
	if err != nil {
		return m, err
	}
	for _, folder := range r.Models {
		version, err := versionIn(ctx, folder)
		if err != nil {
			return m, err
		}
		p := RescaledPolicy{Name: version.Name, ID: version.ID}
		for _, set := range sets {
			prompts, err := readPrompts(ctx, set.file)
			if err != nil {
				return m, err
			}
			of := RescaledSet{Name: set.name, Prompts: len(prompts), prompt: prompts[0].Messages}
			if err := of.measure(r.Temperatures, sampled[:len(r.Temperatures)]); err != nil {
				return m, fmt.Errorf("%s on %s prompts: %w", version.Name, set.name, err)
			}
			sampled = sampled[len(r.Temperatures):]
			p.Sets = append(p.Sets, of)
		}
		if p.Narrower, err = (statistics.Bootstrap{Seed: r.Seed}).Difference(p.Sets[1].falls, p.Sets[0].falls); err != nil {
			return m, err
		}
		m.Policies = append(m.Policies, p)
	}
	return m, nil
}

// measure makes the curve of the replies at each temperature to each prompt.
func (of *RescaledSet) measure(temperatures []float64, replies [][][]Reply) error {
	alike := make([][]float64, len(temperatures)) // Self-BLEU of each prompt
	for i, t := range temperatures {
		var distinct, tokens []float64
		for _, to := range replies[i] {
			texts, different, n := make([]string, len(to)), make(map[string]bool), 0
			for k, r := range to {
				texts[k], different[r.Text] = r.Text, true
				n += r.Tokens
			}
			bleu, err := evaluation.SelfBLEU(texts)
			if err != nil {
				return err
			}
			alike[i] = append(alike[i], bleu)
			distinct = append(distinct, float64(len(different))/float64(len(to)))
			tokens = append(tokens, float64(n)/float64(len(to)))
			if len(alike[i]) == 1 {
				of.example = append(of.example, texts)
			}
		}
		point := RescaledPoint{Temperature: t}
		for _, f := range []struct {
			to *statistics.Interval
			of []float64
		}{{&point.SelfBLEU, alike[i]}, {&point.Distinct, distinct}, {&point.Tokens, tokens}} {
			var err error
			if *f.to, err = statistics.Mean(f.of); err != nil {
				return err
			}
		}
		of.Curve = append(of.Curve, point)
	}
	last := alike[len(alike)-1]
	for i, first := range alike[0] {
		of.falls = append(of.falls, first-last[i])
	}
	var err error
	of.Fall, err = statistics.Mean(of.falls)
	return err
}

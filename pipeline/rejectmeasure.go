package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"tandem"
	"tandem/llama/checkpoint"
	"tandem/rejection"
	"tandem/statistics"
)

// RejectionMeasures sets the samples of several policies side by side: the reward that the best of K answers has, and
// what the temperature does to it (section 3.2.3, figures 7 and 8).
type RejectionMeasures struct {
	Policies []SampledPolicy `json:"policies"`
	Prompts  int             `json:"prompts"` // the same for all
	// Helpfulness and Safety are the ids of the reward models that scored all samples.
	Helpfulness string `json:"helpfulness_model"`
	Safety      string `json:"safety_model"`
	Data        string `json:"data"` // the prompts' file
}

// SampledPolicy is what rejection sampling found in one policy.
type SampledPolicy struct {
	Name    string                    `json:"name"`
	Model   string                    `json:"model"` // id
	Folder  string                    `json:"folder"`
	Samples int                       `json:"samples"`
	Sweep   []rejection.AtTemperature `json:"sweep"`
	Next    *rejection.Choice         `json:"next,omitempty"`
	// Ahead is how far the kept answers, at each policy's own best temperature, score above the first policy's; nil
	// for the first.
	Ahead *statistics.Interval `json:"ahead,omitempty"`
}

// Best is the policy's best temperature of those that were tried.
func (p SampledPolicy) Best() rejection.AtTemperature {
	if p.Next != nil {
		for _, a := range p.Sweep {
			if a.Temperature == p.Next.Temperature {
				return a
			}
		}
	}
	best := p.Sweep[0]
	for _, a := range p.Sweep {
		if a.Kept > best.Kept {
			best = a
		}
	}
	return best
}

// sampled is what has to be the same of samples that are set side by side.
type sampled struct {
	Judges judges `json:"judges"`
	Config struct {
		TopP      float64 `json:"top_p"`
		MaxTokens int     `json:"max_tokens"`
	} `json:"config"`
	HeldOutShare float64 `json:"held_out_share"`
	Prompts      string  `json:"prompts_sha256"`
}

// MeasureRejection reads finished samplings of several policies, folders that [Studio.Reject] has filled. They must be
// of the same prompts and scored by the same reward models, since scores of different models do not compare.
func MeasureRejection(ctx context.Context, folders []string) (m RejectionMeasures, err error) {
	const op = "pipeline.MeasureRejection"
	var firstKept map[uint64]float64
	var first json.RawMessage
	for i, folder := range folders {
		path := filepath.Join(folder, rejectName)
		text, err := os.ReadFile(path)
		if err != nil {
			return m, tandem.Errorf(tandem.NotFound, op, "%s holds no finished rejection sampling: %w", folder, err)
		}
		var done Rejected
		var made struct {
			sampled
			PolicyID string `json:"policy_id"`
		}
		if err := json.Unmarshal(text, &done); err != nil {
			return m, tandem.Errorf(tandem.Corrupt, op, "%s: %w", path, err)
		}
		if err := json.Unmarshal(done.Made, &made); err != nil {
			return m, tandem.Errorf(tandem.Corrupt, op, "%s: %w", path, err)
		}
		made.Prompts = done.Snapshot
		same, err := json.Marshal(made.sampled)
		if err != nil {
			return m, fmt.Errorf("%s: %w", path, err)
		}
		if i == 0 {
			first = same
			m.Prompts, m.Data, m.Helpfulness, m.Safety = done.Prompts, done.Spec.Prompts, made.Judges.Helpfulness.ID, made.Judges.Safety.ID
		} else if names := Changed(first, same); len(names) > 0 {
			return m, tandem.Errorf(tandem.Invalid, op, "the samples in %s do not compare with those in %s%s", folder, folders[0], different(names))
		}
		sets, err := readLines[rejection.Set](ctx, filepath.Join(folder, samplesName))
		if err != nil {
			return m, err
		}
		p := SampledPolicy{Folder: folder, Model: made.PolicyID, Name: policyName(ctx, done.Spec.Policy), Samples: done.Samples, Sweep: rejection.Sweep(sets), Next: rejection.Next(sets)}
		if len(p.Sweep) == 0 {
			return m, tandem.Errorf(tandem.Invalid, op, "%s holds no samples", folder)
		}
		kept := keptScores(sets, p.Best().Temperature)
		if i == 0 {
			firstKept = kept
		} else if ahead, err := difference(kept, firstKept); err == nil {
			p.Ahead = &ahead
		} else if !statistics.IsUndefined(err) {
			return m, err
		}
		m.Policies = append(m.Policies, p)
	}
	m.tellApart()
	return m, nil
}

// policyName is what a policy calls itself, or its folder.
func policyName(ctx context.Context, folder string) string {
	if lineage, err := checkpoint.ReadLineage(ctx, folder); err == nil && lineage != nil && lineage.Name != "" {
		return lineage.Name
	}
	return filepath.Base(folder)
}

// tellApart calls policies by the folders of their samples where two have one name.
func (m *RejectionMeasures) tellApart() {
	names := make(map[string]int)
	for _, p := range m.Policies {
		names[p.Name]++
	}
	for i, p := range m.Policies {
		if names[p.Name] > 1 {
			m.Policies[i].Name = fmt.Sprintf("%s (%s)", p.Name, filepath.Base(p.Folder))
		}
	}
}

// keptScores are the scores of the answers that one temperature would keep, by prompt.
func keptScores(sets []rejection.Set, temperature float64) map[uint64]float64 {
	kept := make(map[uint64]float64)
	for _, s := range rejection.At(sets, temperature) {
		if best, ok := s.Best(); ok {
			kept[s.Prompt.Messages.Key()] = best.Score.Combined
		}
	}
	return kept
}

// difference is the mean difference over the prompts that both have.
func difference(a, b map[uint64]float64) (statistics.Interval, error) {
	var keys []uint64
	for key := range a {
		if _, ok := b[key]; ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys) // sums depend on their order
	differences := make([]float64, len(keys))
	for i, key := range keys {
		differences[i] = a[key] - b[key]
	}
	return statistics.Mean(differences)
}

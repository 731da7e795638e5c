package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"

	"tandem"
	"tandem/store"
)

// evaluationLine is a run that evaluated a policy, with what it found.
type evaluationLine struct {
	runLine
	Spec  evaluationSpec
	found map[string]float64 // by metric
}

// evaluationSpec is what the page shows of such a run's configuration.
type evaluationSpec struct {
	Prompts       string          `json:"prompts"` // file
	Reference     string          `json:"reference"`
	HelpfulnessID string          `json:"helpfulness_id"`
	SafetyID      string          `json:"safety_id"`
	PolicyID      string          `json:"policy_id"`
	Sampling      tandem.Sampling `json:"sampling"`
}

// evaluationOf reads a run's configuration; the zero value for one that evaluates no policy.
func evaluationOf(r store.Run) (spec evaluationSpec) {
	if r.Stage != tandem.StageEvaluate || json.Unmarshal(r.Config, &spec) != nil {
		return evaluationSpec{}
	}
	return spec
}

// File is the prompts' file, without its folder.
func (s evaluationSpec) File() string { return filepath.Base(s.Prompts) }

// Against is the policy that KL and wins are measured against, by its folder.
func (s evaluationSpec) Against() string { return filepath.Base(s.Reference) }

// Found is a figure for people, a dash where it was not measured.
func (l evaluationLine) Found(name string) string {
	x, ok := l.found[store.EvaluationMetrics+name]
	if !ok {
		return "–"
	}
	return figure(x)
}

// Share is a figure that is a share.
func (l evaluationLine) Share(name string) string {
	x, ok := l.found[store.EvaluationMetrics+name]
	if !ok {
		return "–"
	}
	return fmt.Sprintf("%.1f\u00a0%%", 100*x)
}

// evaluations are the last runs that evaluated a policy, the newest first.
func (p watchPages) evaluations(ctx context.Context, id string) ([]evaluationLine, error) {
	runs, err := p.store.Runs(ctx, store.RunQuery{Evaluated: id, Page: store.Page{Limit: mostEvaluations}})
	if err != nil {
		return nil, err
	}
	lines, _, err := p.lines(ctx, runs)
	if err != nil {
		return nil, err
	}
	evaluations := make([]evaluationLine, len(lines))
	for i, l := range lines {
		evaluations[i] = evaluationLine{runLine: l, Spec: evaluationOf(l.Run), found: make(map[string]float64)}
		last, err := p.store.LastMetrics(ctx, l.ID)
		if err != nil {
			return nil, err
		}
		for _, m := range last {
			evaluations[i].found[m.Name] = m.Value
		}
	}
	return evaluations, nil
}

// mostEvaluations is how many of a policy's evaluations its page shows.
const mostEvaluations = 20

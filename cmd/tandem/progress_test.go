package main

import (
	"bytes"
	"strings"
	"testing"

	"tandem"
	"tandem/pipeline"
)

// A stage of several units keeps one bar, whatever its units say of their own steps.
func TestStageProgressOfSeveralUnits(t *testing.T) {
	var log bytes.Buffer
	shown := &stageProgress{world: &world{err: &log}}
	shown.observe(pipeline.Observation{Stage: tandem.StageSFT, Step: 5, Steps: 5})
	for unit := range 3 {
		shown.units(1, tandem.StageEvaluate, unit, 3)
		for step := range 4 {
			shown.observe(pipeline.Observation{Stage: tandem.StageRewardSafety, Step: step + 1, Steps: 4})
		}
	}
	shown.units(1, tandem.StageEvaluate, 3, 3)
	shown.observe(pipeline.Observation{Stage: tandem.StagePPO, Step: 2, Steps: 2})
	shown.close()
	var labels []string
	for line := range strings.Lines(log.String()) {
		labels = append(labels, line[:strings.LastIndex(line, ":")])
	}
	if got, want := strings.Join(labels, ", "), "sft, sft, round 1: evaluate, round 1: evaluate, ppo, ppo"; got != want {
		t.Errorf("lines of %s, want of %s:\n%s", got, want, log.String())
	}
}

// Two fits on end are two stages, whatever their numbers of steps.
func TestStageProgressOfOneAfterTheOther(t *testing.T) {
	var shown bytes.Buffer
	s := &stageProgress{world: &world{err: &shown}}
	for _, steps := range []int{3, 3, 5} {
		for step := 1; step <= steps; step++ {
			s.observe(pipeline.Observation{Stage: tandem.StageSFT, Step: step, Steps: steps})
		}
	}
	s.close()
	if got := strings.Count(shown.String(), "done in"); got != 3 || !strings.Contains(shown.String(), "sft: 5/5") {
		t.Errorf("shown:\n%s", shown.String())
	}
}

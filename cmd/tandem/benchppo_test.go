package main

import (
	"strings"
	"testing"

	"tandem"
)

// TestBenchPPO measures iterations of tiny models: the phases are all of an iteration, and the figures fit each other.
func TestBenchPPO(t *testing.T) {
	if testing.Short() {
		t.Skip("measuring the machine's peak takes seconds")
	}
	sizes := []string{"--batch-size", "6", "--minibatch-size", "3", "--iterations", "3"}
	random := append([]string{"--json", "bench", "ppo", "--prompt", "5", "--max-tokens", "4"}, append(sizes, tinyShape...)...)
	r := object[ppoBenchReport](t, tandemRun(t, "", random...).ok(t))
	if r.Shape.Layers != 1 || r.Iterations != 3 || r.Answers != 6 || r.Minibatch != 3 || r.PromptTokens != 5 || r.AnswerTokens != 4 {
		t.Errorf("%+v", r)
	}
	checkPPOBench(t, r)

	calibration := calibrated(tandem.Calibration{Deviation: 1, Samples: 10})
	prompts := writeTemp(t, "prompts.jsonl", `{"messages":[{"role":"user","content":"hello"}]}`+"\n"+`{"messages":[{"role":"user","content":"no"}],"safety":true}`+"\n")
	folders := []string{"bench", "ppo", "--model", smallModel(t, tandem.PolicyModel, 1, nil), "--data", prompts, "--blas", "gonum", "--max-tokens", "8",
		"--helpfulness", smallModel(t, tandem.HelpfulnessModel, 1, calibration), "--safety", smallModel(t, tandem.SafetyModel, 2, calibration)}
	r = object[ppoBenchReport](t, tandemRun(t, "", append(append([]string{"--json"}, folders...), sizes...)...).ok(t))
	if r.Shape.Layers != 2 || r.PromptTokens <= 0 || r.AnswerTokens <= 0 || r.AnswerTokens > 8 {
		t.Errorf("%+v", r)
	}
	checkPPOBench(t, r)
	text := tandemRun(t, "", append(folders, sizes...)...).ok(t).out
	for _, want := range []string{"policy       2 layers", "sampling ", "scoring ", "(ln π_0 and V)", "the sampler alone", "outside sampling, scoring and updates"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func checkPPOBench(t *testing.T, r ppoBenchReport) {
	t.Helper()
	names, share, seconds := "", 0.0, 0.0
	for _, p := range r.Phases {
		names += p.Name + " "
		share, seconds = share+p.Share, seconds+p.Seconds
		if rest := p.Name == "rest"; p.Seconds < 0 || (p.FlopsPerSecond > 0) == rest || (p.TokensPerSecond > 0) == rest || p.PeakMemoryBytes > r.PeakMemoryBytes {
			t.Errorf("%+v", p)
		}
	}
	// They are medians, each of its own: of iterations of milliseconds they add up only roughly.
	if names != "sampling scoring forward updates rest " || share < 0.2 || share > 1.5 || seconds < 0.2*r.SecondsPerIteration || seconds > 1.5*r.SecondsPerIteration {
		t.Errorf("phases %s: %g of %g s, a share of %g", names, seconds, r.SecondsPerIteration, share)
	}
	if r.TokensPerSecond <= 0 || r.TokensPerSecond >= r.Phases[0].TokensPerSecond || r.FlopsPerSecond <= 0 || r.PeakFlopsPerSecond <= 0 || r.ShareOfPeak <= 0 {
		t.Errorf("%+v", r)
	}
	if r.Alone.TokensPerSecond <= 0 || r.Alone.Share <= 0 || r.OutsideShare < 0 || r.OutsideWithForward <= r.OutsideShare || r.OutsideWithForward >= 1 {
		t.Errorf("%+v", r)
	}
}

func TestBenchPPOFlags(t *testing.T) {
	if r := tandemRun(t, "", "bench", "ppo", "--help"); !strings.Contains(strings.Join(strings.Fields(r.out), " "), "stories110m (default: practice)") {
		t.Errorf("the architecture is not the practice preset's:\n%s", r.out)
	}
	for _, args := range [][]string{{"--model", "m"}, {"--helpfulness", "h", "--safety", "s", "--data", "d"}, {"--iterations", "0"}} {
		if r := tandemRun(t, "", append([]string{"bench", "ppo"}, args...)...); r.code != exitUsage {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.stderr)
		}
	}
	for want, args := range map[string][]string{"minibatch-size": {"--batch-size", "5", "--minibatch-size", "2"}, "context": {"--max-tokens", "2", "--prompt", "0"}, "preset": {"--preset", "none"}} {
		if r := tandemRun(t, "", append([]string{"bench", "ppo", "--shape", "stories260k"}, args...)...); r.code != exitFailed || !strings.Contains(r.stderr, want) {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.stderr)
		}
	}
}

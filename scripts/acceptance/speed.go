package main

import (
	"context"
	"slices"
)

// bench is what `tandem bench` reports.
type bench struct {
	TokensPerSecond    float64 `json:"tokens_per_second"`
	FlopsPerSecond     float64 `json:"flops_per_second"`
	PeakFlopsPerSecond float64 `json:"peak_flops_per_second"`
	ShareOfPeak        float64 `json:"share_of_peak"`
	ShareOfBare        float64 `json:"share_of_bare"`
	PeakMemoryBytes    float64 `json:"peak_memory_bytes"`
	Bandwidth          *struct {
		Share float64 `json:"share"`
	} `json:"bandwidth"`
}

// runs of each benchmark; the median is quoted.
const runs = 5

// speed runs the benchmarks with both kinds of kernels.
func (a *acceptance) speed(ctx context.Context) error {
	a.printf("\n## Speed\n\nMedians of %d runs of `OPENBLAS_CORETYPE=… tandem bench train`; the peak is the best square product in the same run.\n\n", runs)
	a.printf("| kernels | tokens/s | GFLOP/s | peak GFLOP/s | share of peak |\n|---|---|---|---|---|\n")
	targets := []struct {
		core  string
		share float64
	}{{"SkylakeX", 0.5}, {"Haswell", 0.75}}
	shares := make([]float64, len(targets))
	for i, t := range targets {
		median, err := a.median(ctx, []string{"OPENBLAS_CORETYPE=" + t.core}, func(b bench) float64 { return b.ShareOfPeak }, "bench", "train")
		if err != nil {
			return err
		}
		shares[i] = median.ShareOfPeak
		a.printf("| %s | %.0f | %.0f | %.0f | %.0f %% |\n", t.core, median.TokensPerSecond, median.FlopsPerSecond/1e9, median.PeakFlopsPerSecond/1e9, 100*median.ShareOfPeak)
	}
	a.printf("\n")
	for i, t := range targets {
		a.check(shares[i] >= t.share, "training with %s kernels at %.0f %% of the peak, want %.0f %%", t.core, 100*shares[i], 100*t.share)
	}
	return nil
}

// median runs a benchmark several times and returns the run that is the median by a figure.
func (a *acceptance) median(ctx context.Context, environment []string, figure func(bench) float64, args ...string) (bench, error) {
	var all []bench
	for range runs {
		var b bench
		if err := a.tandem(ctx, environment, &b, args...); err != nil {
			return bench{}, err
		}
		all = append(all, b)
	}
	slices.SortFunc(all, func(x, y bench) int {
		switch {
		case figure(x) < figure(y):
			return -1
		case figure(x) > figure(y):
			return 1
		}
		return 0
	})
	return all[len(all)/2], nil
}

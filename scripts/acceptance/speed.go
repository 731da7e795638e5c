package main

import (
	"context"
	"fmt"
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
		Share float64 `json:"share_of_bound"`
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
	return a.generation(ctx)
}

// generation measures sampling beside the same products alone and beside the speed of the memory.
func (a *acceptance) generation(ctx context.Context) error {
	a.printf("\nMedians of %d runs of `tandem bench generate --shape stories15m --batch N`.\n\n", runs)
	a.printf("| sequences at once | tokens/s | of the same products alone | of what the memory's speed allows |\n|---|---|---|---|\n")
	share := func(b bench) float64 {
		if b.Bandwidth != nil {
			return b.Bandwidth.Share
		}
		return b.ShareOfBare
	}
	var shares []float64
	for _, batch := range []string{"1", "32"} {
		b, err := a.median(ctx, nil, share, "bench", "generate", "--shape", "stories15m", "--batch", batch)
		if err != nil {
			return err
		}
		bandwidth := ""
		if b.Bandwidth != nil {
			bandwidth = fmt.Sprintf("%.0f %%", 100*b.Bandwidth.Share)
		}
		a.printf("| %s | %.0f | %.0f %% | %s |\n", batch, b.TokensPerSecond, 100*b.ShareOfBare, bandwidth)
		shares = append(shares, share(b))
	}
	a.printf("\n")
	a.check(shares[0] >= 0.5, "one sequence at %.0f %% of the memory's bound, want 50 %%", 100*shares[0])
	a.check(shares[1] >= 0.5, "32 sequences at %.0f %% of the bare products, want 50 %%", 100*shares[1])
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

package kernel

import (
	"context"
	"testing"

	"tandem/internal/parallel"
)

func TestMemoryBandwidthStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := plainSet().MemoryBandwidth(ctx, parallel.New(1)); err == nil {
		t.Error("a measurement under a cancelled context returned no error")
	}
}

func BenchmarkMemoryBandwidth(b *testing.B) {
	for _, s := range processorSets() {
		b.Run(s.Name(), func(b *testing.B) {
			for b.Loop() {
				rate, err := s.MemoryBandwidth(context.Background(), parallel.New(0))
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(rate/1e9, "GB/s")
			}
		})
	}
}

package load

import (
	"math"
	"slices"
	"time"
)

// Latency is how long something took, in milliseconds.
type Latency struct {
	P50 float64 `json:"p50_ms"`
	P95 float64 `json:"p95_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

// LatencyOf sorts the times. The p-th percentile is the smallest time that p per cent are not above.
func LatencyOf(times []time.Duration) Latency {
	if len(times) == 0 {
		return Latency{}
	}
	slices.Sort(times)
	at := func(share float64) float64 {
		i := int(math.Ceil(share*float64(len(times)))) - 1
		return float64(times[max(i, 0)].Microseconds()) / 1000
	}
	return Latency{at(0.50), at(0.95), at(0.99), at(1)}
}

package web

import (
	"github.com/prometheus/client_golang/prometheus"

	"tandem"
)

// RegisterMetrics registers what an API counts for Prometheus.
func RegisterMetrics(op string, registry prometheus.Registerer, collectors ...prometheus.Collector) error {
	for _, c := range collectors {
		if err := registry.Register(c); err != nil {
			return tandem.Errorf(tandem.Conflict, op, "%w", err)
		}
	}
	return nil
}

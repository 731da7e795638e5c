package scoreapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tandem"
	"tandem/internal/web"
)

// Metrics are what the score API counts for Prometheus. A nil one counts nothing.
type Metrics struct {
	requests                *prometheus.HistogramVec // by route and status
	items, tokens           prometheus.Counter
	batchItems, batchTokens prometheus.Histogram
	waiting, waitingTokens  prometheus.Gauge
	refused                 *prometheus.CounterVec // by reason
	serving                 *prometheus.GaugeVec   // 1 for the models that answer
	reloads                 *prometheus.CounterVec // by outcome
}

// Why an item or a request was refused.
const (
	refusedFull    = "queue_full"
	refusedLong    = "too_long"
	refusedMany    = "too_many"
	refusedInvalid = "invalid"
	refusedModels  = "no_models"
	refusedEnded   = "ended" // its deadline passed, or its client went away
)

// NewMetrics registers the counters.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tandem_score_request_seconds", Help: "Time from a request's arrival to its answer.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15)}, []string{"route", "status"}),
		items:  prometheus.NewCounter(prometheus.CounterOpts{Name: "tandem_score_items_total", Help: "Texts scored."}),
		tokens: prometheus.NewCounter(prometheus.CounterOpts{Name: "tandem_score_tokens_total", Help: "Tokens that passed through a reward model; those of a text count once for each of the two."}),
		batchItems: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tandem_score_batch_items", Help: "Texts of a batch.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 10)}),
		batchTokens: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tandem_score_batch_tokens", Help: "Tokens of a batch, of both models together.",
			Buckets: prometheus.ExponentialBuckets(64, 2, 10)}),
		waiting:       prometheus.NewGauge(prometheus.GaugeOpts{Name: "tandem_score_queue_items", Help: "Texts that wait for a batch."}),
		waitingTokens: prometheus.NewGauge(prometheus.GaugeOpts{Name: "tandem_score_queue_tokens", Help: "Their tokens."}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tandem_score_refused_total",
			Help: "Requests refused (queue_full, too_many, invalid, no_models, ended) and texts refused (too_long), by reason."}, []string{"reason"}),
		serving: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tandem_score_model", Help: "1 for the models that answer."}, []string{"kind", "id"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tandem_score_reloads_total", Help: "Times that a promoted model was opened, by outcome."}, []string{"outcome"}),
	}
	for _, reason := range []string{refusedFull, refusedLong, refusedMany, refusedInvalid, refusedModels, refusedEnded} {
		m.refused.WithLabelValues(reason) // 0 is a value too
	}
	return m, web.RegisterMetrics("scoreapi.NewMetrics", registry,
		m.requests, m.items, m.tokens, m.batchItems, m.batchTokens, m.waiting, m.waitingTokens, m.refused, m.serving, m.reloads)
}

// request counts an answer.
func (m *Metrics) request(route string, status int, took time.Duration) {
	if m == nil {
		return
	}
	if status == 0 {
		status = http.StatusOK
	}
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Observe(took.Seconds())
}

// batch counts what was computed together.
func (m *Metrics) batch(items, tokens int) {
	if m == nil {
		return
	}
	m.items.Add(float64(items))
	m.tokens.Add(float64(tokens))
	m.batchItems.Observe(float64(items))
	m.batchTokens.Observe(float64(tokens))
}

// depth says what waits.
func (m *Metrics) depth(items, tokens int) {
	if m == nil {
		return
	}
	m.waiting.Set(float64(items))
	m.waitingTokens.Set(float64(tokens))
}

func (m *Metrics) refuse(reason string) {
	if m != nil {
		m.refused.WithLabelValues(reason).Inc()
	}
}

// serve says which models answer.
func (m *Metrics) serve(models Models) {
	if m == nil {
		return
	}
	m.serving.Reset()
	m.serving.WithLabelValues(string(tandem.HelpfulnessModel), models.Helpfulness.ID).Set(1)
	m.serving.WithLabelValues(string(tandem.SafetyModel), models.Safety.ID).Set(1)
}

func (m *Metrics) reload(done bool) {
	if m == nil {
		return
	}
	outcome := "failed"
	if done {
		outcome = "done"
	}
	m.reloads.WithLabelValues(outcome).Inc()
}

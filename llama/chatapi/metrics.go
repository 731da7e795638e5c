package chatapi

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tandem"
	"tandem/internal/web"
)

// Metrics are what the chat API counts for Prometheus. A nil one counts nothing.
type Metrics struct {
	requests                   *prometheus.HistogramVec // by status, and whether it was streamed
	first, pace                prometheus.Histogram
	promptTokens, answerTokens prometheus.Counter
	answers                    *prometheus.CounterVec // by how they ended
	waiting, busy              prometheus.Gauge
	batch                      prometheus.Histogram
	refused                    *prometheus.CounterVec // by reason
	serving                    *prometheus.GaugeVec   // 1 for the policy that answers
	reloads                    *prometheus.CounterVec // by outcome
}

// Why a request was refused, or given up before its answer was whole.
const (
	refusedFull    = "queue_full"
	refusedLong    = "too_long"
	refusedInvalid = "invalid"
	refusedModel   = "no_policy"
	refusedEnded   = "ended" // its time passed, or its client went away
)

// How answers end, beside the protocol's reasons.
const (
	finishGivenUp = "given_up" // nobody waits for it any more
	finishFailed  = "failed"
)

// NewMetrics registers the counters.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tandem_chat_request_seconds", Help: "Time from a request's arrival to the end of its answer.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 16)}, []string{"status", "stream"}),
		first: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tandem_chat_first_token_seconds", Help: "Time from a request's arrival to the first token of its answer.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16)}),
		pace: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tandem_chat_answer_tokens_per_second", Help: "Tokens a second of an answer that ended by itself, after its first.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 14)}),
		promptTokens: prometheus.NewCounter(prometheus.CounterOpts{Name: "tandem_chat_prompt_tokens_total", Help: "Tokens of the prompts of requests that were taken."}),
		answerTokens: prometheus.NewCounter(prometheus.CounterOpts{Name: "tandem_chat_answer_tokens_total", Help: "Tokens sampled."}),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tandem_chat_answers_total",
			Help: "Answers by how they ended: stop, length, given_up (nobody waited any more), failed."}, []string{"finish"}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{Name: "tandem_chat_queue_answers", Help: "Answers that wait for a slot."}),
		busy:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "tandem_chat_slots_busy", Help: "Answers that are sampled together now."}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tandem_chat_step_tokens", Help: "Tokens that one step sampled.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 10)}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tandem_chat_refused_total",
			Help: "Requests refused (queue_full, too_long, invalid, no_policy), and given up by their client or their time (ended), by reason."}, []string{"reason"}),
		serving: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tandem_chat_model", Help: "1 for the policy that answers."}, []string{"id"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tandem_chat_reloads_total", Help: "Times that a promoted policy was opened, by outcome."}, []string{"outcome"}),
	}
	for _, reason := range []string{refusedFull, refusedLong, refusedInvalid, refusedModel, refusedEnded} {
		m.refused.WithLabelValues(reason) // 0 is a value too
	}
	for _, finish := range []string{string(tandem.FinishStop), string(tandem.FinishLength), finishGivenUp, finishFailed} {
		m.answers.WithLabelValues(finish)
	}
	return m, web.RegisterMetrics("chatapi.NewMetrics", registry,
		m.requests, m.first, m.pace, m.promptTokens, m.answerTokens, m.answers, m.waiting, m.busy, m.batch, m.refused, m.serving, m.reloads)
}

// request counts an answered request.
func (m *Metrics) request(status int, stream bool, took time.Duration) {
	if m != nil {
		m.requests.WithLabelValues(strconv.Itoa(status), strconv.FormatBool(stream)).Observe(took.Seconds())
	}
}

// prompt counts the prompt of a request that was taken.
func (m *Metrics) prompt(tokens int) {
	if m != nil {
		m.promptTokens.Add(float64(tokens))
	}
}

// firstToken counts what its request waited for it.
func (m *Metrics) firstToken(after time.Duration) {
	if m != nil {
		m.first.Observe(after.Seconds())
	}
}

// sampled counts a step.
func (m *Metrics) sampled(tokens int) {
	if m != nil && tokens > 0 {
		m.answerTokens.Add(float64(tokens))
		m.batch.Observe(float64(tokens))
	}
}

// answered says how fast an answer was sampled after its first token.
func (m *Metrics) answered(tokens int, took time.Duration) {
	if m != nil && tokens > 1 && took > 0 {
		m.pace.Observe(float64(tokens-1) / took.Seconds())
	}
}

// finish counts how n answers ended.
func (m *Metrics) finish(how string, n int) {
	if m != nil {
		m.answers.WithLabelValues(how).Add(float64(n))
	}
}

// queue and slots count more or fewer that wait and are sampled. (Two policies do both while one takes over.)
func (m *Metrics) queue(more int) {
	if m != nil {
		m.waiting.Add(float64(more))
	}
}

func (m *Metrics) slots(more int) {
	if m != nil {
		m.busy.Add(float64(more))
	}
}

func (m *Metrics) refuse(reason string) {
	if m != nil && reason != "" {
		m.refused.WithLabelValues(reason).Inc()
	}
}

// serve says which policy answers.
func (m *Metrics) serve(id string) {
	if m == nil {
		return
	}
	m.serving.Reset()
	m.serving.WithLabelValues(id).Set(1)
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

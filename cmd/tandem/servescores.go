package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tandem"
	"tandem/internal/web"
	"tandem/rewardmodel/scoreapi"
	"tandem/site"
	"tandem/store"
)

// scoreFlags say which reward models serve, and how much of them may be asked at once.
type scoreFlags struct {
	Helpfulness      string        `help:"Folder of the helpfulness model that answers score requests; with --safety (default: the promoted models of the database, also those promoted later)." placeholder:"DIR" group:"scores"`
	Safety           string        `help:"Folder of the safety model; with --helpfulness." placeholder:"DIR" group:"scores"`
	ScoreDelay       time.Duration `default:"1ms" help:"How long a text that came while others were scored waits for more; nothing waits where nothing is scored (default: 1ms)." placeholder:"TIME" group:"scores"`
	ScoreBatchTokens int           `default:"2048" help:"Tokens that are scored together at most (default: 2048)." placeholder:"N" group:"scores"`
	ScoreWaiting     int           `default:"1024" help:"Texts that wait to be scored at most; more are refused with 429 (default: 1024)." placeholder:"N" group:"scores"`
	ScoreItems       int           `default:"256" help:"Texts of a request at most (default: 256)." placeholder:"N" group:"scores"`
	ScoreTokens      int           `default:"262144" help:"Tokens of a request at most (default: 262144)." placeholder:"N" group:"scores"`
	inferenceFlags
}

// check refuses half a pair, and sizes that nothing fits.
func (f scoreFlags) check() error {
	if (f.Helpfulness == "") != (f.Safety == "") {
		return errors.New("--helpfulness and --safety go together: a score is made by both models")
	}
	if f.ScoreItems < 1 || f.ScoreTokens < 1 {
		return fmt.Errorf("--score-items is %d and --score-tokens %d, less than 1", f.ScoreItems, f.ScoreTokens)
	}
	return f.batch().Validate()
}

func (f scoreFlags) batch() scoreapi.BatchConfig {
	return scoreapi.BatchConfig{Tokens: f.ScoreBatchTokens, Delay: f.ScoreDelay, Waiting: f.ScoreWaiting}
}

// served is an API of models as it is served: its operations, and what runs beside them.
type served struct {
	register func(web.API) error
	watch    func(context.Context) // nil for models that stay
	wait     func()                // for what is still computed when nobody asks any more
}

// open makes the score API, with the models of the flags or else those that are promoted in s, as soon as there are any.
func (f scoreFlags) open(ctx context.Context, w *world, s *store.Store, registry prometheus.Registerer) (served, error) {
	metrics, err := scoreapi.NewMetrics(registry)
	if err != nil {
		return served{}, err
	}
	config, err := f.inferenceFlags.config()
	if err != nil {
		return served{}, err
	}
	batcher, err := scoreapi.NewBatcher(f.batch(), metrics)
	if err != nil {
		return served{}, err
	}
	serving := scoreapi.NewServing(metrics)
	out := served{register: func(api web.API) error {
		return scoreapi.Register(api, scoreapi.Config{Serving: serving, Batcher: batcher, Stored: s, Metrics: metrics, MaxItems: f.ScoreItems, MaxTokens: f.ScoreTokens})
	}, wait: batcher.Wait}
	if f.Helpfulness == "" {
		out.watch = func(ctx context.Context) {
			serving.Watch(ctx, scoreapi.WatchConfig{Promotions: s, Open: config, Log: w.log})
		}
		return out, nil
	}
	pair, err := scoreapi.Open(ctx, f.Helpfulness, f.Safety, config)
	if err == nil {
		serving.Use(pair)
	}
	return out, err
}

// newRegistry counts what every process has to tell.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// serveMetrics returns what answers GET /metrics at an address of its own until its context ends.
func serveMetrics(w *world, address string, registry *prometheus.Registry) (func(context.Context), error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, tandem.Errorf(tandem.Unavailable, "", "--metrics-listen %s: %w", address, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	w.log.Info("metrics", "url", "http://"+listener.Addr().String()+"/metrics")
	return func(ctx context.Context) {
		if err := site.Serve(ctx, listener, mux); err != nil {
			w.log.Error("metrics are no longer served", "error", err)
		}
	}, nil
}

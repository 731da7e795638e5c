package site

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"tandem"
	"tandem/internal/web"
)

// Config says how the site answers.
type Config struct {
	// Keys finds out who a key belongs to.
	Keys web.Keys
	// Accounts are how people sign in. Nil is a site without pages, for programs alone.
	Accounts web.Accounts
	// Answers keep what was made under an Idempotency-Key. Nil refuses requests that carry one.
	Answers web.Answers
	// Ready reports whether the site can do its work, for /readyz. Nil is always ready.
	Ready func(context.Context) error
	// Version stands in the OpenAPI document. Defaults to "devel".
	Version string
	// PublicURL is where browsers reach the site. Empty for one on the loopback interface. With https,
	// browsers are told to stay with it.
	PublicURL string
	// TrustedProxies are the addresses of the proxies in front of the site: theirs is the X-Forwarded-For
	// that says who asks. They need a PublicURL. Without any, who asks is who connects.
	TrustedProxies []netip.Prefix
	// Rates are how many requests of one source are answered.
	Rates Rates
	// MaxBody is the largest request body, in bytes, of any operation; most allow less. Defaults to 32 MiB.
	MaxBody int64
	// Log takes the access log and what callers are not told. Defaults to discarding it.
	Log *slog.Logger
}

// DefaultConfig returns the defaults; Keys is left to the caller.
func DefaultConfig() Config {
	return Config{Version: "devel", Rates: DefaultRates(), MaxBody: 32 << 20, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// Validate reports the first field that no site can run with.
func (c Config) Validate() error {
	const op = "site.Config"
	if c.Keys == nil {
		return tandem.Errorf(tandem.Invalid, op, "Keys is missing: nobody could be told apart")
	}
	if c.MaxBody < 1 {
		return tandem.Errorf(tandem.Invalid, op, "MaxBody is %d", c.MaxBody)
	}
	if len(c.TrustedProxies) > 0 && c.PublicURL == "" {
		return tandem.Errorf(tandem.Invalid, op, "TrustedProxies without a PublicURL: a site behind a proxy has one")
	}
	if err := c.Rates.Validate(); err != nil {
		return err
	}
	if c.PublicURL != "" {
		if _, err := origin(c.PublicURL); err != nil {
			return tandem.Errorf(tandem.Invalid, op, "PublicURL: %w", err)
		}
	}
	return nil
}

// Part registers one package's operations and pages: annotation.Register with what it needs, for one.
type Part func(web.API) error

// Handler composes the parts into one handler.
func Handler(config Config, parts ...Part) (http.Handler, error) {
	defaults := DefaultConfig()
	if config.Version == "" {
		config.Version = defaults.Version
	}
	config.Rates = config.Rates.orDefaults()
	if config.MaxBody == 0 {
		config.MaxBody = defaults.MaxBody
	}
	if config.Log == nil {
		config.Log = defaults.Log
	}
	if err := config.Validate(); err != nil {
		return nil, err
	}
	var api web.API // made below, on the router that must know its middleware first
	refuse := func(w http.ResponseWriter, r *http.Request, status int, detail string) {
		api.WriteFailure(w, r, web.NewProblem(status, detail))
	}
	protection, err := crossOrigin(config.PublicURL, refuse)
	if err != nil {
		return nil, err
	}
	router := chi.NewRouter()
	router.Use(
		identify,
		clientIP(config.TrustedProxies),
		accessLog(config.Log),
		secure(config.PublicURL),
		recoverPanics(config.Log, refuse),
		limitRates(config, refuse),
		protection,
		limitBody(config.MaxBody, refuse),
		checkText(refuse),
		middleware.GetHead,
	)
	router.Get("/healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, "ok") })
	router.Get("/readyz", func(w http.ResponseWriter, r *http.Request) {
		if config.Ready != nil {
			if err := config.Ready(r.Context()); err != nil {
				config.Log.WarnContext(r.Context(), "not ready", "error", err)
				web.WriteProblem(w, r, web.NewProblem(http.StatusServiceUnavailable, "The site is not ready."))
				return
			}
		}
		answer(w, "ready")
	})
	api, err = web.NewAPI(router, web.Config{Version: config.Version, Keys: config.Keys, Accounts: config.Accounts,
		Answers: config.Answers, Public: config.PublicURL,
		HTTPS: strings.HasPrefix(config.PublicURL, "https:"), Log: config.Log})
	if err != nil {
		return nil, err
	}
	router.NotFound(func(w http.ResponseWriter, r *http.Request) {
		refuse(w, r, http.StatusNotFound, "There is nothing at "+r.URL.Path+".")
	})
	router.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", strings.Join(methods(router, r.URL.Path), ", "))
		refuse(w, r, http.StatusMethodNotAllowed, r.Method+" is not possible at "+r.URL.Path+".")
	})
	for _, register := range parts {
		if err := register(api); err != nil {
			return nil, err
		}
	}
	api.Describe()
	return router, nil
}

// methods lists what can be done at a path (RFC 9110 wants it in the Allow header of every 405).
func methods(routes chi.Routes, path string) []string {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if !routes.Match(chi.NewRouteContext(), method, path) {
			continue
		}
		allowed = append(allowed, method)
		if method == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	return allowed
}

func answer(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text+"\n") // a client that is gone needs no answer
}

// origin is the scheme and host of a public URL.
func origin(public string) (*url.URL, error) {
	u, err := url.Parse(public)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, tandem.Errorf(tandem.Invalid, "", "%q is not an http or https URL", public)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

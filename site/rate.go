package site

import (
	"crypto/sha256"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/httprate"

	"tandem"
	"tandem/internal/web"
)

// Rates are how many requests a minute one source is answered; more get 429 and a Retry-After. They stop a
// program that has run wild, and are far above what people do. A field that is 0 has its default.
type Rates struct {
	// SignIns are tries to sign in or to use an invitation, from one address. An address is locked after five
	// failures in any case, and two passwords are checked at a time. Defaults to 300: a whole office's morning.
	SignIns int
	// Strangers are requests from one address that carry neither a session nor a key. Defaults to 6,000.
	Strangers int
	// Callers are requests of one session or one key. Defaults to 120,000.
	Callers int
}

// DefaultRates returns the defaults.
func DefaultRates() Rates { return Rates{SignIns: 300, Strangers: 6_000, Callers: 120_000} }

// orDefaults fills in what is 0.
func (r Rates) orDefaults() Rates {
	d := DefaultRates()
	for _, field := range []struct{ given, otherwise *int }{{&r.SignIns, &d.SignIns}, {&r.Strangers, &d.Strangers}, {&r.Callers, &d.Callers}} {
		if *field.given == 0 {
			*field.given = *field.otherwise
		}
	}
	return r
}

// Validate reports a rate that lets nobody in.
func (r Rates) Validate() error {
	if r.SignIns < 0 || r.Strangers < 0 || r.Callers < 0 {
		return tandem.Errorf(tandem.Invalid, "site.Rates", "a rate is negative: %+v", r)
	}
	return nil
}

// clientIP finds out who asks: who connects, or whoever the trusted proxies say. An address that a client
// writes into the header by itself is passed over.
func clientIP(proxies []netip.Prefix) handlerFunc {
	if len(proxies) == 0 {
		return middleware.ClientIPFromRemoteAddr
	}
	texts := make([]string, len(proxies))
	for i, p := range proxies {
		texts[i] = p.String()
	}
	return middleware.ClientIPFromXFF(texts...)
}

// clientAddress is the address of who asks.
func clientAddress(r *http.Request) string {
	if ip := middleware.GetClientIP(r.Context()); ip != "" {
		return ip
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr) // a proxy's header that cannot be read: count for the proxy
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// limitRates counts requests by where they come from. Assets and the two pages for watchdogs are free.
func limitRates(config Config, refuse refuser) handlerFunc {
	byAddress := func(r *http.Request) (string, error) { return httprate.CanonicalizeIP(clientAddress(r)), nil }
	byCredential := func(r *http.Request) (string, error) {
		sum := sha256.Sum256([]byte(web.Credential(r)))
		return string(sum[:]), nil
	}
	options := []httprate.Option{
		httprate.WithResponseHeaders(httprate.ResponseHeaders{RetryAfter: "Retry-After"}),
		httprate.WithLimitHandler(func(w http.ResponseWriter, r *http.Request) {
			refuse(w, r, http.StatusTooManyRequests, "These are too many requests; try again in a minute.")
		}),
	}
	limit := func(n int, key httprate.KeyFunc) handlerFunc {
		return httprate.LimitBy(n, time.Minute, key, options...)
	}
	return func(next http.Handler) http.Handler {
		signIns := limit(config.Rates.SignIns, byAddress)(next)
		strangers := limit(config.Rates.Strangers, byAddress)(next)
		callers := limit(config.Rates.Callers, byCredential)(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			path := r.URL.Path
			switch {
			case strings.HasPrefix(path, "/assets/") || path == "/healthz" || path == "/readyz":
				next.ServeHTTP(w, r)
			case r.Method == http.MethodPost && (path == "/signin" || strings.HasPrefix(path, "/join/")):
				signIns.ServeHTTP(w, r)
			case web.Credential(r) == "":
				strangers.ServeHTTP(w, r)
			default:
				callers.ServeHTTP(w, r)
			}
		})
	}
}

package site

import (
	"crypto/rand"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"tandem/internal/web"
)

type handlerFunc = func(http.Handler) http.Handler

// requestIDForm is what a client or proxy may call its request.
var requestIDForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// identify gives every request an id, the client's own where it has a decent one, and sends it back.
func identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-Id")
		if !requestIDForm.MatchString(id) {
			id = rand.Text()
		}
		w.Header().Set("X-Request-Id", id)
		next.ServeHTTP(w, r.WithContext(web.WithRequestID(r.Context(), id)))
	})
}

// accessLog logs every answer. Queries and headers are left out: they may hold what nobody should read.
func accessLog(log *slog.Logger) handlerFunc {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			wrapped := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
			defer func() {
				log.InfoContext(r.Context(), "request",
					"request_id", web.RequestID(r.Context()),
					"method", r.Method,
					"path", r.URL.Path,
					"route", chi.RouteContext(r.Context()).RoutePattern(),
					"status", wrapped.Status(),
					"bytes", wrapped.BytesWritten(),
					"seconds", time.Since(start).Seconds(),
					"remote", r.RemoteAddr,
				)
			}()
			next.ServeHTTP(wrapped, r)
		})
	}
}

// recoverPanics answers 500 for a handler that panics, and logs where.
func recoverPanics(log *slog.Logger) handlerFunc {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				switch reason := recover(); reason {
				case nil:
				case http.ErrAbortHandler:
					panic(reason) // the handler's way of cutting the connection
				default:
					log.ErrorContext(r.Context(), "panic", "request_id", web.RequestID(r.Context()), "path", r.URL.Path, "reason", reason, "stack", string(debug.Stack()))
					web.WriteProblem(w, r, web.NewProblem(http.StatusInternalServerError, "Something is wrong with the server; its log says more."))
				}
			}()
			next.ServeHTTP(w, r)
		})
	}
}

// secure sets the headers that keep a browser from doing more with an answer than was meant. Pages load
// nothing from elsewhere, and no script or style that stands in them.
func secure(public string) handlerFunc {
	https := false
	if u, err := origin(public); err == nil {
		https = u.Scheme == "https"
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Security-Policy", "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("X-Frame-Options", "DENY")
			h.Set("Referrer-Policy", "same-origin")
			h.Set("Cross-Origin-Opener-Policy", "same-origin")
			h.Set("Cross-Origin-Resource-Policy", "same-origin")
			h.Set("Cache-Control", "no-store")
			if https {
				h.Set("Strict-Transport-Security", "max-age=31536000")
			}
			next.ServeHTTP(w, r)
		})
	}
}

// crossOrigin refuses requests that change something and that a browser sends for another site.
// Programs, which send neither Origin nor Sec-Fetch-Site, pass. The public URL is trusted, since behind
// a proxy the Host header may be another.
func crossOrigin(public string) (handlerFunc, error) {
	protection := http.NewCrossOriginProtection()
	if public != "" {
		u, err := origin(public)
		if err != nil {
			return nil, err
		}
		if err := protection.AddTrustedOrigin(u.String()); err != nil {
			return nil, err
		}
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		web.WriteProblem(w, r, web.NewProblem(http.StatusForbidden, "The request comes from another site. Behind a proxy, --public-url must be the address that browsers use."))
	}))
	return protection.Handler, nil
}

// limitBody bounds what any handler can be made to read.
func limitBody(limit int64) handlerFunc {
	return func(next http.Handler) http.Handler { return http.MaxBytesHandler(next, limit) }
}

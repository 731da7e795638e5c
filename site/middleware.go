package site

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"tandem/internal/web"
)

type handlerFunc = func(http.Handler) http.Handler

// refuser answers a request with a problem, as a page where a browser asks.
type refuser func(w http.ResponseWriter, r *http.Request, status int, detail string)

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
					"remote", clientAddress(r),
				)
			}()
			next.ServeHTTP(wrapped, r)
		})
	}
}

// recoverPanics answers 500 for a handler that panics, and logs where. An answer that has begun is cut off,
// so that nobody takes it for a whole one.
func recoverPanics(log *slog.Logger, refuse refuser) handlerFunc {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			wrapped := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
			defer func() {
				reason := recover()
				if reason == nil {
					return
				}
				if reason == http.ErrAbortHandler { // the handler's way of cutting the connection
					panic(reason)
				}
				log.ErrorContext(r.Context(), "panic", "request_id", web.RequestID(r.Context()), "path", r.URL.Path, "reason", reason, "stack", string(debug.Stack()))
				if wrapped.Status() != 0 {
					panic(http.ErrAbortHandler)
				}
				for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Disposition", "Set-Cookie", "Etag"} {
					wrapped.Header().Del(name) // what the answer would have been
				}
				wrapped.Header().Set("Cache-Control", "no-store")
				refuse(wrapped, r, http.StatusInternalServerError, "Something is wrong with the server; its log says more.")
			}()
			next.ServeHTTP(wrapped, r)
		})
	}
}

// contentPolicy lets a page load the site's own scripts, styles and images and ask the site itself, and
// nothing more: no script or style that stands in the page, no frame, no plugin, no form that leads elsewhere.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

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
			h.Set("Content-Security-Policy", contentPolicy)
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("X-Frame-Options", "DENY")
			h.Set("Referrer-Policy", "same-origin")
			h.Set("Cross-Origin-Opener-Policy", "same-origin")
			h.Set("Cross-Origin-Resource-Policy", "same-origin")
			h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
			h.Set("Cache-Control", "no-store")
			if https {
				h.Set("Strict-Transport-Security", "max-age=31536000")
			}
			next.ServeHTTP(w, r)
		})
	}
}

// crossOrigin refuses requests that change something and that a browser sends for another site, by
// Sec-Fetch-Site and Origin (net/http's CrossOriginProtection). A browser so old that it sends neither must
// name a page of this site as its Referer. Programs with keys, which send none of these, pass. The public URL is trusted,
// since behind a proxy the Host header may be another.
func crossOrigin(public string, refuse refuser) (handlerFunc, error) {
	protection := http.NewCrossOriginProtection()
	trusted := ""
	if public != "" {
		u, err := origin(public)
		if err != nil {
			return nil, err
		}
		trusted = u.String()
		if err := protection.AddTrustedOrigin(trusted); err != nil {
			return nil, err
		}
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse(w, r, http.StatusForbidden, crossOriginDetail(r, trusted))
	}))
	return func(next http.Handler) http.Handler {
		return protection.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !tellsOrigin(r, trusted) {
				refuse(w, r, http.StatusForbidden, "The request does not say which page it comes from: it has no Sec-Fetch-Site, Origin or Referer header. Use a newer browser; a program sends a key instead of a cookie, and JSON with Content-Type: application/json.")
				return
			}
			next.ServeHTTP(w, r)
		}))
	}, nil
}

// tellsOrigin reports whether a request that a browser may have sent by itself says that it comes from this
// site. CrossOriginProtection has judged Sec-Fetch-Site and Origin, so they only have to be there. A browser
// by itself sends cookies, and forms without them (signing somebody in to another's account is an attack too),
// but never a Bearer key.
func tellsOrigin(r *http.Request, trusted string) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") || r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Origin") != "" {
		return true
	}
	if r.Header.Get("Cookie") == "" && !isForm(r) {
		return true
	}
	u, err := url.Parse(r.Referer())
	return err == nil && u.Host != "" && (u.Host == r.Host || u.Scheme+"://"+u.Host == trusted)
}

// crossOriginDetail says why a request was refused, so that who set a proxy up sees what to change.
func crossOriginDetail(r *http.Request, trusted string) string {
	from, site := "another site", "the address in the Host header, "+r.Host
	if o := r.Header.Get("Origin"); o != "" && o != "null" {
		from = o
	}
	if trusted != "" {
		site += ", or " + trusted
	}
	return fmt.Sprintf("The request comes from %s, and this site is at %s. Behind a proxy, --public-url must be the address that browsers use.", from, site)
}

// isForm reports whether a request carries what a browser's form can send without asking first
// (https://fetch.spec.whatwg.org/#cors-safelisted-request-header).
func isForm(r *http.Request) bool {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	switch strings.ToLower(strings.TrimSpace(kind)) {
	case "application/x-www-form-urlencoded", "multipart/form-data", "text/plain":
		return true
	}
	return false
}

// mostForm bounds a form, in bytes as they are sent: a guideline of 100,000 letters fits in any script.
const mostForm = 2 << 20

// checkText refuses addresses and forms that hold what is no text: broken UTF-8, or NUL, which Postgres
// cannot keep. The form is parsed here, so that handlers need not ask whether it could be.
func checkText(refuse refuser) handlerFunc {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			query, _ := url.ParseQuery(r.URL.RawQuery) // what cannot be parsed is not there for handlers either
			name, ok := allText(query)
			if !ok || !isText(r.URL.Path) {
				refuse(w, r, http.StatusUnprocessableEntity, "The address "+name+"holds a NUL character or bytes that are not UTF-8.")
				return
			}
			if strings.HasPrefix(strings.ToLower(r.Header.Get("Content-Type")), "application/x-www-form-urlencoded") && r.Body != nil {
				r.Body = http.MaxBytesReader(w, r.Body, mostForm)
				var large *http.MaxBytesError
				switch err := r.ParseForm(); {
				case errors.As(err, &large):
					refuse(w, r, http.StatusRequestEntityTooLarge, fmt.Sprintf("The form is larger than %d bytes.", large.Limit))
					return
				case err != nil:
					refuse(w, r, http.StatusUnprocessableEntity, fmt.Sprintf("The form cannot be read: %v.", err))
					return
				}
				if name, ok := allText(r.PostForm); !ok {
					refuse(w, r, http.StatusUnprocessableEntity, "The form "+name+"holds a NUL character or bytes that are not UTF-8.")
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// allText reports whether all values are text, and else says in which field it is not, with a space behind.
func allText(values url.Values) (where string, ok bool) {
	for name, each := range values {
		if !isText(name) {
			return "", false
		}
		for _, value := range each {
			if !isText(value) {
				return fmt.Sprintf("in its field %q ", name), false
			}
		}
	}
	return "", true
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// limitBody bounds what any handler can be made to read. What says that it is larger is not read at all.
func limitBody(limit int64, refuse refuser) handlerFunc {
	return func(next http.Handler) http.Handler {
		bounded := http.MaxBytesHandler(next, limit)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength > limit {
				w.Header().Set("Connection", "close")
				refuse(w, r, http.StatusRequestEntityTooLarge, fmt.Sprintf("The request is larger than %d bytes.", limit))
				return
			}
			bounded.ServeHTTP(w, r)
		})
	}
}

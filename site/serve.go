package site

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"tandem"
	"tandem/internal/web"
)

// DefaultGrace is how long requests under way may take to end when the site stops. A request that is cut off then has
// lastWords more to say so.
const (
	DefaultGrace = 10 * time.Second
	lastWords    = time.Second
)

// CheckListen refuses to speak plain HTTP to other machines unless that was asked for: beyond the
// loopback interface keys and judgments need an https public URL (a proxy that ends TLS) or insecure.
func CheckListen(address, public string, insecure bool) error {
	const op = "site.CheckListen"
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return tandem.Errorf(tandem.Invalid, op, "--listen: %w", err)
	}
	if ip, err := netip.ParseAddr(host); host == "localhost" || err == nil && ip.IsLoopback() || insecure {
		return nil
	}
	if u, err := origin(public); err == nil && u.Scheme == "https" {
		return nil
	}
	return tandem.Errorf(tandem.Invalid, op, "%s is reachable from other machines: give an https --public-url, or --insecure-http to go without", address)
}

// limits keep a client that is slow, or means to be, from holding on to what others need.
type limits struct {
	header      time.Duration // for a request's headers to arrive
	request     time.Duration // for all of it
	answer      time.Duration // for the answer to be taken
	idle        time.Duration // for the next request on the same connection to begin
	headerBytes int
}

var defaultLimits = limits{header: 10 * time.Second, request: 2 * time.Minute, answer: 5 * time.Minute, idle: 2 * time.Minute, headerBytes: 64 << 10}

func newServer(handler http.Handler, l limits) *http.Server {
	return &http.Server{Handler: handler, ReadHeaderTimeout: l.header, ReadTimeout: l.request, WriteTimeout: l.answer, IdleTimeout: l.idle, MaxHeaderBytes: l.headerBytes}
}

// Serve is ServeFor with the default grace.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	return ServeFor(ctx, listener, handler, DefaultGrace)
}

// ServeFor answers requests on listener until ctx ends; then it takes no more, lets those under way finish
// for the grace, and cuts off what is left: their contexts end because of web.ErrStopping. It closes the listener. A stop
// that was asked for is no error.
//
// An answer may take five minutes to write; a stream that goes on for longer moves its own deadline
// (http.ResponseController), and one that goes on for ever ends when web.Stopping says so.
func ServeFor(ctx context.Context, listener net.Listener, handler http.Handler, grace time.Duration) error {
	// Requests outlive ctx by the grace, and end with it.
	requests, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	server := newServer(handler, defaultLimits)
	base := web.WithStop(requests, ctx.Done())
	server.BaseContext = func(net.Listener) context.Context { return base }
	stopped := make(chan error, 1)
	served := make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
		case <-served:
		}
		shutdown := func(within time.Duration) error {
			limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
			defer cancel()
			return server.Shutdown(limit)
		}
		err := shutdown(grace)
		if errors.Is(err, context.DeadlineExceeded) {
			cut(web.ErrStopping)
			err = shutdown(lastWords)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = server.Close()
		}
		stopped <- err
	}()
	err := server.Serve(listener)
	close(served)
	if stop := <-stopped; errors.Is(err, http.ErrServerClosed) {
		err = stop
	}
	if err != nil {
		return tandem.Errorf(tandem.Unavailable, "site.Serve", "%w", err)
	}
	return nil
}

package site

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"tandem"
)

// grace is how long requests under way may take to end when the site stops.
const grace = 10 * time.Second

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

// Serve answers requests on listener until ctx ends; then it takes no more, lets those under way finish
// for ten seconds, and cuts off what is left. It closes the listener. A stop that was asked for is no error.
//
// An answer may take five minutes to write; a stream that goes on for longer moves its own deadline
// (http.ResponseController).
func Serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	// Requests outlive ctx by the grace, and end with it.
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	server := &http.Server{
		Handler:           handler,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       2 * time.Minute,
		WriteTimeout:      5 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	stopped := make(chan error, 1)
	served := make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
		case <-served:
		}
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		err := server.Shutdown(limit)
		if errors.Is(err, context.DeadlineExceeded) {
			cut()
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

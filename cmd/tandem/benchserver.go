package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"tandem"
	"tandem/site"
	"tandem/store"
	"tandem/store/local"
)

// benchServer is the Postgres that is measured, and a folder for what is written on the way.
type benchServer struct {
	url    string
	folder string
	own    *local.Server // nil for somebody else's
}

// openBenchServer takes the Postgres at url, or starts one in a folder of its own below another.
func openBenchServer(ctx context.Context, w *world, below, url string) (_ *benchServer, err error) {
	b := &benchServer{url: url}
	if b.folder, err = os.MkdirTemp(below, "tandem-bench-"); err != nil {
		return nil, tandem.Errorf(tandem.Unavailable, "", "%w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.url != "" {
		return b, nil
	}
	if err = os.Chmod(b.folder, 0o711); err != nil { // root's server runs as another user
		return nil, tandem.Errorf(tandem.Unavailable, "", "%w", err)
	}
	if b.own, err = local.Start(ctx, local.Config{Home: b.folder}); err != nil {
		return nil, err
	}
	w.log.Info("DATABASE_URL is not set: measuring a private Postgres", "server", b.own.String())
	if err = store.Migrate(ctx, b.own.OwnerURL()); err != nil {
		return nil, err
	}
	b.url = b.own.URL()
	return b, nil
}

// withConnections is the server's URL, for a pool of so many.
func (b *benchServer) withConnections(n int) string {
	separator := "?"
	if strings.Contains(b.url, "?") {
		separator = "&"
	}
	return fmt.Sprintf("%s%spool_max_conns=%d", b.url, separator, n)
}

func (b *benchServer) close() error {
	var err error
	if b.own != nil {
		err = b.own.Close()
	}
	return errors.Join(err, os.RemoveAll(b.folder))
}

// serve runs parts of the site as tandem serve does, on a free port of the loopback interface; its log goes to a file.
func (b *benchServer) serve(ctx context.Context, s *store.Store, parts ...site.Part) (host string, stop func() error, err error) {
	logFile, err := os.Create(filepath.Join(b.folder, "access.log"))
	if err != nil {
		return "", nil, tandem.Errorf(tandem.Unavailable, "", "%w", err)
	}
	handler, err := site.Handler(site.Config{Keys: s, Accounts: s, Ready: s.Ping, Log: slog.New(slog.NewTextHandler(logFile, nil))}, parts...)
	if err != nil {
		return "", nil, errors.Join(err, logFile.Close())
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, errors.Join(tandem.Errorf(tandem.Unavailable, "", "%w", err), logFile.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- site.Serve(ctx, listener, handler) }()
	return listener.Addr().String(), func() error {
		cancel()
		return errors.Join(<-served, logFile.Close())
	}, nil
}

package main

import (
	"context"
	"fmt"
	"net"
	"runtime/debug"

	"tandem"
	"tandem/annotation"
	"tandem/dashboard"
	"tandem/internal/web"
	"tandem/site"
	"tandem/store"
)

// serveCommand runs the site: collection and the dashboard's operations under /api/v1.
type serveCommand struct {
	Listen       string `default:"127.0.0.1:8080" help:"Address to listen at, as HOST:PORT; port 0 takes a free one (default: 127.0.0.1:8080)." placeholder:"ADDRESS"`
	PublicURL    string `name:"public-url" help:"Where people and programs reach the site, such as https://tandem.example (default: the address itself)." placeholder:"URL"`
	InsecureHTTP bool   `name:"insecure-http" help:"Speak plain HTTP to other machines: keys and judgments can be read on the way."`
	databaseFlags
}

// serveReport is serve's JSON, once it has stopped.
type serveReport struct {
	Address string `json:"address"`
}

func (c *serveCommand) Run(ctx context.Context, w *world) error {
	if err := site.CheckListen(c.Listen, c.PublicURL, c.InsecureHTTP); err != nil {
		return err
	}
	return c.use(ctx, w, func(s *store.Store) error {
		handler, err := site.Handler(site.Config{Keys: s, Accounts: s, Ready: s.Ping, Version: buildVersion(), PublicURL: c.PublicURL, Log: w.log},
			func(api web.API) error { return annotation.Register(api, s) },
			func(api web.API) error { return dashboard.Register(api, s) })
		if err != nil {
			return err
		}
		listener, err := net.Listen("tcp", c.Listen)
		if err != nil {
			return tandem.Errorf(tandem.Unavailable, "", "--listen %s: %w", c.Listen, err)
		}
		address := listener.Addr().String()
		w.log.Info("listening", "url", "http://"+address, "public_url", c.PublicURL)
		if err := site.Serve(ctx, listener, handler); err != nil {
			return err
		}
		if err := w.report(serveReport{address}, ""); err != nil {
			return err
		}
		return fmt.Errorf("stopped: %w", ctx.Err()) // it ends in no other way
	})
}

// buildVersion is the program's version, as the OpenAPI document gives it.
func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "devel"
}

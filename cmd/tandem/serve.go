package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"tandem"
	"tandem/annotation"
	"tandem/dashboard"
	"tandem/internal/web"
	"tandem/site"
	"tandem/store"
)

// serveCommand runs the site: collection, the dashboard's operations under /api/v1, the scores of reward models, and a policy
// to chat with.
type serveCommand struct {
	Listen        string        `default:"127.0.0.1:8080" help:"Address to listen at, as HOST:PORT; port 0 takes a free one (default: 127.0.0.1:8080)." placeholder:"ADDRESS"`
	PublicURL     string        `name:"public-url" help:"Where people and programs reach the site, such as https://tandem.example (default: the address itself)." placeholder:"URL"`
	TrustedProxy  []string      `name:"trusted-proxy" help:"Addresses or networks (10.0.0.0/8) of the proxies whose X-Forwarded-For says who asks; several with commas. They need --public-url (default: none)." placeholder:"NETWORK,…"`
	AdminEmail    string        `name:"admin-email" default:"admin@localhost" help:"What the first admin signs in with; as long as nobody has an account, serve prints a link for them (default: admin@localhost)." placeholder:"ADDRESS"`
	InsecureHTTP  bool          `name:"insecure-http" help:"Speak plain HTTP to other machines: keys and judgments can be read on the way."`
	LiveAnswers   int           `name:"live-answers" default:"2" help:"Answers of live projects to sample at once; more wait (default: 2)." placeholder:"N"`
	MetricsListen string        `name:"metrics-listen" help:"Address at which /metrics is served for Prometheus, as HOST:PORT; whoever reaches it may read it (default: nowhere)." placeholder:"ADDRESS"`
	Grace         time.Duration `default:"10s" help:"How long requests under way may take to end when it stops, streams among them (default: 10s)." placeholder:"TIME"`
	scoreFlags
	chatFlags
	databaseFlags
}

// Validate refuses a number of answers at which nobody would get one, and half a pair of reward models.
func (c *serveCommand) Validate() error {
	if c.LiveAnswers < 1 {
		return fmt.Errorf("--live-answers is %d, less than 1", c.LiveAnswers)
	}
	if c.Grace < 0 {
		return fmt.Errorf("--grace is %v, less than 0", c.Grace)
	}
	return errors.Join(c.scoreFlags.check(), c.chatFlags.check())
}

// serveReport is serve's JSON, once it has stopped.
type serveReport struct {
	Address string `json:"address"`
}

func (c *serveCommand) Run(ctx context.Context, w *world) error {
	if err := site.CheckListen(c.Listen, c.PublicURL, c.InsecureHTTP); err != nil {
		return err
	}
	proxies, err := networks(c.TrustedProxy)
	if err != nil {
		return err
	}
	return c.use(ctx, w, func(s *store.Store) error {
		live, err := annotation.NewLive(s, annotation.LiveConfig{Open: openVariant, AtOnce: c.LiveAnswers, Log: w.log})
		if err != nil {
			return err
		}
		registry := newRegistry()
		scores, err := c.scoreFlags.open(ctx, w, s, registry)
		if err != nil {
			return err
		}
		defer scores.wait()
		models, err := c.scoreFlags.config()
		if err != nil {
			return err
		}
		chats, err := c.chatFlags.open(ctx, w, s, models, registry)
		if err != nil {
			return err
		}
		defer chats.wait()
		handler, err := site.Handler(site.Config{Keys: s, Accounts: s, Answers: s, Ready: s.Ping, Version: buildVersion(), PublicURL: c.PublicURL, TrustedProxies: proxies, Log: w.log},
			func(api web.API) error { return annotation.Register(api, s) },
			func(api web.API) error { return annotation.RegisterLive(api, live) },
			func(api web.API) error { return annotation.RegisterSetup(api, s, site.PracticeProjects(s)) },
			func(api web.API) error { return dashboard.Register(api, s) },
			scores.register, chats.register)
		if err != nil {
			return err
		}
		listener, err := net.Listen("tcp", c.Listen)
		if err != nil {
			return tandem.Errorf(tandem.Unavailable, "", "--listen %s: %w", c.Listen, err)
		}
		address := listener.Addr().String()
		w.log.Info("listening", "url", "http://"+address, "public_url", c.PublicURL)
		if err := c.welcome(ctx, w, s, address); err != nil {
			return err
		}
		beside := []func(context.Context){live.Run}
		for _, models := range []served{scores, chats} {
			if models.watch != nil {
				beside = append(beside, models.watch)
			}
		}
		if c.MetricsListen != "" {
			metrics, err := serveMetrics(w, c.MetricsListen, registry)
			if err != nil {
				return errors.Join(err, listener.Close())
			}
			beside = append(beside, metrics)
		}
		if err := alongside(ctx, func(ctx context.Context) error { return site.ServeFor(ctx, listener, handler, c.Grace) }, beside...); err != nil {
			return err
		}
		if err := w.report(serveReport{address}, ""); err != nil {
			return err
		}
		return fmt.Errorf("stopped: %w", ctx.Err()) // it ends in no other way
	})
}

// networks reads addresses, and networks such as 10.0.0.0/8.
func networks(texts []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if address, notOne := netip.ParseAddr(text); notOne == nil {
			network, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return nil, tandem.Errorf(tandem.Invalid, "", "--trusted-proxy: %q is neither an address nor a network such as 10.0.0.0/8", text)
		}
		all = append(all, network)
	}
	return all, nil
}

// byServe is whom the audit names for what the server does by itself.
const byServe = "serve"

// welcome prints the link by which the first admin joins, as long as nobody did. There is no password to know:
// whoever reads the terminal of the server is the one.
func (c *serveCommand) welcome(ctx context.Context, w *world, s *store.Store, address string) error {
	invitation, token, err := s.WelcomeFirst(ctx, store.Annotator{Name: "Admin", Email: c.AdminEmail}, byServe, store.ResetLasts)
	if err != nil || token == "" {
		return err
	}
	base := c.PublicURL
	if base == "" {
		if host, port, err := net.SplitHostPort(address); err == nil && net.ParseIP(host).IsUnspecified() {
			address = net.JoinHostPort("127.0.0.1", port) // it listens everywhere, which is no address
		}
		base = "http://" + address
	}
	_, err = fmt.Fprintf(w.err, "\nNobody has an account here yet. The first admin joins by this link, as %s:\n\n    %s\n\nIt works once, until %s; another start prints another one.\n\n",
		invitation.Person.Email, web.JoinLink(base, token), day(invitation.ExpiresAt))
	return err
}

// alongside serves, and does what else has to be done for as long as that lasts.
func alongside(ctx context.Context, serve func(context.Context) error, work ...func(context.Context)) error {
	ctx, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	for _, w := range work {
		all.Go(func() { w(ctx) })
	}
	err := serve(ctx)
	stop()
	all.Wait()
	return err
}

// buildVersion is the program's version, as the OpenAPI document gives it.
func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "devel"
}

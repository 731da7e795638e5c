package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"time"

	"tandem"
	"tandem/annotation"
	"tandem/internal/load"
	"tandem/internal/web"
	"tandem/store"
)

// benchAnnotateCommand measures the annotation site with a simulated crowd.
type benchAnnotateCommand struct {
	Annotators  int     `default:"200" help:"Simulated annotators (default: 200)." placeholder:"N"`
	Seconds     int     `default:"60" help:"Seconds to measure; the pages' forms and pgbench get a third each (default: 60)." placeholder:"N"`
	Rate        float64 `help:"Judgments a second that all of them make together, for what each waits at that rate (default: as many as they can)." placeholder:"N"`
	Overlap     int     `default:"3" help:"Judgments wanted of each comparison (default: 3)." placeholder:"N"`
	Comparisons []int   `help:"Measure single operations instead, at these numbers of comparisons side by side: 1000,1000000." placeholder:"N,…"`
	Connections int     `default:"16" help:"The site's connections to Postgres (default: 16)." placeholder:"N"`
	Folder      string  `help:"Folder in which the private Postgres is made, on the disk that is to be measured (default: the system's for temporary files)." placeholder:"DIR"`
	Profile     string  `help:"File for a CPU profile of the crowd's work." placeholder:"FILE"`
	DatabaseURL string  `name:"database-url" env:"DATABASE_URL,TANDEM_DATABASE_URL" help:"Postgres to measure, migrated; projects and people are added to it (default: a private server, durable, removed afterwards)." placeholder:"URL" group:"storage"`
}

// benchAnnotateReport is its JSON.
type benchAnnotateReport struct {
	Machine    string          `json:"machine"`
	Durability load.Durability `json:"durability"`
	Overlap    int             `json:"overlap,omitempty"`
	API        *load.Result    `json:"api,omitempty"`
	APICheck   *load.Checked   `json:"api_check,omitempty"`
	Forms      *load.Result    `json:"forms,omitempty"`
	FormsCheck *load.Checked   `json:"forms_check,omitempty"`
	PGBench    *load.TPCB      `json:"pgbench,omitempty"`
	Sizes      []load.Size     `json:"sizes,omitempty"`
}

func (c *benchAnnotateCommand) Run(ctx context.Context, w *world) (err error) {
	if c.Annotators < 1 || c.Seconds < 1 || c.Overlap < 1 || c.Connections < 1 || c.Rate < 0 {
		return tandem.Errorf(tandem.Invalid, "", "--annotators, --seconds, --overlap and --connections are at least 1, --rate is not negative")
	}
	if len(c.Comparisons) > 0 && slices.Min(c.Comparisons) < 10 {
		return tandem.Errorf(tandem.Invalid, "", "--comparisons are at least 10")
	}
	server, err := openBenchServer(ctx, w, c.Folder, c.DatabaseURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	s, err := store.Open(ctx, server.withConnections(c.Connections))
	if err != nil {
		return err
	}
	defer s.Close()
	r := benchAnnotateReport{Machine: fmt.Sprintf("%s/%s, %d cores", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())}
	if r.Durability, err = load.DurabilityOf(ctx, s.Pool()); err != nil {
		return err
	}
	if !r.Durability.On() {
		w.log.Warn("durability is not on: what follows is not what a server is to be judged by")
	}
	if len(c.Comparisons) > 0 {
		if r.Sizes, err = c.sizes(ctx, w, s); err != nil {
			return err
		}
		return w.report(r, "%s%s", benchText([][2]string{{"machine", r.Machine}, {"postgres", durabilityText(r.Durability)}}), load.SizesText(r.Sizes))
	}
	if err := c.crowd(ctx, w, s, server, &r); err != nil {
		return err
	}
	if err := w.report(r, "%s", r.text()); err != nil {
		return err
	}
	for route, checked := range map[string]*load.Checked{"API": r.APICheck, "forms": r.FormsCheck} {
		if !checked.OK() {
			return tandem.Errorf(tandem.Corrupt, "", "%s: the database does not hold what was acknowledged: %+v", route, *checked)
		}
	}
	return nil
}

// crowd measures the API, the pages and pgbench, one after the other.
func (c *benchAnnotateCommand) crowd(ctx context.Context, w *world, s *store.Store, server *benchServer, r *benchAnnotateReport) error {
	host, stop, err := server.serve(ctx, s, func(api web.API) error { return annotation.Register(api, s) })
	if err != nil {
		return err
	}
	defer func() { _ = stop() }()
	w.log.Info("signing in", "annotators", c.Annotators)
	mark := time.Now().UTC().Format("2006-01-02 15:04:05.000") // tells runs on one database apart
	people, err := load.MakePeople(ctx, s, "Simulated "+mark, c.Annotators)
	if err != nil {
		return err
	}
	profile, err := profileTo(c.Profile)
	if err != nil {
		return err
	}
	defer profile()
	third := time.Duration(max(c.Seconds/3, 1)) * time.Second
	r.Overlap = c.Overlap
	for _, phase := range []struct {
		route    load.Route
		duration time.Duration
		rate     float64
		result   **load.Result
		checked  **load.Checked
	}{
		{load.API, time.Duration(c.Seconds) * time.Second, c.Rate, &r.API, &r.APICheck},
		{load.Forms, third, 0, &r.Forms, &r.FormsCheck},
	} {
		const warmup = 3 * time.Second
		// So many that they are not all judged: ten thousand a second, by overlap.
		wanted := max(int((phase.duration+warmup).Seconds())*2000/c.Overlap, 1000)
		w.log.Info("making comparisons", "route", phase.route, "comparisons", wanted)
		project, err := load.MakeProject(ctx, s, s.Pool(), store.Project{Name: fmt.Sprintf("Load, %s, %s", phase.route, mark), Aspect: tandem.Helpfulness,
			Guideline: "Choose the answer that helps more.", Overlap: c.Overlap}, wanted)
		if err != nil {
			return err
		}
		w.log.Info("judging", "route", phase.route, "seconds", phase.duration.Seconds())
		result, err := load.Run(ctx, load.Config{Host: host, Project: project.ID, People: people, Route: phase.route, Duration: phase.duration, Warmup: warmup, Rate: phase.rate, Seed: 1})
		if err != nil {
			return err
		}
		checked, err := load.Check(ctx, s, project, result.Acknowledged)
		if err != nil {
			return err
		}
		*phase.result, *phase.checked = &result, &checked
	}
	profile()
	measured := load.TPCB{Skipped: "the server is not tandem's own, and pgbench wants a superuser"}
	if server.own != nil {
		w.log.Info("pgbench", "seconds", third.Seconds())
		if measured, err = load.PGBench(ctx, server.own.Program("pgbench"), server.own.AdminURL(), c.Connections, third); err != nil {
			return err
		}
	}
	r.PGBench = &measured
	return nil
}

// sizes measures single operations at each number of comparisons.
func (c *benchAnnotateCommand) sizes(ctx context.Context, w *world, s *store.Store) ([]load.Size, error) {
	var sizes []load.Size
	judged := min(slices.Min(c.Comparisons)/2, 2000) // by each person who asks, whatever the size
	for _, n := range c.Comparisons {
		w.log.Info("making comparisons", "comparisons", n)
		size, err := load.Flat(ctx, s, s.Pool(), n, c.Overlap, judged)
		if err != nil {
			return nil, err
		}
		sizes = append(sizes, size)
	}
	return sizes, nil
}

// profileTo starts the CPU profile, if one was asked for; the end may be called twice.
func profileTo(path string) (end func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	file, err := os.Create(path)
	if err == nil {
		err = pprof.StartCPUProfile(file)
	}
	if err != nil {
		return nil, tandem.Errorf(tandem.Unavailable, "", "--profile: %w", err)
	}
	return func() { pprof.StopCPUProfile(); _ = file.Close() }, nil
}

func durabilityText(d load.Durability) string {
	return fmt.Sprintf("%s; fsync %s, synchronous_commit %s, full_page_writes %s; shared_buffers %s", d.Server, d.Fsync, d.SynchronousCommit, d.FullPageWrites, d.SharedBuffers)
}

// text is the report's table.
func (r benchAnnotateReport) text() string {
	rows := [][2]string{{"machine", r.Machine}, {"postgres", durabilityText(r.Durability)}}
	for _, part := range []struct {
		name    string
		result  *load.Result
		checked *load.Checked
	}{{"api", r.API, r.APICheck}, {"forms", r.Forms, r.FormsCheck}} {
		ms := func(l load.Latency) string { return fmt.Sprintf("%.1f / %.1f / %.1f ms", l.P50, l.P95, l.P99) }
		asked := ""
		if part.result.Rate > 0 {
			asked = fmt.Sprintf(", asked %.0f /s", part.result.Rate)
		}
		rows = append(rows,
			[2]string{part.name, fmt.Sprintf("%.0f judgments/s by %d annotators in %.0f s (%d in the slowest second)%s, %d errors", part.result.JudgmentsPerSecond, part.result.Annotators,
				part.result.Seconds, part.result.SlowestSecond, asked, part.result.Errors)},
			[2]string{"  claim", ms(part.result.Claim) + " (p50 / p95 / p99)"},
			[2]string{"  submit", ms(part.result.Submit)},
			[2]string{"  both", ms(part.result.Both)},
			[2]string{"  kept", fmt.Sprintf("%d acknowledged: %d lost, %d doubled, %d tasks with too many; counts are true: %v", part.checked.Acknowledged, part.checked.Lost, part.checked.Doubled, part.checked.TooMany, part.checked.Counts)})
		if part.result.Errors > 0 {
			rows = append(rows, [2]string{"  errors", fmt.Sprint(part.result.ErrorKinds)})
		}
	}
	bench := r.PGBench.Skipped
	if bench == "" {
		bench = fmt.Sprintf("%.0f transactions/s (TPC-B-like, %d clients, scale %d), %.1f ms on average; a judgment is two transactions",
			r.PGBench.TransactionsPerSecond, r.PGBench.Clients, r.PGBench.Scale, r.PGBench.LatencyMS)
	}
	return benchText(append(rows, [2]string{"pgbench", bench}))
}

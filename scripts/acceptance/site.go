package main

import (
	"context"
	"fmt"
	"strings"
)

// crowd is what `tandem bench annotate` reports.
type crowd struct {
	Durability struct {
		Server            string `json:"server"`
		Fsync             string `json:"fsync"`
		SynchronousCommit string `json:"synchronous_commit"`
		FullPageWrites    string `json:"full_page_writes"`
	} `json:"durability"`
	API        worked  `json:"api"`
	APICheck   checked `json:"api_check"`
	Forms      worked  `json:"forms"`
	FormsCheck checked `json:"forms_check"`
	PGBench    struct {
		TransactionsPerSecond float64 `json:"transactions_per_second"`
		LatencyMS             float64 `json:"latency_ms"`
		Clients               int     `json:"clients"`
		Skipped               string  `json:"skipped"`
	} `json:"pgbench"`
	Sizes []struct {
		Comparisons int `json:"comparisons"`
		Operations  []struct {
			Name string `json:"name"`
			latency
		} `json:"operations"`
		ClaimPlan string `json:"claim_plan"`
	} `json:"sizes"`
}

// worked is what a crowd did by one route.
type worked struct {
	JudgmentsPerSecond float64 `json:"judgments_per_second"`
	SlowestSecond      int     `json:"slowest_second"`
	Seconds            float64 `json:"seconds"`
	Annotators         int     `json:"annotators"`
	Errors             int     `json:"errors"`
	Claim              latency `json:"claim"`
	Submit             latency `json:"submit"`
}

type latency struct {
	P50 float64 `json:"p50_ms"`
	P95 float64 `json:"p95_ms"`
	P99 float64 `json:"p99_ms"`
}

func (l latency) String() string { return fmt.Sprintf("%.1f / %.1f / %.1f", l.P50, l.P95, l.P99) }

// checked is what the database holds of it.
type checked struct {
	Acknowledged int  `json:"acknowledged"`
	Lost         int  `json:"lost"`
	Doubled      int  `json:"doubled"`
	TooMany      int  `json:"too_many"`
	Counts       bool `json:"counts_are_true"`
}

// site measures a crowd of annotators, and single operations in projects of very different sizes.
func (a *acceptance) site(ctx context.Context) error {
	const rate = 550 // judgments a second; asked is a little more than must be reached
	a.printf("\n## Two hundred annotators\n\n`tandem bench annotate` has simulated annotators judge over HTTP, each by a claim and a submit with a session's cookie and the " +
		"headers that the cross-site checks read, as fast as they can (`--rate` 0) or at a rate together; they and Postgres share the machine's cores with the site.\n\n")
	a.printf("| `--rate` | route | judgments/s | slowest second | claim, ms (p50 / p95 / p99) | submit, ms | errors | acknowledged | lost | doubled |\n|---|---|---|---|---|---|---|---|---|---|\n")
	var steady, fastest crowd
	for _, run := range []struct {
		rate int
		into *crowd
	}{{0, &fastest}, {rate, &steady}} {
		if err := a.tandem(ctx, nil, run.into, "bench", "annotate", "--rate", fmt.Sprint(run.rate)); err != nil {
			return err
		}
		row := func(rate, route string, w worked, c checked) {
			a.printf("| %s | %s | %.0f in %.0f s | %d | %v | %v | %d | %d | %d | %d |\n", rate, route, w.JudgmentsPerSecond, w.Seconds, w.SlowestSecond, w.Claim, w.Submit, w.Errors,
				c.Acknowledged, c.Lost, c.Doubled+c.TooMany)
		}
		row(fmt.Sprint(run.rate), "`/api/v1`", run.into.API, run.into.APICheck)
		if run.rate == 0 {
			row("0", "pages and forms", run.into.Forms, run.into.FormsCheck)
		}
	}
	d := fastest.Durability
	a.printf("\n%s; fsync %s, synchronous_commit %s, full_page_writes %s. ", d.Server, d.Fsync, d.SynchronousCommit, d.FullPageWrites)
	if p := fastest.PGBench; p.Skipped != "" {
		a.printf("pgbench: %s.\n\n", p.Skipped)
	} else {
		a.printf("pgbench on the same server in the same run: %.0f transactions/s (TPC-B-like, %d clients), %.1f ms on average; a judgment is two transactions.\n\n", p.TransactionsPerSecond, p.Clients, p.LatencyMS)
	}
	a.check(fastest.API.JudgmentsPerSecond >= 500, "%.0f judgments/s for a minute, want 500", fastest.API.JudgmentsPerSecond)
	a.check(steady.API.JudgmentsPerSecond >= 500 && max(steady.API.Claim.P99, steady.API.Submit.P99) < 200,
		"at %.0f judgments/s 99 of 100 claims take at most %.1f ms and submits %.1f ms, want 200 ms", steady.API.JudgmentsPerSecond, steady.API.Claim.P99, steady.API.Submit.P99)
	for _, c := range []struct {
		of string
		checked
	}{{"as fast as they can", fastest.APICheck}, {"steadily", steady.APICheck}, {"by pages", fastest.FormsCheck}} {
		a.check(c.Lost+c.Doubled+c.TooMany == 0 && c.Counts, "%s: nothing lost or doubled, and counts are true", c.of)
	}
	return a.sizes(ctx)
}

// sizes checks that what people wait for takes no longer in a large project.
func (a *acceptance) sizes(ctx context.Context) error {
	var c crowd
	if err := a.tandem(ctx, nil, &c, "bench", "annotate", "--comparisons", "1000,1000000"); err != nil {
		return err
	}
	if len(c.Sizes) != 2 {
		return fmt.Errorf("%d sizes were measured", len(c.Sizes))
	}
	small, large := c.Sizes[0], c.Sizes[1]
	a.printf("\n## A thousand comparisons and a million\n\n`tandem bench annotate --comparisons 1000,1000000`: single operations on one connection, in ms (p50 / p95 / p99 of a hundred).\n\n")
	a.printf("| operation | %d comparisons | %d comparisons |\n|---|---|---|\n", small.Comparisons, large.Comparisons)
	for i, o := range small.Operations {
		a.printf("| %s | %v | %v |\n", o.Name, o.latency, large.Operations[i].latency)
	}
	a.printf("\n")
	for i, o := range small.Operations {
		other := large.Operations[i]
		a.check(other.P50 <= 2*o.P50+1, "%s: %.2f ms, and %.2f ms at %d comparisons, want at most twice as long and a millisecond", o.Name, o.P50, other.P50, large.Comparisons)
	}
	a.printf("\n`EXPLAIN (ANALYZE, BUFFERS)` of a claim there:\n\n```\n%s\n```\n", strings.TrimSpace(large.ClaimPlan))
	return nil
}

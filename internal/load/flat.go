package load

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"tandem"
	"tandem/store"
)

// Size is what single operations take in a project of so many comparisons, one after the other on one connection.
type Size struct {
	Comparisons int           `json:"comparisons"`
	Judged      int           `json:"judged"` // of them by the one who asks, beforehand
	MadeIn      time.Duration `json:"-"`
	Operations  []Operation   `json:"operations"`
	ClaimPlan   string        `json:"claim_plan,omitempty"` // EXPLAIN (ANALYZE, BUFFERS)
}

// Operation is one of them.
type Operation struct {
	Name string `json:"name"`
	Latency
}

// Flat makes a project of n comparisons, of which one person judges so many, and measures what people do with it: what
// annotators wait for, and what those see who look after it.
func Flat(ctx context.Context, s *store.Store, pool *pgxpool.Pool, n, overlap, judged int) (Size, error) {
	const repeats = 100
	size := Size{Comparisons: n, Judged: judged}
	began := time.Now()
	project, err := MakeProject(ctx, s, pool, store.Project{Name: fmt.Sprintf("%d comparisons, %v", n, began.UnixNano()), Aspect: tandem.Helpfulness, Overlap: overlap}, n)
	if err != nil {
		return size, err
	}
	size.MadeIn = time.Since(began)
	people, err := MakePeople(ctx, s, project.Name, 2)
	if err != nil {
		return size, err
	}
	me, other := people[0].ID, people[1].ID
	var claimed store.Claimed
	claim := func(person string) (err error) {
		claimed, err = s.Claim(ctx, person, project.ID)
		if err == nil && claimed.Assignment == nil {
			err = tandem.Errorf(tandem.Conflict, "load.Flat", "nothing is left to claim in %d comparisons", n)
		}
		return err
	}
	submit := func() error {
		a := claimed.Assignment
		_, err := s.Submit(ctx, store.Submission{Annotator: a.Annotator, Assignment: a.ID, Key: a.ID,
			Verdict: store.Verdict{Chosen: a.Responses[0].ID, Rejected: a.Responses[1].ID, Degree: tandem.Better}})
		return err
	}
	// Somebody who has judged much already, and another one who begins.
	for range judged {
		if err := claim(me); err != nil {
			return size, err
		}
		if err := submit(); err != nil {
			return size, err
		}
	}
	list := func(name string, do func() error) struct {
		name string
		do   func() error
	} {
		return struct {
			name string
			do   func() error
		}{name, do}
	}
	middle := ""
	if tasks, err := s.Tasks(ctx, project.ID, store.Page{Limit: 1}); err == nil && len(tasks) == 1 {
		middle = tasks[0].ID
	}
	for _, operation := range []struct {
		name string
		do   func() error
	}{
		list("claim, new task", func() error { return claim(me) }),
		list("submit", submit),
		list("claim, by who begins", func() error { return claim(other) }),
		list("home: projects", func() error { _, err := s.Workplaces(ctx, me); return err }),
		list("home: the day", func() error { _, err := s.Day(ctx, me); return err }),
		list("history, a page", func() error { _, err := s.Pieces(ctx, me, false, store.Page{Limit: 25}); return err }),
		list("tasks, a page", func() error { _, err := s.Tasks(ctx, project.ID, store.Page{After: middle, Limit: 100}); return err }),
		list("judgments, a page", func() error {
			_, err := s.ProjectJudgments(ctx, project.ID, store.Page{Limit: 100})
			return err
		}),
		list("progress", func() error { _, err := s.Progress(ctx, project.ID); return err }),
	} {
		var times []time.Duration
		for range repeats {
			if operation.name == "submit" { // each wants a claim before it, which is not measured
				if err := claim(me); err != nil {
					return size, err
				}
			}
			began := time.Now()
			if err := operation.do(); err != nil {
				return size, err
			}
			times = append(times, time.Since(began))
			if strings.HasPrefix(operation.name, "claim") {
				if err := submit(); err != nil {
					return size, err
				}
			}
			if len(times) >= 10 && time.Since(began) > time.Second { // slow enough to know
				break
			}
		}
		size.Operations = append(size.Operations, Operation{operation.name, LatencyOf(times)})
	}
	size.ClaimPlan, err = s.ExplainClaim(ctx, me, project.ID)
	return size, err
}

// SizesText is a table of the medians and the 99th percentiles, a column for each size, and the last size's plan of a claim.
func SizesText(sizes []Size) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-22s", "p50 / p99 in ms")
	for _, s := range sizes {
		fmt.Fprintf(&b, "  %20s", fmt.Sprintf("%d comparisons", s.Comparisons))
	}
	b.WriteByte('\n')
	for i := range sizes[0].Operations {
		fmt.Fprintf(&b, "%-22s", sizes[0].Operations[i].Name)
		for _, s := range sizes {
			o := s.Operations[i]
			fmt.Fprintf(&b, "  %20s", fmt.Sprintf("%.2f / %.2f", o.P50, o.P99))
		}
		b.WriteByte('\n')
	}
	for _, s := range sizes {
		fmt.Fprintf(&b, "%d comparisons were made in %v\n", s.Comparisons, s.MadeIn.Round(time.Second))
	}
	return b.String() + "\nEXPLAIN (ANALYZE, BUFFERS) of a claim, at the last size:\n" + sizes[len(sizes)-1].ClaimPlan
}

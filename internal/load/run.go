package load

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"tandem"
)

// Config says what a crowd does.
type Config struct {
	// Host is the site's HOST:PORT; it is spoken to in plain HTTP. Required.
	Host string
	// Project is the id of the project that they work in. Required.
	Project string
	// People are who works, each over a connection of their own. Required.
	People []Person
	// Route is the way that judgments take. Defaults to API.
	Route Route
	// Duration is how long they work, once Warmup, which is not measured, is over.
	Duration, Warmup time.Duration
	// Rate is how many judgments a second all of them make together, spread at random; what falls behind makes it up,
	// and the time that a judgment was late counts. 0 is as many as they can: each begins the next one when
	// the last one was kept.
	Rate float64
	// Retry sends again what was lost on the way, for servers that are made to fall. Without it every lost request is an
	// error.
	Retry bool
	// Seed is of what they choose.
	Seed uint64
}

// Validate reports the first field that nothing can be run with.
func (c Config) Validate() error {
	const op = "load.Config"
	switch {
	case c.Host == "" || c.Project == "" || len(c.People) == 0:
		return tandem.Errorf(tandem.Invalid, op, "Host, Project or People is missing")
	case c.Route != "" && c.Route != API && c.Route != Forms:
		return tandem.Errorf(tandem.Invalid, op, "there is no route %q", c.Route)
	case c.Duration <= 0 || c.Warmup < 0 || c.Rate < 0:
		return tandem.Errorf(tandem.Invalid, op, "Duration is %v, Warmup %v, Rate %v", c.Duration, c.Warmup, c.Rate)
	}
	return nil
}

// Result is what a crowd came to. Claim is the time until the task was there: for Forms, until its page was. Submit is the
// time until the judgment was acknowledged, Both of the two together; with a Rate it begins when the judgment was due.
type Result struct {
	Route              Route          `json:"route"`
	Annotators         int            `json:"annotators"`
	Seconds            float64        `json:"seconds"`
	Rate               float64        `json:"rate_asked,omitempty"`
	Judgments          int            `json:"judgments"`
	JudgmentsPerSecond float64        `json:"judgments_per_second"`
	PerSecond          []int          `json:"per_second"` // judgments that were kept in each second
	SlowestSecond      int            `json:"slowest_second"`
	Claim              Latency        `json:"claim"`
	Submit             Latency        `json:"submit"`
	Both               Latency        `json:"both"`
	Errors             int            `json:"errors"`
	ErrorKinds         map[string]int `json:"error_kinds,omitempty"`
	Empty              int            `json:"empty_claims,omitempty"` // nothing was left: the project was too small
	Acknowledged       []Acknowledged `json:"-"`                      // the warm-up's too
}

// measured is one annotator's share of a result.
type measured struct {
	turns []turn
	waits []time.Duration // how late each turn was begun
	kinds map[string]int
	empty int
}

// Run has the crowd work. What is under way when the time is over is finished, so that nothing is left
// unacknowledged. Errors of single requests are counted, not returned.
func Run(ctx context.Context, c Config) (Result, error) {
	if err := c.Validate(); err != nil {
		return Result{}, err
	}
	if c.Route == "" {
		c.Route = API
	}
	start := time.Now().Add(c.Warmup)
	end := start.Add(c.Duration)
	all := make([]measured, len(c.People))
	var wait sync.WaitGroup
	for i, person := range c.People {
		wait.Go(func() {
			a := &annotator{Person: person, project: c.Project, retry: c.Retry, random: rand.New(rand.NewPCG(c.Seed, uint64(i))),
				connection: connection{host: c.Host, cookie: cookieName + "=" + person.Session}}
			defer a.close()
			all[i] = a.work(ctx, c, end)
		})
	}
	wait.Wait()
	return sum(c, all, start, end), ctx.Err()
}

// work judges until the end.
func (a *annotator) work(ctx context.Context, c Config, end time.Time) measured {
	m := measured{kinds: make(map[string]int)}
	one := a.judge
	if c.Route == Forms {
		one = a.fill
	}
	var pause time.Duration // the mean time between two judgments of one person
	due := time.Now()
	if c.Rate > 0 {
		pause = time.Duration(float64(len(c.People)) / c.Rate * float64(time.Second))
		due = due.Add(time.Duration(a.random.Float64() * float64(pause)))
	}
	for {
		if c.Rate == 0 {
			due = time.Now()
		}
		if due.After(end) || !sleepUntil(ctx, due) || time.Now().After(end) {
			return m
		}
		t, err := one(ctx)
		var refused failure
		switch {
		case ctx.Err() != nil:
			return m
		case errors.As(err, &refused):
			m.kinds[refused.Error()]++
		case err != nil:
			m.kinds["lost"]++
		case t.none:
			m.empty++
			if !sleepUntil(ctx, time.Now().Add(50*time.Millisecond)) {
				return m
			}
		default:
			m.turns = append(m.turns, t)
			m.waits = append(m.waits, max(t.began.Sub(due), 0))
		}
		due = due.Add(time.Duration((0.5 + a.random.Float64()) * float64(pause)))
	}
}

// sleepUntil reports whether the time came before the context's end.
func sleepUntil(ctx context.Context, at time.Time) bool {
	left := time.Until(at)
	if left <= 0 {
		return ctx.Err() == nil
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(left):
		return true
	}
}

// sum puts the crowd's shares together. Judgments count that were kept between start and end.
func sum(c Config, all []measured, start, end time.Time) Result {
	r := Result{Route: c.Route, Annotators: len(c.People), Rate: c.Rate, Seconds: end.Sub(start).Seconds(), ErrorKinds: make(map[string]int)}
	var claims, submits, both []time.Duration
	r.PerSecond = make([]int, int(r.Seconds))
	for _, m := range all {
		for i, t := range m.turns {
			r.Acknowledged = append(r.Acknowledged, t.ack)
			if t.kept.Before(start) || t.kept.After(end) {
				continue
			}
			claims = append(claims, t.claimed.Sub(t.began))
			submits = append(submits, t.kept.Sub(t.claimed))
			both = append(both, t.kept.Sub(t.began)+m.waits[i])
			if second := int(t.kept.Sub(start).Seconds()); second < len(r.PerSecond) {
				r.PerSecond[second]++
			}
		}
		for kind, n := range m.kinds {
			r.ErrorKinds[kind] += n
			r.Errors += n
		}
		r.Empty += m.empty
	}
	r.Judgments = len(both)
	r.JudgmentsPerSecond = float64(r.Judgments) / r.Seconds
	if len(r.PerSecond) > 0 {
		r.SlowestSecond = slices.Min(r.PerSecond)
	}
	r.Claim, r.Submit, r.Both = LatencyOf(claims), LatencyOf(submits), LatencyOf(both)
	maps.DeleteFunc(r.ErrorKinds, func(_ string, n int) bool { return n == 0 })
	return r
}

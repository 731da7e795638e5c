package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// ScoresConfig is what programs ask the score API for.
type ScoresConfig struct {
	Host     string   // HOST:PORT
	Key      string   // with the scope to score
	Bodies   [][]byte // requests of POST /v1/score; each client sends them in an order of its own, again and again
	Clients  int      // each with one request under way
	Warmup   time.Duration
	Duration time.Duration // that is measured, after the warm-up
	Seed     uint64
}

// ScoresResult is what came of them.
type ScoresResult struct {
	Times    []time.Duration // from a request to its answer, of those answered while it was measured
	Answered []int           // how often each body was
}

// Scores asks for scores with many clients at once. It fails with the first request that is not answered with 200.
func Scores(ctx context.Context, c ScoresConfig) (ScoresResult, error) {
	r := ScoresResult{Answered: make([]int, len(c.Bodies))}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	from := time.Now().Add(c.Warmup)
	to := from.Add(c.Duration)
	var mutex sync.Mutex
	var clients sync.WaitGroup
	for client := range c.Clients {
		clients.Go(func() {
			connection := connection{host: c.Host}
			defer connection.close()
			order := rand.New(rand.NewPCG(c.Seed, uint64(client))).Perm(len(c.Bodies))
			var times []time.Duration
			var answered []int
			for n := 0; ctx.Err() == nil; n++ {
				body := order[n%len(order)]
				start := time.Now()
				reply, err := connection.do(ctx, fetch, http.MethodPost, "/v1/score", "Authorization: Bearer "+c.Key+"\r\n", "application/json", c.Bodies[body])
				if err == nil && reply.status != http.StatusOK {
					err = fmt.Errorf("%d %s", reply.status, reply.body)
				}
				if err != nil {
					cancel(err)
					return
				}
				now := time.Now()
				if now.After(to) {
					break
				}
				if now.After(from) {
					times, answered = append(times, now.Sub(start)), append(answered, body)
				}
			}
			mutex.Lock()
			defer mutex.Unlock()
			r.Times = append(r.Times, times...)
			for _, body := range answered {
				r.Answered[body]++
			}
		})
	}
	clients.Wait()
	return r, context.Cause(ctx)
}

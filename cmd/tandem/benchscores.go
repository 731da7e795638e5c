package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"tandem"
	"tandem/internal/load"
	"tandem/internal/memory"
	"tandem/internal/practice"
	"tandem/internal/web"
	"tandem/llama"
	"tandem/llama/checkpoint"
	"tandem/rewardmodel"
	"tandem/rewardmodel/scoreapi"
	"tandem/statistics"
	"tandem/store"
)

// pairFlags are what the benchmark of a pair takes: the score API beside the bare models.
type pairFlags struct {
	Helpfulness string  `help:"Folder of a helpfulness model; with --safety the score API is measured beside both models' bare passes." placeholder:"DIR" group:"score API"`
	Safety      string  `help:"Folder of a safety model." placeholder:"DIR" group:"score API"`
	Clients     []int   `default:"1,16,64" help:"Clients at once, each with a request under way (default: 1,16,64)." placeholder:"N,…" group:"score API"`
	Seconds     float64 `default:"5" help:"Seconds of each measurement (default: 5)." placeholder:"N" group:"score API"`
	AskHead     bool    `help:"Leave safety_prompt out of the requests, so that the database and the safety model's prompt head are asked." group:"score API"`
	Random      bool    `name:"random-weights" help:"Give both models random weights of the architecture that is set below." group:"score API"`
	Seed        uint64  `default:"1" help:"Seed of the texts and their order (default: 1)." placeholder:"N" group:"score API"`
	Profile     string  `help:"File for a CPU profile of the requests." placeholder:"FILE" group:"score API"`
}

// pairTexts is how many different texts are scored, and shortestText the tokens of the shortest.
const (
	pairTexts    = 256
	shortestText = 16
)

// pairReport is what the benchmark says. Rates and ratios are medians over the runs; tokens are counted once for each
// model that they pass through.
type pairReport struct {
	Machine string       `json:"machine"`
	Kernel  string       `json:"kernel"`
	Shape   architecture `json:"shape"` // of the helpfulness model
	Runs    int          `json:"runs"`
	Texts   pairLengths  `json:"texts"`
	AskHead bool         `json:"ask_head"`
	Bare    struct {
		Batched  float64      `json:"batched_tokens_per_second"`
		OneByOne float64      `json:"one_by_one_tokens_per_second"`
		One      load.Latency `json:"one"` // text alone, by both models
	} `json:"bare"`
	Clients         []pairClients `json:"clients"`
	TokensPerSecond float64       `json:"tokens_per_second"` // with the most clients
	PeakMemoryBytes int64         `json:"peak_memory_bytes"`
}

// pairLengths are the tokens of the texts.
type pairLengths struct {
	N        int `json:"n"`
	Shortest int `json:"shortest"`
	Median   int `json:"median"`
	Longest  int `json:"longest"`
}

// pairClients is what the API gave to a number of clients, each with one text in a request.
type pairClients struct {
	Clients           int          `json:"clients"`
	RequestsPerSecond float64      `json:"requests_per_second"`
	TokensPerSecond   float64      `json:"tokens_per_second"`
	ShareOfBatched    float64      `json:"share_of_batched"`    // of the bare batched tokens/s
	ShareOfOneByOne   float64      `json:"share_of_one_by_one"` // of the bare tokens/s, text by text
	Latency           load.Latency `json:"latency"`
	TimesBare         float64      `json:"p50_of_bare"` // the p50 by that of a text's bare pass
}

// validate wants both models, or none.
func (f pairFlags) validate() error {
	switch {
	case (f.Helpfulness == "") != (f.Safety == ""):
		return errors.New("--helpfulness and --safety go together: a score is made by both models")
	case f.Helpfulness == "":
		return nil
	case len(f.Clients) == 0 || slices.Min(f.Clients) < 1 || !(f.Seconds > 0):
		return errors.New("--clients are at least 1, and --seconds above 0")
	}
	return nil
}

// pair measures the score API beside the bare models, in turn.
func (c *benchScoreCommand) pair(ctx context.Context, w *world) (err error) {
	server, err := openBenchServer(ctx, w, "", "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	pair, shape, err := c.openPair(ctx, server.folder)
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, server.withConnections(16))
	if err != nil {
		return err
	}
	defer s.Close()
	_, key, err := s.CreateKey(ctx, store.Key{Name: "bench", Scopes: []store.Scope{store.ScopeScore}})
	if err != nil {
		return err
	}
	batches := scoreapi.DefaultBatchConfig()
	host, stop, err := c.serve(ctx, server, s, pair, batches)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	b := &pairBench{flags: c.pairFlags, pair: pair, host: host, key: key, most: batches.Tokens}
	if err := b.write(ctx, min(c.Length, shape.Context)); err != nil {
		return err
	}
	if err := b.check(ctx); err != nil {
		return err
	}
	kernels, err := c.kernels()
	if err != nil {
		return err
	}
	r := pairReport{Machine: fmt.Sprintf("%s/%s, %d cores", runtime.GOOS, runtime.GOARCH, runtime.NumCPU()), Kernel: kernels.Name(), Shape: *shape, Runs: c.Runs, Texts: b.lengths(), AskHead: c.AskHead}
	profile, err := profileTo(c.Profile)
	if err != nil {
		return err
	}
	defer profile()
	if err := b.measure(ctx, c.Runs, &r); err != nil {
		return err
	}
	return w.report(r, "%s", r.text())
}

// openPair opens the models, with random weights of another architecture where that was asked for.
func (c *benchScoreCommand) openPair(ctx context.Context, folder string) (*scoreapi.Pair, *architecture, error) {
	config, err := c.inferenceFlags.config()
	if err != nil {
		return nil, nil, err
	}
	paths := []string{modelPath(c.Helpfulness), modelPath(c.Safety)}
	var shape *architecture
	for i, path := range paths {
		m, err := checkpoint.Load(ctx, path)
		if err != nil {
			return nil, nil, err
		}
		if c.Random {
			of := m.Weights.Config
			random, err := c.shapeFlags.config(of.MaxPositionEmbeddings)
			if err != nil {
				return nil, nil, err
			}
			random.VocabSize, random.BOS, random.EOS, random.PAD = max(random.VocabSize, of.VocabSize), of.BOS, of.EOS, of.PAD
			m.Weights = llama.NewWeights(random, true)
			m.Weights.Init(rand.New(rand.NewPCG(1, uint64(i))))
			delete(m.Files, rewardmodel.PromptHeadFile) // it fits no other trunk
			paths[i] = filepath.Join(folder, fmt.Sprintf("model-%d", i))
			if err := checkpoint.Save(ctx, paths[i], m, checkpoint.SaveOptions{}); err != nil {
				return nil, nil, err
			}
		}
		if shape == nil {
			shape = architectureOf(m.Weights.Config, true)
		}
	}
	pair, err := scoreapi.Open(ctx, paths[0], paths[1], config)
	return pair, shape, err
}

// serve runs the score API as tandem serve does.
func (c *benchScoreCommand) serve(ctx context.Context, server *benchServer, s *store.Store, pair *scoreapi.Pair, batches scoreapi.BatchConfig) (host string, stop func() error, err error) {
	metrics, err := scoreapi.NewMetrics(newRegistry())
	if err != nil {
		return "", nil, err
	}
	batcher, err := scoreapi.NewBatcher(batches, metrics)
	if err != nil {
		return "", nil, err
	}
	serving := scoreapi.NewServing(metrics)
	serving.Use(pair)
	host, end, err := server.serve(ctx, s, func(api web.API) error {
		return scoreapi.Register(api, scoreapi.Config{Serving: serving, Batcher: batcher, Stored: s, Metrics: metrics})
	})
	if err != nil {
		return "", nil, err
	}
	return host, func() error { defer batcher.Wait(); return end() }, nil
}

// pairBench is the benchmark under way.
type pairBench struct {
	flags     pairFlags
	pair      *scoreapi.Pair
	host, key string
	most      int // tokens of a batch

	helpfulness, safety [][]int32 // tokens of each text
	bodies              [][]byte  // a request for each
}

// pairItem is a text as a request has it.
type pairItem struct {
	Messages []scoreapi.Message `json:"messages"`
	Safety   *bool              `json:"safety_prompt,omitempty"`
}

// write makes the texts: words of the practice world, as many as make the lengths wanted, which are spread evenly on a
// logarithmic scale.
func (b *pairBench) write(ctx context.Context, longest int) error {
	if longest <= shortestText {
		return tandem.Errorf(tandem.Invalid, "", "texts of %d tokens at most: --length and the models' context are above %d", longest, shortestText)
	}
	world, err := practice.New(practice.DefaultConfig(b.flags.Seed))
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(b.flags.Seed, 0))
	no := false
	for n := range pairTexts {
		wanted := float64(shortestText) * math.Pow(float64(longest)/shortestText, random.Float64())
		words := strings.Fields(world.Text(uint64(n)))
		var dialogue tandem.Dialogue
		var tokens []int32
		for count := 1; ; count++ {
			for len(words) < count {
				words = append(words, words...)
			}
			prompt := count / 3
			next := tandem.Dialogue{{Role: tandem.User, Content: strings.Join(words[:prompt], " ")}, {Role: tandem.Assistant, Content: strings.Join(words[prompt:count], " ")}}
			e, err := b.pair.Helpfulness.Render(ctx, next)
			if err != nil {
				return err
			}
			if dialogue != nil && len(e.Tokens) > int(wanted) {
				break
			}
			dialogue, tokens = next, e.Tokens
		}
		safety, err := b.pair.Safety.Render(ctx, dialogue)
		if err != nil {
			return err
		}
		item := pairItem{Safety: &no}
		if b.flags.AskHead {
			item.Safety = nil
		}
		for _, m := range dialogue {
			item.Messages = append(item.Messages, scoreapi.Message{Role: m.Role, Content: m.Content})
		}
		body, err := json.Marshal(map[string]any{"items": []pairItem{item}})
		if err != nil {
			return err
		}
		b.helpfulness, b.safety, b.bodies = append(b.helpfulness, tokens), append(b.safety, safety.Tokens), append(b.bodies, body)
	}
	return nil
}

func (b *pairBench) lengths() pairLengths {
	var all []int
	for _, tokens := range b.helpfulness {
		all = append(all, len(tokens))
	}
	slices.Sort(all)
	return pairLengths{len(all), all[0], all[len(all)/2], all[len(all)-1]}
}

// bare passes texts through both models, together.
func (b *pairBench) bare(ctx context.Context, from, to int) (rh, rs []rewardmodel.Scalar, err error) {
	if rh, err = b.pair.Helpfulness.TokenScalars(ctx, b.helpfulness[from:to]); err == nil {
		rs, err = b.pair.Safety.TokenScalars(ctx, b.safety[from:to])
	}
	return rh, rs, err
}

// tokens is what a text costs.
func (b *pairBench) tokens(text int) int { return len(b.helpfulness[text]) + len(b.safety[text]) }

// check asks for the first score and wants it to be, to the bit, that of the bare models.
func (b *pairBench) check(ctx context.Context) error {
	rh, rs, err := b.bare(ctx, 0, 1)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+b.host+"/v1/score", bytes.NewReader(b.bodies[0]))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+b.key)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct {
		Results []struct{ Helpfulness, Safety float64 }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if len(answer.Results) != 1 || answer.Results[0].Helpfulness != rh[0].R || answer.Results[0].Safety != rs[0].R {
		return tandem.Errorf(tandem.Corrupt, "", "the API answers %d %+v, the models score %v and %v", response.StatusCode, answer, rh[0].R, rs[0].R)
	}
	return nil
}

// measure fills in the report. Everything is measured once in each run, one after the other, so that all meet the same
// neighbours on the machine; a ratio is of figures of one run.
func (b *pairBench) measure(ctx context.Context, runs int, r *pairReport) error {
	span := time.Duration(b.flags.Seconds * float64(time.Second))
	var batched, oneByOne []float64
	var alone []time.Duration
	type figures struct {
		times                                      []time.Duration
		requests, tokens, batched, oneByOne, ofOne []float64
	}
	of := make([]figures, len(b.flags.Clients))
	for run := range runs {
		together, err := b.batched(ctx, span)
		if err != nil {
			return err
		}
		single, times, err := b.oneByOne(ctx, span)
		if err != nil {
			return err
		}
		one := load.LatencyOf(slices.Clone(times)).P50
		batched, oneByOne, alone = append(batched, together), append(oneByOne, single), append(alone, times...)
		for i, clients := range b.flags.Clients {
			got, err := load.Scores(ctx, load.ScoresConfig{Host: b.host, Key: b.key, Bodies: b.bodies, Clients: clients,
				Warmup: span / 10, Duration: span, Seed: b.flags.Seed + uint64(run)})
			if err != nil {
				return fmt.Errorf("%d clients: %w", clients, err)
			}
			tokens := 0
			for text, n := range got.Answered {
				tokens += n * b.tokens(text)
			}
			rate := float64(tokens) / span.Seconds()
			f := &of[i]
			f.requests, f.tokens = append(f.requests, float64(len(got.Times))/span.Seconds()), append(f.tokens, rate)
			f.batched, f.oneByOne = append(f.batched, rate/together), append(f.oneByOne, rate/single)
			f.ofOne = append(f.ofOne, load.LatencyOf(got.Times).P50/one)
			f.times = append(f.times, got.Times...)
		}
	}
	r.Bare.Batched, r.Bare.OneByOne, r.Bare.One = median(batched), median(oneByOne), load.LatencyOf(alone)
	for i, clients := range b.flags.Clients {
		f := of[i]
		r.Clients = append(r.Clients, pairClients{clients, median(f.requests), median(f.tokens), median(f.batched), median(f.oneByOne), load.LatencyOf(f.times), median(f.ofOne)})
		if clients == slices.Max(b.flags.Clients) {
			r.TokensPerSecond = median(f.tokens)
		}
	}
	r.PeakMemoryBytes = memory.Peak()
	return nil
}

// batched is how many tokens a second the bare models score in batches as large as the API's.
func (b *pairBench) batched(ctx context.Context, span time.Duration) (perSecond float64, err error) {
	tokens, start := 0, time.Now()
	for time.Since(start) < span {
		for from, to := 0, 0; from < pairTexts; from = to {
			length := 0
			for to < pairTexts && (to == from || length+max(len(b.helpfulness[to]), len(b.safety[to])) <= b.most) {
				length += max(len(b.helpfulness[to]), len(b.safety[to]))
				tokens += b.tokens(to)
				to++
			}
			if _, _, err := b.bare(ctx, from, to); err != nil {
				return 0, err
			}
		}
	}
	return float64(tokens) / time.Since(start).Seconds(), nil
}

// oneByOne is how many they score text by text, and what each takes.
func (b *pairBench) oneByOne(ctx context.Context, span time.Duration) (perSecond float64, times []time.Duration, err error) {
	tokens, start := 0, time.Now()
	for time.Since(start) < span {
		for text := range pairTexts {
			began := time.Now()
			if _, _, err := b.bare(ctx, text, text+1); err != nil {
				return 0, nil, err
			}
			times = append(times, time.Since(began))
			tokens += b.tokens(text)
		}
	}
	return float64(tokens) / time.Since(start).Seconds(), times, nil
}

func median(x []float64) float64 { return statistics.Quantile(slices.Sorted(slices.Values(x)), 0.5) }

// text is the report's table.
func (r pairReport) text() string {
	s := r.Shape
	ms := func(l load.Latency) string { return fmt.Sprintf("p50 %.2f ms, p99 %.2f ms", l.P50, l.P99) }
	rows := [][2]string{
		{"models", fmt.Sprintf("two of %d parameters: %d layers, hidden %d, intermediate %d, %d heads on %d, vocabulary %d", s.Parameters, s.Layers, s.Hidden, s.Intermediate, s.Heads, s.KeyValue, s.Vocabulary)},
		{"machine", fmt.Sprintf("%s, %s kernels", r.Machine, r.Kernel)},
		{"texts", fmt.Sprintf("%d, of %d to %d tokens, median %d; tokens count once for each model", r.Texts.N, r.Texts.Shortest, r.Texts.Longest, r.Texts.Median)},
		{"batched", fmt.Sprintf("%.0f tokens/s, the bare models; medians of %d runs", r.Bare.Batched, r.Runs)},
		{"one by one", fmt.Sprintf("%.0f tokens/s, the bare models; %s", r.Bare.OneByOne, ms(r.Bare.One))},
	}
	for _, c := range r.Clients {
		rows = append(rows, [2]string{fmt.Sprintf("%d clients", c.Clients), fmt.Sprintf("%.0f requests/s, %.0f tokens/s: %.0f %% of batched, %.0f %% of one by one; %s: %.2f of the bare p50",
			c.RequestsPerSecond, c.TokensPerSecond, 100*c.ShareOfBatched, 100*c.ShareOfOneByOne, ms(c.Latency), c.TimesBare)})
	}
	return benchText(append(rows, [2]string{"memory", megabytes(r.PeakMemoryBytes)}))
}

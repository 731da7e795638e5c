package llama

import (
	"context"
	"math"
	"slices"

	"tandem"
	"tandem/llama/nn/kernel"
)

// ForwardConfig sizes a Forward or a Classifier.
type ForwardConfig struct {
	// Tokens is how many tokens pass through the model at once; memory grows with it. A longer sequence
	// passes alone, in pieces of so many tokens. Defaults to 1024.
	Tokens int
	// Workers is how many goroutines compute. Defaults to the number of cores that Go uses.
	Workers int
	// Kernel is the arithmetic. Defaults to the fastest that the processor has.
	Kernel *kernel.Set
}

// Forward is the model's pass over whole sequences, without a cache to decode from and without gradients,
// on a model's weights in place. What it gives for a sequence depends on the sequence alone, to the bit:
// not on the others, their order, or the number of workers; and it is, to the bit, what a Sampler computes.
//
// Any number of goroutines may use a Forward; their calls take turns.
type Forward struct {
	turn    chan struct{} // holds one value while no call is at work
	weights *Weights
	trunk   *trunk
	pool    *pages // for sequences that pass whole: one layer
	long    *pages // for those that pass in pieces: all layers
	limit   int    // tokens of a pass

	rows    []row
	wanted  []int
	picks   []pick // where the wanted rows are
	caches  []cache
	logits  []float32    // [headRows, vocab]
	drawers chan *drawer // one for each worker; nil for a classifier
}

// NewForward returns a Forward on w.
func NewForward(w *Weights, config ForwardConfig) (*Forward, error) {
	if config.Tokens <= 0 {
		config.Tokens = 1024
	}
	t, err := newTrunk(w, config.Kernel, config.Workers)
	if err != nil {
		return nil, err
	}
	f := &Forward{
		turn:    make(chan struct{}, 1),
		weights: w,
		trunk:   t,
		pool:    t.pool(1),
		long:    t.pool(w.Config.NumHiddenLayers),
		limit:   config.Tokens,
	}
	if !w.IsClassifier() {
		f.drawers = newDrawers(t)
	}
	f.turn <- struct{}{}
	return f, nil
}

// Hidden returns, for each sequence, the hidden states that the head reads: the last layer's, normalised,
// [len(sequence), d].
func (f *Forward) Hidden(ctx context.Context, sequences [][]int32) ([][]float32, error) {
	d := f.weights.Config.HiddenSize
	out := make([][]float32, len(sequences))
	err := f.each(ctx, sequences, every, func(hidden []float32, picks []pick) error {
		for i, p := range picks {
			out[p.sequence] = append(out[p.sequence], hidden[i*d:(i+1)*d]...)
		}
		return nil
	})
	return out, err
}

// LogProbs returns ln P(token | tokens before it) of every token of every sequence, at temperature 1. The
// first token of a sequence has none: its entry is 0. The last token is predicted and never read, so that a
// sequence may have one token more than the context.
func (f *Forward) LogProbs(ctx context.Context, sequences [][]int32) ([][]float32, error) {
	return f.LogProbsAt(ctx, sequences, 1)
}

// LogProbsAt is LogProbs under softmax(logits / temperature), for temperature > 0: what a Sampler at that
// temperature records.
func (f *Forward) LogProbsAt(ctx context.Context, sequences [][]int32, temperature float64) ([][]float32, error) {
	const op = "llama.LogProbs"
	if f.weights.IsClassifier() {
		return nil, tandem.Errorf(tandem.Invalid, op, "a classifier has no output matrix to take log-probabilities from")
	}
	if !(temperature > 0) || math.IsInf(temperature, 0) {
		return nil, tandem.Errorf(tandem.Invalid, op, "temperature %g is not a positive number", temperature)
	}
	d, vocab := f.weights.Config.HiddenSize, f.weights.Config.VocabSize
	if err := f.check(sequences, f.weights.Config.MaxPositionEmbeddings+1); err != nil {
		return nil, err
	}
	out, read := make([][]float32, len(sequences)), make([][]int32, len(sequences))
	for i, tokens := range sequences {
		out[i], read[i] = make([]float32, len(tokens)), tokens[:max(0, len(tokens)-1)]
	}
	err := f.each(ctx, read, every, func(hidden []float32, picks []pick) error {
		for from := 0; from < len(picks); from += headRows {
			tile := picks[from:min(from+headRows, len(picks))]
			f.logits = resize(f.logits, len(tile)*vocab)
			f.trunk.shared.product(f.logits, hidden[from*d:], f.weights.Output, len(tile), d, vocab)
			broken := make([]bool, len(tile))
			f.trunk.workers.Each(len(tile), func(i int) {
				p, drawer := tile[i], <-f.drawers
				logprob, ok := drawer.logProb(f.logits[i*vocab:(i+1)*vocab], sequences[p.sequence][p.position+1], temperature)
				out[p.sequence][p.position+1], broken[i] = logprob, !ok
				f.drawers <- drawer
			})
			if i := slices.Index(broken, true); i >= 0 {
				return notFinite(op, "its logits are", tile[i])
			}
		}
		return nil
	})
	return out, err
}

// headRows is how many rows of logits exist at once.
const headRows = 64

// pick is a row whose hidden state is asked for.
type pick struct{ sequence, position int }

// which says whether a position of a sequence of n tokens is asked for.
type which func(p pick, n int) bool

func every(pick, int) bool { return true }

// each checks the sequences and passes them through the model, as many at once as the limit allows. It
// calls visit with the hidden states of the positions asked for, [len(picks), d].
func (f *Forward) each(ctx context.Context, sequences [][]int32, asked which, visit func(hidden []float32, picks []pick) error) error {
	return f.eachWatched(ctx, sequences, asked, nil, visit)
}

// eachWatched is each, with somebody who sees the attention weights.
func (f *Forward) eachWatched(ctx context.Context, sequences [][]int32, asked which, watch watcher, visit func(hidden []float32, picks []pick) error) error {
	if err := f.check(sequences, f.weights.Config.MaxPositionEmbeddings); err != nil {
		return err
	}
	select {
	case <-f.turn:
		defer func() { f.turn <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	f.trunk.refresh()
	f.trunk.watch = watch
	var err error
	f.trunk.workers.Hold(func() {
		for from, to := 0, 0; from < len(sequences) && err == nil; from = to {
			tokens := 0
			for to < len(sequences) && (to == from || tokens+len(sequences[to]) <= f.limit) {
				tokens += len(sequences[to])
				to++
			}
			err = f.pass(ctx, sequences, from, to, asked, visit)
		}
	})
	return err
}

// pass is each for the sequences in [from, to): all at once, or where a single one is longer than the limit
// in pieces, with a cache that keeps every layer between them.
func (f *Forward) pass(ctx context.Context, sequences [][]int32, from, to int, asked which, visit func([]float32, []pick) error) error {
	pool := f.pool
	if len(sequences[from]) > f.limit {
		pool = f.long
	}
	f.caches = f.caches[:0]
	for range to - from {
		f.caches = append(f.caches, cache{pool: pool})
	}
	defer func() {
		for i := range f.caches {
			f.caches[i].release()
		}
	}()
	f.rows, f.wanted, f.picks = f.rows[:0], f.wanted[:0], f.picks[:0]
	run := func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := visit(f.trunk.run(f.rows, f.wanted), f.picks)
		f.rows, f.wanted, f.picks = f.rows[:0], f.wanted[:0], f.picks[:0]
		return err
	}
	for i := from; i < to; i++ {
		for position, token := range sequences[i] {
			if len(f.rows) == f.limit {
				if err := run(); err != nil {
					return err
				}
			}
			if p := (pick{i, position}); asked(p, len(sequences[i])) {
				f.picks = append(f.picks, p)
				f.wanted = append(f.wanted, len(f.rows))
			}
			f.rows = append(f.rows, row{&f.caches[i-from], position, token})
		}
	}
	return run()
}

// check reports the first sequence that the model cannot take, or that has more tokens than most.
func (f *Forward) check(sequences [][]int32, most int) error {
	const op = "llama.Forward"
	c := f.weights.Config
	for i, tokens := range sequences {
		if len(tokens) > most {
			return tandem.Errorf(tandem.Invalid, op, "sequence %d has %d tokens, more than the context of %d",
				i, len(tokens), c.MaxPositionEmbeddings)
		}
		if at := unknownToken(c, tokens); at >= 0 {
			return tandem.Errorf(tandem.Invalid, op, "sequence %d: token %d is %d, outside the vocabulary of %d",
				i, at, tokens[at], c.VocabSize)
		}
	}
	return nil
}

// notFinite is the error of a model whose weights have diverged.
func notFinite(op, what string, p pick) error {
	return tandem.Errorf(tandem.Invalid, op, "sequence %d: %s not finite; the model's weights are broken or diverged", p.sequence, what)
}

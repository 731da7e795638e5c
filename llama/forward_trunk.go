package llama

import (
	"slices"

	"tandem/internal/parallel"
	"tandem/llama/nn/kernel"
)

// trunk runs the layers of a model over rows of tokens, for the sampler and for the cacheless pass alike.
// A row's result depends on nothing but the tokens of its sequence up to it: every product is made by
// [kernel.Set.MatMulT], whose sums have one order, attention walks a sequence's own pages, and everything else
// is done row by row. So neither the other rows nor the number of workers can change a bit.
//
// That also leaves open how the work is divided. Where there are sequences enough, each worker takes some
// of them through all layers, as a lane; otherwise all workers share every step of one lane. A step of a
// small model is shorter than it takes to wake a goroutine, and the activations of a lane stay in a core's
// own cache.
//
// One goroutine uses a trunk at a time.
type trunk struct {
	adapted *Weights // what it was made on
	weights *Weights // what it reads: the same object, or of adapted weights the merged ones
	config  Config
	kernel  *kernel.Set
	workers parallel.Workers
	rope    *Rope   // grown to the positions seen
	watch   watcher // nil, or told of all attention weights

	shared *lane      // whose steps all workers share
	own    chan *lane // one for each worker, which has it alone
	cuts   []cut
	hidden []float32 // [wanted, d], from all lanes
}

// lane is the memory in which some rows pass through the layers.
type lane struct {
	*trunk
	workers parallel.Workers       // that share its steps
	scratch chan *attentionScratch // one for each of them
	blocks  []span
	kept    []row

	// Activations of a pass over n rows, grown to the largest pass so far.
	x      []float32 // [n, d], the residual stream
	normed []float32 // [n, d]
	qkv    []float32 // [n, (h+2g)·e]
	mixed  []float32 // [n, h·e], what attention gives
	gateUp []float32 // [n, 2f]
	gated  []float32 // [n, f]
	added  []float32 // [n, d], what a block adds to x
}

// cut is a part of a pass for one lane: rows [from, to), whole sequences, and of the wanted ones
// [wantedFrom, wantedTo).
type cut struct{ from, to, wantedFrom, wantedTo int }

// A lane of its own gets at least leastRows, since fewer take longer to fetch the weights than to multiply
// with them, and sharing a step shares that too. Where lanes would get more than mostRows, there are more of
// them than workers.
const (
	leastRows = 8
	mostRows  = 128
)

// row is one token on its way through the model. Rows of one sequence follow each other in a pass, in the
// order of their positions, and everything before the first of them is in the cache already.
type row struct {
	cache    *cache
	position int
	token    int32
}

// newTrunk returns a trunk on w, with the processor's fastest kernels when set is nil and as many workers
// as Go uses cores when there are to be less than one.
func newTrunk(w *Weights, set *kernel.Set, workers int) (*trunk, error) {
	if set == nil {
		var err error
		if set, err = kernel.Select(""); err != nil {
			return nil, err
		}
	}
	t := &trunk{adapted: w, weights: w.Merged(), config: w.Config, kernel: set, workers: parallel.New(workers)}
	t.shared = t.lane(t.workers)
	t.own = make(chan *lane, t.workers.Count())
	for range t.workers.Count() {
		t.own <- t.lane(parallel.Workers{})
	}
	return t, nil
}

// refresh takes over what has become of adapters since the last pass that had nothing to do with those before it. They are
// merged, in memory for the adapted matrices, since many rows then pass at no more than the price of the model without.
func (t *trunk) refresh() {
	if t.adapted != t.weights {
		t.adapted.mergeInto(t.weights, t.workers)
	}
}

func (t *trunk) lane(workers parallel.Workers) *lane {
	l := &lane{trunk: t, workers: workers, scratch: make(chan *attentionScratch, workers.Count())}
	for range workers.Count() {
		l.scratch <- &attentionScratch{}
	}
	return l
}

// pool returns a pool of pages that keep the given number of layers. A cache with a single layer serves
// passes that hold their sequences whole, each layer overwriting what the last one left; decoding keeps
// them all.
func (t *trunk) pool(layers int) *pages {
	return &pages{layers: layers, heads: t.config.NumKeyValueHeads, headDim: t.config.HeadDim}
}

// run passes rows through all layers, fills their caches, and returns the normalised hidden states of the
// wanted rows (indices, ascending), [len(wanted), d]. They are valid until the next pass.
func (t *trunk) run(rows []row, wanted []int) []float32 {
	t.prepare(rows)
	if !t.cut(rows, wanted) {
		return t.shared.run(rows, wanted, 0)
	}
	d := t.config.HiddenSize
	t.hidden = resize(t.hidden, len(wanted)*d)
	t.workers.Each(len(t.cuts), func(i int) {
		c, l := t.cuts[i], <-t.own
		defer func() { t.own <- l }() // also after a panic: the next pass needs it
		copy(t.hidden[c.wantedFrom*d:c.wantedTo*d], l.run(rows[c.from:c.to], wanted[c.wantedFrom:c.wantedTo], c.from))
	})
	return t.hidden
}

// cut divides rows into lanes' parts. It is false where they are too few, or one is so long that the other
// workers would wait for it.
func (t *trunk) cut(rows []row, wanted []int) bool {
	t.cuts = t.cuts[:0]
	workers := t.workers.Count()
	if workers == 1 {
		return false
	}
	lanes := workers * (len(rows)/(workers*mostRows) + 1) // as many as go round evenly
	size := max(leastRows, (len(rows)+lanes-1)/lanes)
	longest := 0
	next := cut{}
	for i := range rows {
		if last := i == len(rows)-1; !last && (i+1-next.from < size || rows[i].cache == rows[i+1].cache) {
			continue
		}
		next.to = i + 1
		for next.wantedTo < len(wanted) && wanted[next.wantedTo] < next.to {
			next.wantedTo++
		}
		t.cuts = append(t.cuts, next)
		longest = max(longest, next.to-next.from)
		next = cut{from: next.to, wantedFrom: next.wantedTo, wantedTo: next.wantedTo}
	}
	return len(t.cuts) >= workers && 2*longest*workers <= 3*len(rows)
}

// prepare grows the caches and the rotary table to what a pass over rows needs.
func (t *trunk) prepare(rows []row) {
	last := 0
	for _, r := range rows {
		r.cache.grow(r.position + 1)
		last = max(last, r.position)
	}
	if t.rope == nil || last >= t.rope.Positions {
		t.rope = NewRope(t.config, min(max(256, 2*(last+1)), max(t.config.MaxPositionEmbeddings, last+1)))
	}
}

// run is trunk.run for the rows of one lane. Wanted rows are counted from first.
func (l *lane) run(rows []row, wanted []int, first int) []float32 {
	c, d := l.config, l.config.HiddenSize
	l.prepare(len(rows))
	for i, r := range rows {
		copy(l.x[i*d:(i+1)*d], l.weights.Embed[int(r.token)*d:])
	}
	n := len(rows)
	for index := range l.weights.Layers {
		w := &l.weights.Layers[index]
		l.rmsNorm(l.normed, l.x, w.AttentionNorm, n)
		l.product(l.qkv, l.normed, w.QKV, n, d, c.QKVSize())
		l.fillCaches(rows, index)
		if index == len(l.weights.Layers)-1 && len(wanted) < n {
			// Nobody reads the other rows after the last keys and values are made.
			if rows, n = l.keep(rows, wanted, first), len(wanted); n == 0 {
				return nil
			}
		}
		l.attend(rows, index)
		l.product(l.added, l.mixed, w.O, n, c.AttentionSize(), d)
		l.add(n)
		l.rmsNorm(l.normed, l.x, w.MLPNorm, n)
		l.product(l.gateUp, l.normed, w.GateUp, n, d, 2*c.IntermediateSize)
		l.swiGLU(n)
		l.product(l.added, l.gated, w.Down, n, c.IntermediateSize, d)
		l.add(n)
	}
	l.rmsNorm(l.normed, l.x, l.weights.Norm, n)
	return l.normed[:n*d]
}

// prepare grows the activations to what a pass over n rows needs.
func (l *lane) prepare(n int) {
	c := l.config
	for _, b := range []struct {
		buffer *[]float32
		width  int
	}{
		{&l.x, c.HiddenSize}, {&l.normed, c.HiddenSize}, {&l.added, c.HiddenSize},
		{&l.qkv, c.QKVSize()}, {&l.mixed, c.AttentionSize()},
		{&l.gateUp, 2 * c.IntermediateSize}, {&l.gated, c.IntermediateSize},
	} {
		*b.buffer = resize(*b.buffer, n*b.width)
	}
}

// resize returns a buffer of n values, the old one where it is large enough. Its content is undefined.
func resize(buffer []float32, n int) []float32 {
	return slices.Grow(buffer[:0], n)[:n]
}

// keep moves the wanted rows' queries and residuals to the front.
func (l *lane) keep(rows []row, wanted []int, first int) []row {
	d, width := l.config.HiddenSize, l.config.QKVSize()
	l.kept = l.kept[:0]
	for to, from := range wanted {
		from -= first
		l.kept = append(l.kept, rows[from])
		copy(l.x[to*d:(to+1)*d], l.x[from*d:(from+1)*d])
		copy(l.qkv[to*width:(to+1)*width], l.qkv[from*width:(from+1)*width])
	}
	return l.kept
}

// fillCaches turns queries and keys by their positions and stores keys and values.
func (l *lane) fillCaches(rows []row, layer int) {
	c := l.config
	width, e := c.QKVSize(), c.HeadDim
	queries, keys := c.AttentionSize(), c.NumKeyValueHeads*e
	l.workers.For(len(rows), grain(width), func(from, to int) {
		for i := from; i < to; i++ {
			r := rows[i]
			qkv := l.qkv[i*width : (i+1)*width]
			cos, sin := l.rope.At(r.position)
			for head := 0; head < queries+keys; head += e {
				l.kernel.Rotate(qkv[head:head+e], cos, sin, 1)
			}
			r.cache.store(r.position, layer, qkv[queries:queries+keys], qkv[queries+keys:])
		}
	})
}

// product computes y = x·wᵀ for n rows of x [n, in] and w [out, in], the outputs split over the workers. A
// few rows are bound by reading w, so a range is measured by its share of w.
func (l *lane) product(y, x, w []float32, n, in, out int) {
	const elements, together = 1 << 15, 16 // of w in a range, read about as fast as 16 rows are multiplied with them
	grain := max(1, elements/(in*max(1, n/together)))
	l.workers.For(out, (grain+together-1)/together*together, func(from, to int) {
		l.kernel.MatMulTStrided(y[from:], out, x, in, w[from*in:to*in], in, n, to-from, in)
	})
}

// rmsNorm normalises the first n rows of x into dst.
func (l *lane) rmsNorm(dst, x, gain []float32, n int) {
	d, eps := l.config.HiddenSize, float32(l.config.RMSNormEps)
	l.workers.For(n, grain(d), func(from, to int) {
		for i := from; i < to; i++ {
			l.kernel.RMSNorm(dst[i*d:(i+1)*d], x[i*d:(i+1)*d], gain, eps)
		}
	})
}

// swiGLU gates the first n rows: gated = silu(gate)·up.
func (l *lane) swiGLU(n int) {
	f := l.config.IntermediateSize
	l.workers.For(n, grain(4*f), func(from, to int) {
		for i := from; i < to; i++ {
			both := l.gateUp[2*i*f : 2*(i+1)*f]
			l.kernel.SwiGLU(l.gated[i*f:(i+1)*f], both[:f], both[f:])
		}
	})
}

// add adds what a block gave to the residual stream of the first n rows.
func (l *lane) add(n int) {
	l.kernel.Add(l.x[:n*l.config.HiddenSize], l.added[:n*l.config.HiddenSize])
}

// grain returns how many iterations of a loop, each worth about the given number of multiplications in
// vector code, make a range worth a goroutine.
func grain(work int) int { return max(1, 1<<16/max(1, work)) }

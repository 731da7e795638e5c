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
// One goroutine uses a trunk at a time.
type trunk struct {
	weights *Weights
	config  Config
	kernel  *kernel.Set
	workers parallel.Workers
	rope    *Rope                  // grown to the positions seen
	scratch chan *attentionScratch // one for each worker
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
	t := &trunk{weights: w, config: w.Config, kernel: set, workers: parallel.New(workers)}
	t.scratch = make(chan *attentionScratch, t.workers.Count())
	for range t.workers.Count() {
		t.scratch <- &attentionScratch{}
	}
	return t, nil
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
	c, d := t.config, t.config.HiddenSize
	t.prepare(rows)
	for i, r := range rows {
		copy(t.x[i*d:(i+1)*d], t.weights.Embed[int(r.token)*d:])
	}
	n := len(rows)
	for index := range t.weights.Layers {
		l := &t.weights.Layers[index]
		t.rmsNorm(t.normed, t.x, l.AttentionNorm, n)
		t.product(t.qkv, t.normed, l.QKV, n, d, c.QKVSize())
		t.fillCaches(rows, index)
		if index == len(t.weights.Layers)-1 && len(wanted) < n {
			// Nobody reads the other rows after the last keys and values are made.
			if rows, n = t.keep(rows, wanted), len(wanted); n == 0 {
				return nil
			}
		}
		t.attend(rows, index)
		t.product(t.added, t.mixed, l.O, n, c.AttentionSize(), d)
		t.add(n)
		t.rmsNorm(t.normed, t.x, l.MLPNorm, n)
		t.product(t.gateUp, t.normed, l.GateUp, n, d, 2*c.IntermediateSize)
		t.swiGLU(n)
		t.product(t.added, t.gated, l.Down, n, c.IntermediateSize, d)
		t.add(n)
	}
	t.rmsNorm(t.normed, t.x, t.weights.Norm, n)
	return t.normed[:n*d]
}

// prepare grows the activations, the caches and the rotary table to what a pass over rows needs.
func (t *trunk) prepare(rows []row) {
	c, n := t.config, len(rows)
	for _, b := range []struct {
		buffer *[]float32
		width  int
	}{
		{&t.x, c.HiddenSize}, {&t.normed, c.HiddenSize}, {&t.added, c.HiddenSize},
		{&t.qkv, c.QKVSize()}, {&t.mixed, c.AttentionSize()},
		{&t.gateUp, 2 * c.IntermediateSize}, {&t.gated, c.IntermediateSize},
	} {
		*b.buffer = resize(*b.buffer, n*b.width)
	}
	last := 0
	for _, r := range rows {
		r.cache.grow(r.position + 1)
		last = max(last, r.position)
	}
	if t.rope == nil || last >= t.rope.Positions {
		t.rope = NewRope(c, min(max(256, 2*(last+1)), max(c.MaxPositionEmbeddings, last+1)))
	}
}

// resize returns a buffer of n values, the old one where it is large enough. Its content is undefined.
func resize(buffer []float32, n int) []float32 {
	return slices.Grow(buffer[:0], n)[:n]
}

// keep moves the wanted rows' queries and residuals to the front.
func (t *trunk) keep(rows []row, wanted []int) []row {
	d, width := t.config.HiddenSize, t.config.QKVSize()
	t.kept = t.kept[:0]
	for to, from := range wanted {
		t.kept = append(t.kept, rows[from])
		copy(t.x[to*d:(to+1)*d], t.x[from*d:(from+1)*d])
		copy(t.qkv[to*width:(to+1)*width], t.qkv[from*width:(from+1)*width])
	}
	return t.kept
}

// fillCaches turns queries and keys by their positions and stores keys and values.
func (t *trunk) fillCaches(rows []row, layer int) {
	c := t.config
	width, e := c.QKVSize(), c.HeadDim
	queries, keys := c.AttentionSize(), c.NumKeyValueHeads*e
	t.workers.For(len(rows), grain(width), func(from, to int) {
		for i := from; i < to; i++ {
			r := rows[i]
			qkv := t.qkv[i*width : (i+1)*width]
			cos, sin := t.rope.At(r.position)
			for head := 0; head < queries+keys; head += e {
				t.kernel.Rotate(qkv[head:head+e], cos, sin, 1)
			}
			r.cache.store(r.position, layer, qkv[queries:queries+keys], qkv[queries+keys:])
		}
	})
}

// product computes y = x·wᵀ for n rows of x [n, in] and w [out, in], the outputs split over the workers. A
// few rows are bound by reading w, so a range is measured by its share of w.
func (t *trunk) product(y, x, w []float32, n, in, out int) {
	const elements, together = 1 << 15, 16 // of w in a range, read about as fast as 16 rows are multiplied with them
	grain := max(1, elements/(in*max(1, n/together)))
	t.workers.For(out, (grain+together-1)/together*together, func(from, to int) {
		t.kernel.MatMulTStrided(y[from:], out, x, in, w[from*in:to*in], in, n, to-from, in)
	})
}

// rmsNorm normalises the first n rows of x into dst.
func (t *trunk) rmsNorm(dst, x, gain []float32, n int) {
	d, eps := t.config.HiddenSize, float32(t.config.RMSNormEps)
	t.workers.For(n, grain(d), func(from, to int) {
		for i := from; i < to; i++ {
			t.kernel.RMSNorm(dst[i*d:(i+1)*d], x[i*d:(i+1)*d], gain, eps)
		}
	})
}

// swiGLU gates the first n rows: gated = silu(gate)·up.
func (t *trunk) swiGLU(n int) {
	f := t.config.IntermediateSize
	t.workers.For(n, grain(4*f), func(from, to int) {
		for i := from; i < to; i++ {
			both := t.gateUp[2*i*f : 2*(i+1)*f]
			t.kernel.SwiGLU(t.gated[i*f:(i+1)*f], both[:f], both[f:])
		}
	})
}

// add adds what a block gave to the residual stream of the first n rows.
func (t *trunk) add(n int) {
	t.kernel.Add(t.x[:n*t.config.HiddenSize], t.added[:n*t.config.HiddenSize])
}

// grain returns how many iterations of a loop, each worth about the given number of multiplications in
// vector code, make a range worth a goroutine.
func grain(work int) int { return max(1, 1<<16/max(1, work)) }

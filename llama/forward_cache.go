package llama

import "tandem/internal/memory"

// pageTokens is how many positions one page of a cache holds. Half a page is unused per sequence on average, while a small
// page costs more calls.
const pageTokens = 64

// page holds the keys and values of pageTokens consecutive positions of a sequence. For every layer that
// is kept, and in it for every key/value head, K [pageTokens, e] is followed by Vᵀ [e, pageTokens]: both
// products of attention then read rows of their inner dimension, as kernel.Set.MatMulT wants them.
type page struct {
	data []float32
	refs int // sequences that read it; only a page with one reference is written to
}

// pages gives out the pages of one model's caches and takes them back for reuse.
type pages struct {
	layers, heads, headDim int // of the pages given out; layers may be 1, see trunk
	free                   []*page
	held                   int // pages in use and free together
}

// cache is the keys and values of one sequence. Memory grows by pages, with the sequence.
type cache struct {
	pool  *pages
	pages []*page
}

// size is the length of a page's data.
func (p *pages) size() int { return p.layers * p.heads * 2 * pageTokens * p.headDim }

// slabBytes is how much memory pages are cut from at once: enough to lie on large pages of memory, since attention goes
// through all of it for every token.
const slabBytes = 8 * memory.LargePage

// get returns a page that holds anything: attention reads no position before it is stored.
func (p *pages) get() *page {
	if len(p.free) == 0 {
		size := p.size()
		n := max(1, slabBytes/(4*size))
		for slab := memory.Floats(n * size); len(slab) > 0; slab = slab[size:] {
			p.free = append(p.free, &page{data: slab[:size:size]})
		}
		p.held += n
	}
	n := len(p.free)
	got := p.free[n-1]
	p.free = p.free[:n-1]
	got.refs = 1
	return got
}

func (p *pages) put(old *page) {
	if old.refs--; old.refs == 0 {
		p.free = append(p.free, old)
	}
}

// grow makes room for positions tokens.
func (c *cache) grow(positions int) {
	for len(c.pages)*pageTokens < positions {
		c.pages = append(c.pages, c.pool.get())
	}
}

// fork returns a cache with the same first positions: full pages are shared, the last one, which both will
// write on, is copied.
func (c *cache) fork(positions int) cache {
	out := cache{pool: c.pool}
	full := positions / pageTokens
	for _, p := range c.pages[:full] {
		p.refs++
		out.pages = append(out.pages, p)
	}
	if positions%pageTokens > 0 {
		last := c.pool.get()
		copy(last.data, c.pages[full].data)
		out.pages = append(out.pages, last)
	}
	return out
}

// release gives the pages back.
func (c *cache) release() {
	for _, p := range c.pages {
		c.pool.put(p)
	}
	c.pages = c.pages[:0]
}

// block returns K [pageTokens, e] and Vᵀ [e, pageTokens] of one page, layer and head.
func (c *cache) block(index, layer, head int) (keys, values []float32) {
	n := pageTokens * c.pool.headDim
	from := (layer%c.pool.layers*c.pool.heads + head) * 2 * n
	data := c.pages[index].data
	return data[from : from+n : from+n], data[from+n : from+2*n : from+2*n]
}

// store writes the key and value of one position, each [heads·e], of one layer.
func (c *cache) store(position, layer int, key, value []float32) {
	e := c.pool.headDim
	at := position % pageTokens
	for head := range c.pool.heads {
		keys, values := c.block(position/pageTokens, layer, head)
		copy(keys[at*e:(at+1)*e], key[head*e:])
		for i, v := range value[head*e : (head+1)*e] {
			values[i*pageTokens+at] = v
		}
	}
}

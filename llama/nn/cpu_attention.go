package nn

import "math"

// tileRows is how many query rows attention handles at once: causal products then waste at most half a
// tile for each row. A multiple of the rows of a block of any kernels.
const tileRows = 48

// scoresStride is the distance of rows of scores over so many keys: with room for the end of a panel, and an odd number
// of cache lines, so that a column's values do not all fall on the same few places of a cache.
func scoresStride(keys int) int {
	const line, panel = 16, 32
	return (keys+panel-1)/panel*panel + line
}

func (c *CPU) Rotate(qkv []float32, offsets []int32, h Heads, sign float32) {
	stride, half := h.Stride(), h.Size/2
	for s, start := range offsets[:len(offsets)-1] {
		length := int(offsets[s+1] - start)
		c.workers.For(length, rowGrain, func(from, to int) {
			for p := from; p < to; p++ {
				cos, sin := h.Cos[p*half:(p+1)*half], h.Sin[p*half:(p+1)*half]
				row := qkv[(int(start)+p)*stride:]
				for head := range h.Query + h.KeyValue {
					c.kernels.Rotate(row[head*h.Size:(head+1)*h.Size], cos, sin, sign)
				}
			}
		})
	}
}

// headBlock is one sequence's rows of a packed buffer, seen from one head: where each of q, k, v begins.
type headBlock struct {
	length  int // T, tokens of the sequence
	group   int // query heads that share a key and value head
	q, k, v int // offsets into a packed buffer of the first query head of the group, its keys, its values
	out     int // offset into [n, h·e]
	row     int // first row
	head    int // first query head
}

// eachGroup calls body, in parallel, for every sequence and key-value head.
func (c *CPU) eachGroup(offsets []int32, h Heads, body func(b headBlock)) {
	group := h.Query / h.KeyValue
	c.workers.Each((len(offsets)-1)*h.KeyValue, func(i int) {
		s, kv := i/h.KeyValue, i%h.KeyValue
		start := int(offsets[s])
		base := start * h.Stride()
		body(headBlock{
			length: int(offsets[s+1]) - start,
			group:  group,
			q:      base + kv*group*h.Size,
			k:      base + (h.Query+kv)*h.Size,
			v:      base + (h.Query+h.KeyValue+kv)*h.Size,
			out:    (start*h.Query + kv*group) * h.Size,
			row:    start,
			head:   kv * group,
		})
	})
}

func (c *CPU) Attention(y, lse, qkv []float32, offsets []int32, h Heads) {
	e, stride, width := h.Size, h.Stride(), h.Query*h.Size
	scale := float32(1 / math.Sqrt(float64(e)))
	c.eachGroup(offsets, h, func(b headBlock) {
		ld := scoresStride(b.length)
		buffer := c.scratch.borrow(tileRows*ld + c.factorFloats(e, b.length) + c.factorFloats(b.length, e))
		defer c.scratch.giveBack(buffer)
		scores, room := (*buffer)[:tileRows*ld], (*buffer)[tileRows*ld:]
		keysT, room := c.factor(room, qkv[b.k:], stride, true, e, b.length)
		values, _ := c.factor(room, qkv[b.v:], stride, false, b.length, e)
		for i := range b.group {
			q, out := qkv[b.q+i*e:], y[b.out+i*e:]
			for from := 0; from < b.length; from += tileRows {
				to := min(from+tileRows, b.length)
				rows := to - from
				var sums [tileRows]float32
				keysT.columns(scores, ld, q[from*stride:], stride, rows, e, to) // q[from:to]·k[:to]ᵀ
				for r := range rows {
					row := scores[r*ld : r*ld+to]
					seen := from + r + 1
					sums[r], lse[(b.row+from+r)*h.Query+b.head+i] = c.kernels.Exponentials(row[:seen], scale)
					clear(row[seen:])
				}
				values.multiply(out[from*width:], width, scores, ld, rows, to)
				for r := range rows {
					c.kernels.Scale(1/sums[r], out[(from+r)*width:(from+r)*width+e])
				}
			}
		}
	})
}

func (c *CPU) AttentionGrad(dqkv, dy, lse, qkv []float32, offsets []int32, h Heads) {
	e, stride, width := h.Size, h.Stride(), h.Query*h.Size
	scale := float32(1 / math.Sqrt(float64(e)))
	c.eachGroup(offsets, h, func(b headBlock) {
		ld := scoresStride(b.length)
		buffer := c.scratch.borrow(2*tileRows*ld + 2*c.factorFloats(e, b.length) + c.factorFloats(b.length, e) + 2*c.factorFloats(tileRows, e))
		defer c.scratch.giveBack(buffer)
		weights, room := (*buffer)[:tileRows*ld], (*buffer)[tileRows*ld:] // P
		dscores, room := room[:tileRows*ld], room[tileRows*ld:]           // dS
		keysT, room := c.factor(room, qkv[b.k:], stride, true, e, b.length)
		valuesT, room := c.factor(room, qkv[b.v:], stride, true, e, b.length)
		keys, room := c.factor(room, qkv[b.k:], stride, false, b.length, e)
		for i := range b.group {
			q, dq := qkv[b.q+i*e:], dqkv[b.q+i*e:]
			dout := dy[b.out+i*e:]
			// From the last tile, which sees all keys and so sets their gradients, to the first; the others add to them.
			for from := (b.length - 1) / tileRows * tileRows; from >= 0; from -= tileRows {
				to := min(from+tileRows, b.length)
				rows, add := to-from, i > 0 || to < b.length
				keysT.columns(weights, ld, q[from*stride:], stride, rows, e, to)
				valuesT.columns(dscores, ld, dout[from*width:], width, rows, e, to)
				for r := range rows {
					l := lse[(b.row+from+r)*h.Query+b.head+i]
					p, ds := weights[r*ld:r*ld+to], dscores[r*ld:r*ld+to]
					seen := from + r + 1
					c.kernels.ExpShifted(p[:seen], p[:seen], scale, l)
					c.kernels.SoftmaxBackward(ds[:seen], p[:seen], ds[:seen], scale)
					clear(p[seen:])
					clear(ds[seen:])
				}
				keys.multiply(dq[from*stride:], stride, dscores, ld, rows, to)
				queries, rest := c.factor(room, q[from*stride:], stride, false, rows, e)
				queries.multiplyT(dqkv[b.k:], stride, add, dscores, ld, to, rows)
				douts, _ := c.factor(rest, dout[from*width:], width, false, rows, e)
				douts.multiplyT(dqkv[b.v:], stride, add, weights, ld, to, rows)
			}
		}
	})
}

package nn

import "math"

// tileRows is how many query rows attention handles at once: causal products then waste at most half a
// tile for each row.
const tileRows = 64

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
		buffer := c.scratch.borrow(tileRows * b.length)
		defer c.scratch.giveBack(buffer)
		scores := *buffer
		for i := range b.group {
			q, out := qkv[b.q+i*e:], y[b.out+i*e:]
			for from := 0; from < b.length; from += tileRows {
				to := min(from+tileRows, b.length)
				rows := to - from
				// scores [rows, to] = q[from:to]·k[:to]ᵀ
				c.blas.Gemm(false, true, rows, to, e, 1, q[from*stride:], stride, qkv[b.k:], stride, 0, scores, to)
				for r := range rows {
					row := scores[r*to : (r+1)*to]
					seen := from + r + 1
					lse[(b.row+from+r)*h.Query+b.head+i] = c.kernels.Softmax(row[:seen], scale)
					clear(row[seen:])
				}
				c.blas.Gemm(false, false, rows, e, to, 1, scores, to, qkv[b.v:], stride, 0, out[from*width:], width)
			}
		}
	})
}

func (c *CPU) AttentionGrad(dqkv, dy, lse, qkv []float32, offsets []int32, h Heads) {
	e, stride, width := h.Size, h.Stride(), h.Query*h.Size
	scale := float32(1 / math.Sqrt(float64(e)))
	c.eachGroup(offsets, h, func(b headBlock) {
		buffer := c.scratch.borrow(2 * tileRows * b.length)
		defer c.scratch.giveBack(buffer)
		weights, dscores := (*buffer)[:tileRows*b.length], (*buffer)[tileRows*b.length:] // P and dS
		for t := range b.length {
			clear(dqkv[b.k+t*stride : b.k+t*stride+e])
			clear(dqkv[b.v+t*stride : b.v+t*stride+e])
		}
		for i := range b.group {
			q, dq := qkv[b.q+i*e:], dqkv[b.q+i*e:]
			dout := dy[b.out+i*e:]
			for from := 0; from < b.length; from += tileRows {
				to := min(from+tileRows, b.length)
				rows := to - from
				c.blas.Gemm(false, true, rows, to, e, 1, q[from*stride:], stride, qkv[b.k:], stride, 0, weights, to)
				c.blas.Gemm(false, true, rows, to, e, 1, dout[from*width:], width, qkv[b.v:], stride, 0, dscores, to)
				for r := range rows {
					l := lse[(b.row+from+r)*h.Query+b.head+i]
					p, ds := weights[r*to:(r+1)*to], dscores[r*to:(r+1)*to]
					seen := from + r + 1
					c.kernels.ExpShifted(p[:seen], p[:seen], scale, l)
					c.kernels.SoftmaxBackward(ds[:seen], p[:seen], ds[:seen], scale)
					clear(p[seen:])
					clear(ds[seen:])
				}
				c.blas.Gemm(false, false, rows, e, to, 1, dscores, to, qkv[b.k:], stride, 0, dq[from*stride:], stride)
				c.blas.Gemm(true, false, to, e, rows, 1, dscores, to, q[from*stride:], stride, 1, dqkv[b.k:], stride)
				c.blas.Gemm(true, false, to, e, rows, 1, weights, to, dout[from*width:], width, 1, dqkv[b.v:], stride)
			}
		}
	})
}

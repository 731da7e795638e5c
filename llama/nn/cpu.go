package nn

import (
	"sync"

	"tandem/internal/blas"
	"tandem/internal/memory"
	"tandem/internal/parallel"
	"tandem/llama/nn/kernel"
)

// CPU computes ops on the processor, split over workers: by vector kernels, and products by a BLAS where the kernels are
// not assembly. It holds no tensors and is safe for concurrent use.
type CPU struct {
	blas    *blas.Library
	kernels *kernel.Set
	workers parallel.Workers
	scratch pool // what a task of a loop needs while it runs
	panels  pool // what the tasks of a product share
}

// NewCPU returns a device of library and kernels that splits its loops over workers.
func NewCPU(library *blas.Library, kernels *kernel.Set, workers parallel.Workers) *CPU {
	return &CPU{blas: library, kernels: kernels, workers: workers}
}

// String names what bits depend on, for run records: "avx512, products on panels", or the BLAS and the kernels where that
// multiplies.
func (c *CPU) String() string {
	if c.kernels.Vectorized() {
		return c.kernels.Name() + ", products on panels"
	}
	return c.blas.String() + ", " + c.kernels.Name()
}

// Cores is over how many workers loops are split.
func (c *CPU) Cores() int { return c.workers.Count() }

// Part returns a device that computes the same bits on so many workers.
func (c *CPU) Part(cores int) Device { return NewCPU(c.blas, c.kernels, parallel.New(cores)) }

// Hold keeps the goroutines that help with the ops of body awake between them.
func (c *CPU) Hold(body func()) { c.workers.Hold(body) }

// pool keeps buffers for the next one who needs them.
type pool struct{ buffers sync.Pool } // of *[]float32

// borrow returns memory of n values, which hold anything, to be given back.
func (p *pool) borrow(n int) *[]float32 {
	buffer, ok := p.buffers.Get().(*[]float32)
	if !ok || cap(*buffer) < n {
		buffer = new([]float32)
		*buffer = memory.Floats(n)
	}
	*buffer = (*buffer)[:n]
	return buffer
}

func (p *pool) giveBack(buffer *[]float32) { p.buffers.Put(buffer) }

// rowGrain is how many rows of about a thousand values are worth a goroutine.
const rowGrain = 16

// chunk is how many values of a flat slice one task takes. Sums are taken by chunk and added in order, so
// it is part of what makes bits equal.
const chunk = 1 << 14

func (c *CPU) Gather(d int, y, x []float32, rows []int32) {
	for i, r := range rows {
		copy(y[i*d:(i+1)*d], x[int(r)*d:(int(r)+1)*d])
	}
}

// ScatterAdd splits the columns, so that rows are added in order.
func (c *CPU) ScatterAdd(d int, dx, dy []float32, rows []int32) {
	c.workers.For(d, 64, func(from, to int) {
		for i, r := range rows {
			c.kernels.Add(dx[int(r)*d+from:int(r)*d+to], dy[i*d+from:i*d+to])
		}
	})
}

func (c *CPU) Add(y, a, b []float32) {
	c.workers.For(len(y), chunk, func(from, to int) {
		if &y[0] != &a[0] {
			copy(y[from:to], a[from:to])
		}
		c.kernels.Add(y[from:to], b[from:to])
	})
}

func (c *CPU) AddColumns(n, width, columns, column int, y, a, x []float32, scale float32) {
	c.workers.For(n, rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			row := y[i*width : (i+1)*width]
			if &y[0] != &a[0] {
				copy(row, a[i*width:])
			}
			c.kernels.Axpy(scale, x[i*columns:(i+1)*columns], row[column:column+columns])
		}
	})
}

func (c *CPU) Columns(n, width, columns, column int, y, x []float32, scale float32) {
	c.workers.For(n, rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			row := y[i*columns : (i+1)*columns]
			copy(row, x[i*width+column:])
			c.kernels.Scale(scale, row)
		}
	})
}

func (c *CPU) RMSNorm(n, d int, y, inv, x, gain []float32, eps float32) {
	c.workers.For(n, rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			inv[i] = c.kernels.RMSNorm(y[i*d:(i+1)*d], x[i*d:(i+1)*d], gain, eps)
		}
	})
}

func (c *CPU) RMSNormGrad(n, d int, dx, dgains, dy, x, gain, inv []float32) {
	c.workers.Each((n+NormBlock-1)/NormBlock, func(block int) {
		dgain := dgains[block*d : (block+1)*d]
		clear(dgain)
		for i := block * NormBlock; i < min((block+1)*NormBlock, n); i++ {
			row := func(of []float32) []float32 { return of[i*d : (i+1)*d] }
			c.kernels.RMSNormBackward(row(dx), dgain, row(dy), row(x), gain, inv[i])
		}
	})
}

func (c *CPU) RMSNormAddGradGain(n, d int, dgain, dgains []float32) {
	for block := range (n + NormBlock - 1) / NormBlock {
		c.kernels.Add(dgain, dgains[block*d:(block+1)*d])
	}
}

func (c *CPU) SwiGLU(n, f int, y, gu []float32) {
	c.workers.For(n, rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			c.kernels.SwiGLU(y[i*f:(i+1)*f], gu[2*i*f:(2*i+1)*f], gu[(2*i+1)*f:(2*i+2)*f])
		}
	})
}

func (c *CPU) SwiGLUGrad(n, f int, dgu, dy, gu []float32) {
	c.workers.For(n, rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			gate := func(of []float32) []float32 { return of[2*i*f : (2*i+1)*f] }
			up := func(of []float32) []float32 { return of[(2*i+1)*f : (2*i+2)*f] }
			c.kernels.SwiGLUBackward(gate(dgu), up(dgu), dy[i*f:(i+1)*f], gate(gu), up(gu))
		}
	})
}

func (c *CPU) LogProb(vocabulary int, y, lse, logits []float32, targets []int32, t float32) {
	c.workers.For(len(targets), 1, func(from, to int) {
		for i := from; i < to; i++ {
			row := logits[i*vocabulary : (i+1)*vocabulary]
			lse[i] = c.kernels.LogSumExp(row, 1/t)
			y[i] = row[targets[i]]/t - lse[i]
		}
	})
}

// LogProbGrad is dlogits = dy/t · (onehot − softmax).
func (c *CPU) LogProbGrad(vocabulary int, dlogits, dy, lse, logits []float32, targets []int32, t float32) {
	c.workers.For(len(targets), 1, func(from, to int) {
		for i := from; i < to; i++ {
			row, out := logits[i*vocabulary:(i+1)*vocabulary], dlogits[i*vocabulary:(i+1)*vocabulary]
			if dy[i] == 0 {
				clear(out)
				continue
			}
			scale := dy[i] / t
			c.kernels.ExpShifted(out, row, 1/t, lse[i])
			c.kernels.Scale(-scale, out)
			out[targets[i]] += scale
		}
	})
}

// Entropy is lse − Σ p·z/t.
func (c *CPU) Entropy(n, vocabulary int, y, logits []float32, t float32) {
	c.workers.For(n, 1, func(from, to int) {
		buffer := c.scratch.borrow(vocabulary)
		defer c.scratch.giveBack(buffer)
		p := *buffer
		for i := from; i < to; i++ {
			row := logits[i*vocabulary : (i+1)*vocabulary]
			lse := c.kernels.LogSumExp(row, 1/t)
			c.kernels.ExpShifted(p, row, 1/t, lse)
			y[i] = lse - c.kernels.Dot(p, row)/t
		}
	})
}

// EntropyGrad is dlogits = −dy/t² · p · (z − Σ p·z), p being softmax(z/t).
func (c *CPU) EntropyGrad(vocabulary int, dlogits, dy, logits []float32, t float32) {
	c.workers.For(len(dy), 1, func(from, to int) {
		buffer := c.scratch.borrow(vocabulary)
		defer c.scratch.giveBack(buffer)
		p := *buffer
		for i := from; i < to; i++ {
			row, out := logits[i*vocabulary:(i+1)*vocabulary], dlogits[i*vocabulary:(i+1)*vocabulary]
			if dy[i] == 0 {
				clear(out)
				continue
			}
			c.kernels.ExpShifted(p, row, 1/t, c.kernels.LogSumExp(row, 1/t))
			if &out[0] != &row[0] {
				copy(out, row)
			}
			c.kernels.SoftmaxBackward(out, p, out, -dy[i]/(t*t))
		}
	})
}

func (c *CPU) SumSquares(x []float32) float64 {
	partial := make([]float64, (len(x)+chunk-1)/chunk)
	c.workers.Each(len(partial), func(i int) {
		partial[i] = c.kernels.SumSquares(x[i*chunk : min((i+1)*chunk, len(x))])
	})
	sum := 0.0
	for _, p := range partial {
		sum += p
	}
	return sum
}

func (c *CPU) AdamW(w, g, m, v []float32, step kernel.AdamW) {
	c.workers.For(len(w), chunk, func(from, to int) {
		c.kernels.AdamW(w[from:to], g[from:to], m[from:to], v[from:to], step)
	})
}

package nn

import (
	"math"

	"tandem/internal/blas"
	"tandem/internal/parallel"
)

// CPU computes ops on the processor: products by a BLAS, the rest by vector kernels, both split over
// workers. It holds no tensors and is safe for concurrent use.
type CPU struct {
	blas    *blas.Library
	workers parallel.Workers
}

// NewCPU returns a device that multiplies with library and splits its loops over workers.
func NewCPU(library *blas.Library, workers parallel.Workers) *CPU {
	return &CPU{blas: library, workers: workers}
}

// rowGrain is how many rows of about a thousand values are worth a goroutine.
const rowGrain = 16

// chunk is how many values of a flat slice one task takes. Sums are taken by chunk and added in order, so
// it is part of what makes bits equal.
const chunk = 1 << 14

func (c *CPU) Linear(n, in, out int, y, x, w []float32) {
	c.blas.GemmParallel(c.workers, false, true, n, out, in, 1, x, in, w, in, 0, y, out)
}

func (c *CPU) LinearGradX(n, in, out int, dx, dy, w []float32) {
	c.blas.GemmParallel(c.workers, false, false, n, in, out, 1, dy, out, w, in, 0, dx, in)
}

func (c *CPU) LinearAddGradW(n, in, out int, dw, dy, x []float32) {
	c.blas.GemmParallel(c.workers, true, false, out, in, n, 1, dy, out, x, in, 1, dw, in)
}

func (c *CPU) Embed(d int, y, w []float32, tokens []int32) {
	for i, t := range tokens {
		copy(y[i*d:(i+1)*d], w[int(t)*d:(int(t)+1)*d])
	}
}

// EmbedAddGrad splits the columns, so that rows are added in order.
func (c *CPU) EmbedAddGrad(d int, dw, dy []float32, tokens []int32) {
	c.workers.For(d, 64, func(from, to int) {
		for i, t := range tokens {
			row, g := dw[int(t)*d+from:int(t)*d+to], dy[i*d+from:i*d+to]
			for j, v := range g {
				row[j] += v
			}
		}
	})
}

func (c *CPU) Add(y, a, b []float32) {
	c.workers.For(len(y), chunk, func(from, to int) {
		y, a, b := y[from:to], a[from:to], b[from:to]
		for i := range y {
			y[i] = a[i] + b[i]
		}
	})
}

func (c *CPU) RMSNorm(n, d int, y, inv, x, gain []float32, eps float32) {
	c.workers.For(n, rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			row, out := x[i*d:(i+1)*d], y[i*d:(i+1)*d]
			sum := float32(0)
			for _, v := range row {
				sum += v * v
			}
			r := float32(1 / math.Sqrt(float64(sum/float32(d)+eps)))
			inv[i] = r
			for j, v := range row {
				out[j] = v * r * gain[j]
			}
		}
	})
}

// RMSNormGrad is dx = r·(g∘dy) − x·r³/d · Σ g·dy·x with r = inv.
func (c *CPU) RMSNormGrad(n, d int, dx, dy, x, gain, inv []float32) {
	c.workers.For(n, rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			in, g, out := x[i*d:(i+1)*d], dy[i*d:(i+1)*d], dx[i*d:(i+1)*d]
			sum := float32(0)
			for j, v := range in {
				sum += v * g[j] * gain[j]
			}
			r := inv[i]
			k := sum * r * r * r / float32(d)
			for j, v := range in {
				out[j] = g[j]*gain[j]*r - v*k
			}
		}
	})
}

// RMSNormAddGradGain splits the columns, so that rows are added in order.
func (c *CPU) RMSNormAddGradGain(n, d int, dgain, dy, x, inv []float32) {
	c.workers.For(d, 64, func(from, to int) {
		sum := dgain[from:to]
		for i := range n {
			g, in, r := dy[i*d+from:i*d+to], x[i*d+from:i*d+to], inv[i]
			for j := range sum {
				sum[j] += g[j] * in[j] * r
			}
		}
	})
}

func (c *CPU) SwiGLU(n, f int, y, gu []float32) {
	c.workers.For(n, rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			gate, up, out := gu[2*i*f:(2*i+1)*f], gu[(2*i+1)*f:(2*i+2)*f], y[i*f:(i+1)*f]
			for j, g := range gate {
				out[j] = g / (1 + exp(-g)) * up[j]
			}
		}
	})
}

func (c *CPU) SwiGLUGrad(n, f int, dgu, dy, gu []float32) {
	c.workers.For(n, rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			gate, up, g := gu[2*i*f:(2*i+1)*f], gu[(2*i+1)*f:(2*i+2)*f], dy[i*f:(i+1)*f]
			dgate, dup := dgu[2*i*f:(2*i+1)*f], dgu[(2*i+1)*f:(2*i+2)*f]
			for j, v := range gate {
				s := 1 / (1 + exp(-v))
				u := up[j]
				dup[j] = g[j] * v * s
				dgate[j] = g[j] * u * s * (1 + v*(1-s))
			}
		}
	})
}

func (c *CPU) LogProb(vocabulary int, y, lse, logits []float32, targets []int32, t float32) {
	c.workers.For(len(targets), rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			row := logits[i*vocabulary : (i+1)*vocabulary]
			lse[i] = logSumExp(row, t)
			y[i] = 0
			if targets[i] >= 0 {
				y[i] = row[targets[i]]/t - lse[i]
			}
		}
	})
}

// LogProbGrad is dlogits = dy/t · (onehot − softmax).
func (c *CPU) LogProbGrad(vocabulary int, dlogits, dy, lse, logits []float32, targets []int32, t float32) {
	c.workers.For(len(targets), rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			row, out := logits[i*vocabulary:(i+1)*vocabulary], dlogits[i*vocabulary:(i+1)*vocabulary]
			if targets[i] < 0 || dy[i] == 0 {
				clear(out)
				continue
			}
			scale := dy[i] / t
			for j, z := range row {
				out[j] = -scale * exp(z/t-lse[i])
			}
			out[targets[i]] += scale
		}
	})
}

func (c *CPU) Entropy(n, vocabulary int, y, logits []float32, t float32) {
	c.workers.For(n, rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			row := logits[i*vocabulary : (i+1)*vocabulary]
			l, sum := logSumExp(row, t), 0.0
			for _, z := range row {
				logp := z/t - l
				sum -= float64(exp(logp)) * float64(logp)
			}
			y[i] = float32(sum)
		}
	})
}

func (c *CPU) SumSquares(x []float32) float64 {
	partial := make([]float64, (len(x)+chunk-1)/chunk)
	c.workers.Each(len(partial), func(i int) {
		for _, v := range x[i*chunk : min((i+1)*chunk, len(x))] {
			partial[i] += float64(v) * float64(v)
		}
	})
	sum := 0.0
	for _, p := range partial {
		sum += p
	}
	return sum
}

func (c *CPU) AdamW(w, g, m, v []float32, scale float32, s AdamStep) {
	c.workers.For(len(w), chunk, func(from, to int) {
		for i := from; i < to; i++ {
			gi := g[i] * scale
			m[i] = s.Beta1*m[i] + (1-s.Beta1)*gi
			v[i] = s.Beta2*v[i] + (1-s.Beta2)*gi*gi
			mean, deviation := m[i]/s.Correction1, float32(math.Sqrt(float64(v[i]/s.Correction2)))
			w[i] -= s.Rate * (mean/(deviation+s.Epsilon) + s.Decay*w[i])
		}
	})
}

func exp(x float32) float32 { return float32(math.Exp(float64(x))) }

// logSumExp is ln Σ exp(x/t).
func logSumExp(x []float32, t float32) float32 {
	largest := x[0]
	for _, v := range x {
		largest = max(largest, v)
	}
	sum := float32(0)
	for _, v := range x {
		sum += exp((v - largest) / t)
	}
	return largest/t + float32(math.Log(float64(sum)))
}

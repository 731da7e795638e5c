package nn

import "tandem/llama/nn/kernel"

// Device is what an op computes on. Every slice holds float32 in row order; n, the first argument of
// most methods, is how many rows a batch fills. Methods split their work over cores as they like, but the
// same arguments give the same bits. Where a method has Add in its name it adds to its first slice.
// Losses are not here: they read a number for each token or sequence and are computed where those are kept.
type Device interface {
	// String names what the bits of results depend on, for run records.
	String() string
	// Hold calls body, in which many ops follow each other: what they need in common may stay ready between them.
	Hold(body func())

	// Linear sets y [n, out] to x [n, in] · wᵀ, w [out, in].
	Linear(n, in, out int, y, x, w []float32)
	// LinearGradX sets dx [n, in] to dy [n, out] · w.
	LinearGradX(n, in, out int, dx, dy, w []float32)
	// LinearAddGradW adds dyᵀ · x to dw [out, in].
	LinearAddGradW(n, in, out int, dw, dy, x []float32)

	// Gather sets row i of y [n, d] to row rows[i] of x.
	Gather(d int, y, x []float32, rows []int32)
	// ScatterAdd adds row i of dy [n, d] to row rows[i] of dx, in the order of i.
	ScatterAdd(d int, dx, dy []float32, rows []int32)

	// Add sets y to a + b, elementwise; y may be a.
	Add(y, a, b []float32)
	// AddColumns sets y [n, width] to a, with scale · x, x [n, columns], added to the columns from column on; y may be a.
	AddColumns(n, width, columns, column int, y, a, x []float32, scale float32)
	// Columns sets y [n, columns] to scale times the columns of x [n, width] from column on.
	Columns(n, width, columns, column int, y, x []float32, scale float32)

	// RMSNorm sets y [n, d] to gain · x · inv, with inv[i] = 1/√(mean(x[i]²) + eps), which it also sets.
	RMSNorm(n, d int, y, inv, x, gain []float32, eps float32)
	// RMSNormGrad sets dx [n, d]; dx may be dy. It also sets dgains to the gradients of the gain over blocks
	// of NormBlock rows, [⌈n/NormBlock⌉, d], which RMSNormAddGradGain adds to dgain [d].
	RMSNormGrad(n, d int, dx, dgains, dy, x, gain, inv []float32)
	RMSNormAddGradGain(n, d int, dgain, dgains []float32)

	// SwiGLU sets y [n, f] to silu(gate) · up, gu [n, 2f] being gate | up.
	SwiGLU(n, f int, y, gu []float32)
	// SwiGLUGrad sets dgu [n, 2f]; dgu may be gu.
	SwiGLUGrad(n, f int, dgu, dy, gu []float32)

	// Rotate turns the queries and keys of qkv by their position, in place; sign −1 turns them back.
	Rotate(qkv []float32, offsets []int32, h Heads, sign float32)
	// Attention sets y [n, h·e] to causal attention within each sequence of rotated qkv, and lse [n, h] to
	// the logarithm of each row's sum of exponentials.
	Attention(y, lse, qkv []float32, offsets []int32, h Heads)
	// AttentionGrad sets dqkv from dy and from lse as Attention left it.
	AttentionGrad(dqkv, dy, lse, qkv []float32, offsets []int32, h Heads)

	// LogProb sets lse[i] to the logarithm of Σ exp(logits[i]/t), and y[i] to logits[i, targets[i]]/t − lse[i].
	LogProb(vocabulary int, y, lse, logits []float32, targets []int32, t float32)
	// LogProbGrad sets dlogits [n, vocabulary]; dlogits may be logits.
	LogProbGrad(vocabulary int, dlogits, dy, lse, logits []float32, targets []int32, t float32)
	// Entropy sets y[i] to the entropy of softmax(logits[i]/t), in nats.
	Entropy(n, vocabulary int, y, logits []float32, t float32)
	// EntropyGrad sets dlogits [n, vocabulary] for n = len(dy) rows; dlogits may be logits.
	EntropyGrad(vocabulary int, dlogits, dy, logits []float32, t float32)

	// SumSquares returns Σ x², in float64.
	SumSquares(x []float32) float64
	// AdamW updates w, m and v by the gradient g.
	AdamW(w, g, m, v []float32, step kernel.AdamW)
}

// Divisible is a device whose cores can be divided among some that compute at the same time.
type Divisible interface {
	Device
	// Cores is how many there are.
	Cores() int
	// Part returns a device that computes the same bits on so many of them, at least 1.
	Part(cores int) Device
}

// NormBlock is how many rows of RMSNorm share one partial gradient of the gain: the sum's order must not
// depend on which core took which row.
const NormBlock = 64

// Heads is the geometry of attention over packed rows of queries, keys and values, [n, (h + 2g)·e], with
// the rotary embedding's table.
type Heads struct {
	Query    int       // h
	KeyValue int       // g; h is a multiple of it
	Size     int       // e
	Cos, Sin []float32 // [positions, e/2]
}

// Stride is the width of a packed row, (h + 2g)·e.
func (h Heads) Stride() int { return (h.Query + 2*h.KeyValue) * h.Size }

package nn

// Device is what an op computes on. Every slice holds float32 in row order; n, the first argument of
// most methods, is how many rows a batch fills. Methods split their work over cores as they like, but the
// same arguments give the same bits. Where a method has Add in its name it adds to its first slice.
type Device interface {
	// Linear sets y [n, out] to x [n, in] · wᵀ, w [out, in].
	Linear(n, in, out int, y, x, w []float32)
	// LinearGradX sets dx [n, in] to dy [n, out] · w.
	LinearGradX(n, in, out int, dx, dy, w []float32)
	// LinearAddGradW adds dyᵀ · x to dw [out, in].
	LinearAddGradW(n, in, out int, dw, dy, x []float32)

	// Embed sets row i of y [n, d] to row tokens[i] of w [vocabulary, d].
	Embed(d int, y, w []float32, tokens []int32)
	// EmbedAddGrad adds row i of dy to row tokens[i] of dw, in the order of i.
	EmbedAddGrad(d int, dw, dy []float32, tokens []int32)

	// Add sets y to a + b, elementwise; y may be a.
	Add(y, a, b []float32)

	// RMSNorm sets y [n, d] to gain · x · inv, with inv[i] = 1/√(mean(x[i]²) + eps), which it also sets.
	RMSNorm(n, d int, y, inv, x, gain []float32, eps float32)
	// RMSNormGrad sets dx [n, d]; dx may be dy.
	RMSNormGrad(n, d int, dx, dy, x, gain, inv []float32)
	// RMSNormAddGradGain adds to dgain [d].
	RMSNormAddGradGain(n, d int, dgain, dy, x, inv []float32)

	// SwiGLU sets y [n, f] to silu(gate) · up, gu [n, 2f] being gate | up.
	SwiGLU(n, f int, y, gu []float32)
	// SwiGLUGrad sets dgu [n, 2f]; dgu may be gu.
	SwiGLUGrad(n, f int, dgu, dy, gu []float32)

	// Rotate turns the queries and keys of qkv by their position, in place; sign −1 turns them back.
	Rotate(qkv []float32, offsets []int32, h Heads, sign float32)
	// Attention sets y [n, h·e] to causal attention within each sequence of rotated qkv, and lse [n, h] to
	// the logarithm of each row's sum of exponentials.
	Attention(y, lse, qkv []float32, offsets []int32, h Heads)
	// AttentionGrad sets dqkv from dy, and from y and lse as Attention left them.
	AttentionGrad(dqkv, dy, y, lse, qkv []float32, offsets []int32, h Heads)

	// LogProb sets lse[i] to the logarithm of Σ exp(logits[i]/t), and y[i] to logits[i, targets[i]]/t −
	// lse[i], 0 where the target is −1.
	LogProb(vocabulary int, y, lse, logits []float32, targets []int32, t float32)
	// LogProbGrad sets dlogits [n, vocabulary]; dlogits may be logits.
	LogProbGrad(vocabulary int, dlogits, dy, lse, logits []float32, targets []int32, t float32)
	// Entropy sets y[i] to the entropy of softmax(logits[i]/t), in nats.
	Entropy(n, vocabulary int, y, logits []float32, t float32)

	// SumSquares returns Σ x², in float64.
	SumSquares(x []float32) float64
	// AdamW updates w, m and v by the gradient g · scale.
	AdamW(w, g, m, v []float32, scale float32, step AdamStep)
}

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

// AdamStep is what one step of AdamW has in common for all parameters.
type AdamStep struct {
	Rate, Beta1, Beta2, Epsilon, Decay float32
	// Correction1 and Correction2 are 1 − β₁ᵗ and 1 − β₂ᵗ.
	Correction1, Correction2 float32
}

// Package nn holds the transformer's operations for Gorgonia: a few fused ops with hand-written backward
// passes, the losses of the loop's stages, masked statistics and AdamW.
//
// An op is built by a function from nodes to a node ([Linear], [RMSNorm], [Attention], …). It satisfies
// gorgonia.Op and gorgonia.SDOp, so Gorgonia's type system, its graph and its TapeMachine run it; the
// arithmetic is done by a [Device], behind which a GPU can stand one day. What differs from Gorgonia's
// own ops is memory and shape:
//
//   - An op never allocates while it runs. A [Tape] gives every op a place in an [Arena] by lifetime, once,
//     and an op whose input dies with it may take the input's place over.
//   - Gradients of parameters are added into buffers that outlive the run ([Backward]), which is how
//     micro-batches accumulate.
//   - A graph's shape {N tokens, S sequences} is a capacity. A [Batch] fills the first rows of it, one
//     sequence after another without padding between them, and every op computes those rows alone.
//
// Losses of the loop's stages stand in loss.go, masked statistics in masked.go, the optimizer in adamw.go.
//
// The package knows tensors and nothing of models; package llama composes it. Equations are those of
// LLaMA (https://arxiv.org/abs/2302.13971, section 2.2) unless a function names another source.
package nn

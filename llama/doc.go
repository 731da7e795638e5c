// Package llama is the model that every stage of the loop runs: the Llama architecture as a
// configuration, its weights, a training graph on Gorgonia, a sampler with a KV cache on the same
// weights, and a classifier with a scalar head.
//
// A model is three types, and they are kept apart: [Config] and [Weights] are what is on disk, a graph
// holds what one training step needs, a sampler holds what the sequences being decoded need. Graph and
// sampler read one Weights object; nothing is copied or exported between them.
//
// Architecture (transformers' LlamaForCausalLM; https://arxiv.org/abs/2302.13971, section 2.2), for
// hidden states x of one token:
//
//	x ← E[token]
//	for each layer:  x ← x + O · attention(rope(QKV · rmsnorm(x)))
//	                 x ← x + Down · swiglu(GateUp · rmsnorm(x))
//	logits ← Output · rmsnorm(x)
package llama

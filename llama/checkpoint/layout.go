package checkpoint

import (
	"fmt"
	"iter"
	"strings"

	"tandem/llama"
)

// slot is one tensor of the Hugging Face layout: its name and its shape.
type slot struct {
	name  string
	shape []int
}

// layout yields the tensors that a model of this configuration consists of, in the order in which they
// are written. It allocates nothing of the model's size, so that a configuration from an untrusted file
// can be compared with what the file holds before memory is spent on it.
//
// A tied model lists its embedding alone.
func layout(c llama.Config, classifier bool) iter.Seq[slot] {
	d, f, e := c.HiddenSize, c.IntermediateSize, c.HeadDim
	q, kv := c.NumAttentionHeads*e, c.NumKeyValueHeads*e
	return func(yield func(slot) bool) {
		if !yield(slot{"model.embed_tokens.weight", []int{c.VocabSize, d}}) {
			return
		}
		for i := range c.NumHiddenLayers {
			for _, s := range []slot{
				{"input_layernorm.weight", []int{d}},
				{"self_attn.q_proj.weight", []int{q, d}},
				{"self_attn.k_proj.weight", []int{kv, d}},
				{"self_attn.v_proj.weight", []int{kv, d}},
				{"self_attn.o_proj.weight", []int{d, q}},
				{"post_attention_layernorm.weight", []int{d}},
				{"mlp.gate_proj.weight", []int{f, d}},
				{"mlp.up_proj.weight", []int{f, d}},
				{"mlp.down_proj.weight", []int{d, f}},
			} {
				s.name = fmt.Sprintf("model.layers.%d.%s", i, s.name)
				if !yield(s) {
					return
				}
			}
		}
		if !yield(slot{"model.norm.weight", []int{d}}) {
			return
		}
		switch {
		case classifier:
			yield(slot{"score.weight", []int{1, d}})
		case !c.TieWordEmbeddings:
			yield(slot{"lm_head.weight", []int{c.VocabSize, d}})
		}
	}
}

// Tensors lists w's parameters as the Hugging Face layout names and shapes them. The data are parts of
// w's own slices: the rows of qkv are q_proj's, k_proj's and v_proj's, those of gate_up gate_proj's and
// up_proj's. A tied model has no lm_head.weight. Adapters are not among them, see AdapterTensors.
func Tensors(w *llama.Weights) []Tensor {
	// Concatenated in the layout's order, the packed tensors are the unpacked ones, one after the other.
	packed := [][]float32{w.Embed}
	for _, l := range w.Layers {
		packed = append(packed, l.AttentionNorm, l.QKV, l.O, l.MLPNorm, l.GateUp, l.Down)
	}
	packed = append(packed, w.Norm)
	switch {
	case w.IsClassifier():
		packed = append(packed, w.Score)
	case !w.Config.TieWordEmbeddings:
		packed = append(packed, w.Output)
	}
	var tensors []Tensor
	var rest []float32
	for s := range layout(w.Config, w.IsClassifier()) {
		if len(rest) == 0 {
			rest, packed = packed[0], packed[1:]
		}
		n := 1
		for _, size := range s.shape {
			n *= size
		}
		tensors = append(tensors, Tensor{s.name, s.shape, rest[:n:n]})
		rest = rest[n:]
	}
	return tensors
}

// ignored says why a tensor that no layout lists may be left out, or "" if it may not.
func ignored(name string) (reason string) {
	if strings.HasSuffix(name, ".rotary_emb.inv_freq") {
		return "a buffer that the configuration determines"
	}
	return ""
}

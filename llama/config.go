package llama

import "tandem"

// Config is the architecture of a model: the fields of a Hugging Face config.json that tandem obeys.
type Config struct {
	VocabSize             int
	HiddenSize            int // d
	IntermediateSize      int // f, the width of the SwiGLU block
	NumHiddenLayers       int
	NumAttentionHeads     int // h
	NumKeyValueHeads      int // g; h is a multiple of it (grouped-query attention)
	HeadDim               int // e; d / h unless config.json says otherwise
	MaxPositionEmbeddings int // the context, in tokens
	RMSNormEps            float64
	RopeTheta             float64
	RopeScaling           *RopeScaling // nil for none
	TieWordEmbeddings     bool         // the output matrix is the embedding
	BOS                   int          // -1 for none
	EOS                   []int        // tokens that end an answer
	PAD                   int          // -1 for none
}

// RopeScaling stretches the rotary embedding over a longer context.
type RopeScaling struct {
	Type   string  // "linear" or "llama3"
	Factor float64 // by how much the context grows
	// The rest is llama3's: wavelengths above OriginalMaxPosition / LowFreqFactor are divided by Factor,
	// those below OriginalMaxPosition / HighFreqFactor are kept, those between are blended.
	LowFreqFactor       float64
	HighFreqFactor      float64
	OriginalMaxPosition int
}

// QKVSize is the number of rows of the packed query, key and value projection: (h + 2g)·e.
func (c Config) QKVSize() int { return (c.NumAttentionHeads + 2*c.NumKeyValueHeads) * c.HeadDim }

// AttentionSize is the width of the attention's output: h·e.
func (c Config) AttentionSize() int { return c.NumAttentionHeads * c.HeadDim }

// Pooled is a sequence up to the token that a scalar head reads, the last that is not PAD, as transformers'
// LlamaForSequenceClassification pools. That is the last token, an EOS, unless the model pads with EOS: then
// it is the one before, in training too, so that the model gives the same scores in either program.
func (c Config) Pooled(tokens []int32) []int32 {
	n := len(tokens)
	for n > 1 && int(tokens[n-1]) == c.PAD {
		n--
	}
	return tokens[:n]
}

// Validate reports the first field that no Llama could have.
func (c Config) Validate() error {
	const op = "llama.Config"
	for _, f := range []struct {
		name  string
		value int
	}{
		{"vocab_size", c.VocabSize}, {"hidden_size", c.HiddenSize}, {"intermediate_size", c.IntermediateSize},
		{"num_hidden_layers", c.NumHiddenLayers}, {"num_attention_heads", c.NumAttentionHeads},
		{"num_key_value_heads", c.NumKeyValueHeads}, {"head_dim", c.HeadDim},
		{"max_position_embeddings", c.MaxPositionEmbeddings},
	} {
		if f.value <= 0 {
			return tandem.Errorf(tandem.Invalid, op, "%s is %d, not positive", f.name, f.value)
		}
	}
	switch {
	case c.NumAttentionHeads%c.NumKeyValueHeads != 0:
		return tandem.Errorf(tandem.Invalid, op, "num_attention_heads %d is not a multiple of num_key_value_heads %d",
			c.NumAttentionHeads, c.NumKeyValueHeads)
	case c.HeadDim%2 != 0:
		return tandem.Errorf(tandem.Invalid, op, "head_dim %d is odd, rotary embedding needs pairs", c.HeadDim)
	case !(c.RMSNormEps > 0):
		return tandem.Errorf(tandem.Invalid, op, "rms_norm_eps is %g, not positive", c.RMSNormEps)
	case !(c.RopeTheta > 0):
		return tandem.Errorf(tandem.Invalid, op, "rope_theta is %g, not positive", c.RopeTheta)
	}
	if s := c.RopeScaling; s != nil && s.Type != "linear" && s.Type != "llama3" {
		return tandem.Errorf(tandem.Unsupported, op, "rope_scaling of type %q is not supported (linear and llama3 are)", s.Type)
	}
	return nil
}

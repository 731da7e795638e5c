package checkpoint

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"tandem/llama"
)

const generationName = "generation_config.json"

// stale are the fields of a configuration that was read which would contradict the one that is written.
var stale = []string{
	"rope_parameters", "dtype", "_name_or_path", "num_labels", "id2label", "label2id", "problem_type",
	"quantization_config", "compression_config",
}

// configJSON is config.json as transformers, vLLM and llama.cpp's converter read it, in the form that
// transformers 4 and 5 share, over the fields that the model came with.
func configJSON(m *Model, dtype DType) map[string]any {
	c := m.Weights.Config
	out := make(map[string]any)
	for name, raw := range m.Fields.Config {
		out[name] = raw
	}
	for _, name := range stale {
		delete(out, name)
	}
	maps.Copy(out, map[string]any{
		"architectures":           []string{causalLM},
		"model_type":              "llama",
		"hidden_act":              "silu",
		"attention_bias":          false,
		"mlp_bias":                false,
		"torch_dtype":             dtype.torch(),
		"vocab_size":              c.VocabSize,
		"hidden_size":             c.HiddenSize,
		"intermediate_size":       c.IntermediateSize,
		"num_hidden_layers":       c.NumHiddenLayers,
		"num_attention_heads":     c.NumAttentionHeads,
		"num_key_value_heads":     c.NumKeyValueHeads,
		"head_dim":                c.HeadDim,
		"max_position_embeddings": c.MaxPositionEmbeddings,
		"rms_norm_eps":            c.RMSNormEps,
		"rope_theta":              decimal(c.RopeTheta),
		"rope_scaling":            ropeJSON(c.RopeScaling),
		"tie_word_embeddings":     c.TieWordEmbeddings,
	})
	maps.Copy(out, tokensJSON(c))
	if m.Weights.IsClassifier() {
		out["architectures"] = []string{classification}
		out["id2label"] = map[string]string{"0": "LABEL_0"}
		out["label2id"] = map[string]int{"LABEL_0": 0}
	}
	return out
}

func ropeJSON(s *llama.RopeScaling) any {
	switch {
	case s == nil:
		return nil
	case s.Type == "llama3":
		return map[string]any{
			"rope_type": s.Type, "factor": decimal(s.Factor), "low_freq_factor": decimal(s.LowFreqFactor),
			"high_freq_factor": decimal(s.HighFreqFactor), "original_max_position_embeddings": s.OriginalMaxPosition,
		}
	}
	return map[string]any{"rope_type": s.Type, "factor": decimal(s.Factor)}
}

// decimal writes a whole number as 2.0: transformers 4 insists that these fields are Python floats.
type decimal float64

func (x decimal) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(float64(x))
	if err == nil && !bytes.ContainsAny(text, ".e") {
		text = append(text, ".0"...)
	}
	return text, err
}

// tokensJSON are the special tokens' fields, which config.json and generation_config.json share.
func tokensJSON(c llama.Config) map[string]any {
	optional := func(id int) any {
		if id < 0 {
			return nil
		}
		return id
	}
	out := map[string]any{"bos_token_id": optional(c.BOS), "pad_token_id": optional(c.PAD), "eos_token_id": nil}
	switch len(c.EOS) {
	case 0:
	case 1:
		out["eos_token_id"] = c.EOS[0]
	default:
		out["eos_token_id"] = c.EOS
	}
	return out
}

// generationJSON is generation_config.json.
func generationJSON(m *Model) map[string]any {
	out := make(map[string]any)
	for name, raw := range m.Fields.Generation {
		out[name] = raw
	}
	maps.Copy(out, tokensJSON(m.Weights.Config))
	return out
}

// parseGeneration reads generation_config.json, of which tandem obeys the tokens that end an answer:
// they are added to config.json's.
func parseGeneration(text []byte, c *llama.Config) (map[string]json.RawMessage, error) {
	f, err := parseFields(text)
	if err != nil {
		return nil, err
	}
	eos, _, err := endTokens(f, c.VocabSize)
	if err != nil {
		return nil, err
	}
	for _, id := range eos {
		if !slices.Contains(c.EOS, id) {
			c.EOS = append(c.EOS, id)
		}
	}
	return f, nil
}

package checkpoint

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"

	"tandem"
	"tandem/llama"
)

// Architectures of config.json that tandem runs.
const (
	causalLM       = "LlamaForCausalLM"
	classification = "LlamaForSequenceClassification"
)

// maxSize bounds every size in a configuration, so that products of three of them fit in an int, and
// maxContext the context, in tokens.
const (
	maxSize    = 1 << 20
	maxContext = 1 << 28
)

// fields is a JSON object whose values are decoded one by one, so that errors name the field.
type fields map[string]json.RawMessage

// has reports whether a field is there and not null.
func (f fields) has(name string) bool {
	raw, ok := f[name]
	return ok && string(raw) != "null"
}

// get decodes a field into v and reports whether it was there and not null.
func (f fields) get(name string, v any) (bool, error) {
	if !f.has(name) {
		return false, nil
	}
	if err := json.Unmarshal(f[name], v); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return false, tandem.Errorf(tandem.Invalid, opConfig, "%s is %s, not %s", name, shorten(f[name]), jsonKind(kind.Type))
		}
		return false, tandem.Errorf(tandem.Invalid, opConfig, "%s: %w", name, err)
	}
	return true, nil
}

// jsonKind is what JSON calls the values of a Go type.
func jsonKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int:
		return "an integer"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a text"
	case reflect.Slice:
		return "a list"
	}
	return "an object"
}

const opConfig = "checkpoint.ParseConfig"

// ParseConfig reads a Hugging Face config.json of transformers 4 or 5. classifier tells a
// LlamaForSequenceClassification with one label from a LlamaForCausalLM. A field that tandem does not
// honour and that is set to something that would change the model's output is refused by its name;
// attention_dropout is not among them, since every stage trains without dropout. Fields that are absent
// have the defaults of transformers' LlamaConfig, but for the sizes, which must be there.
func ParseConfig(text []byte) (c llama.Config, classifier bool, err error) {
	f, err := parseFields(text)
	if err != nil {
		return c, false, err
	}
	if classifier, err = architecture(f); err != nil {
		return c, false, err
	}
	if err := refuse(f); err != nil {
		return c, false, err
	}
	c = llama.Config{MaxPositionEmbeddings: 2048, RMSNormEps: 1e-6, BOS: 1, EOS: []int{2}, PAD: -1}
	for _, field := range []struct {
		name     string
		value    *int
		limit    int
		required bool
	}{
		{"vocab_size", &c.VocabSize, maxSize, true},
		{"hidden_size", &c.HiddenSize, maxSize, true},
		{"intermediate_size", &c.IntermediateSize, maxSize, true},
		{"num_hidden_layers", &c.NumHiddenLayers, maxSize, true},
		{"num_attention_heads", &c.NumAttentionHeads, maxSize, true},
		{"num_key_value_heads", &c.NumKeyValueHeads, maxSize, false},
		{"head_dim", &c.HeadDim, maxSize, false},
		{"max_position_embeddings", &c.MaxPositionEmbeddings, maxContext, false},
	} {
		found, err := f.get(field.name, field.value)
		if err != nil {
			return c, false, err
		}
		if !found && field.required {
			return c, false, tandem.Errorf(tandem.Invalid, opConfig, "%s is missing", field.name)
		}
		if n := *field.value; found && (n <= 0 || n > field.limit) {
			return c, false, tandem.Errorf(tandem.Invalid, opConfig, "%s is %d, not between 1 and %d", field.name, n, field.limit)
		}
	}
	if c.NumKeyValueHeads == 0 {
		c.NumKeyValueHeads = c.NumAttentionHeads
	}
	if c.HeadDim == 0 {
		if c.HiddenSize%c.NumAttentionHeads != 0 {
			return c, false, tandem.Errorf(tandem.Invalid, opConfig, "hidden_size %d is not a multiple of num_attention_heads %d, and head_dim is missing",
				c.HiddenSize, c.NumAttentionHeads)
		}
		c.HeadDim = c.HiddenSize / c.NumAttentionHeads
	}
	if _, err := f.get("rms_norm_eps", &c.RMSNormEps); err != nil {
		return c, false, err
	}
	if _, err := f.get("tie_word_embeddings", &c.TieWordEmbeddings); err != nil {
		return c, false, err
	}
	if err := parseRope(f, &c); err != nil {
		return c, false, err
	}
	if err := parseTokens(f, &c); err != nil {
		return c, false, err
	}
	return c, classifier, c.Validate()
}

// parseFields splits a JSON object into its fields.
func parseFields(text []byte) (fields, error) {
	var f fields
	if err := json.Unmarshal(text, &f); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return nil, tandem.Errorf(tandem.Corrupt, opConfig, "not a JSON object but a JSON %s", kind.Value)
		}
		return nil, tandem.Errorf(tandem.Corrupt, opConfig, "not a JSON object: %w", err)
	}
	if f == nil {
		return nil, tandem.Errorf(tandem.Corrupt, opConfig, "not a JSON object but null")
	}
	return f, nil
}

// architecture reads which of the two kinds of model the configuration is of.
func architecture(f fields) (classifier bool, err error) {
	var kind string
	if found, err := f.get("model_type", &kind); err != nil {
		return false, err
	} else if found && kind != "llama" {
		return false, tandem.Errorf(tandem.Unsupported, opConfig, "model_type %q is not supported (llama is)", kind)
	}
	names := []string{causalLM}
	if _, err := f.get("architectures", &names); err != nil {
		return false, err
	}
	if len(names) != 1 || names[0] != causalLM && names[0] != classification {
		return false, tandem.Errorf(tandem.Unsupported, opConfig, "architectures %q is not supported (%s and %s are)", names, causalLM, classification)
	}
	if names[0] == causalLM {
		return false, nil
	}
	// transformers keeps the number of labels as the length of id2label; 2 is its default.
	labels := 2
	var byID map[string]any
	if found, err := f.get("id2label", &byID); err != nil {
		return false, err
	} else if found {
		labels = len(byID)
	}
	if _, err := f.get("num_labels", &labels); err != nil {
		return false, err
	}
	if labels != 1 {
		return false, tandem.Errorf(tandem.Unsupported, opConfig, "num_labels is %d (or id2label has that many, 2 where neither is set); a reward model has 1", labels)
	}
	return true, nil
}

// harmless are the values with which fields that tandem does not honour change nothing. Absent and null
// always do. Most are not Llama's own, but name a relative under Llama's name.
var harmless = map[string][]string{
	"hidden_act":                  {`"silu"`, `"swish"`},
	"attention_bias":              {"false"},
	"mlp_bias":                    {"false"},
	"use_bias":                    {"false"},
	"qkv_bias":                    {"false"},
	"use_qk_norm":                 {"false"},
	"qk_layernorm":                {"false"},
	"use_bidirectional_attention": {"false"},
	"is_causal":                   {"true"},
	"is_encoder_decoder":          {"false"},
	"add_cross_attention":         {"false"},
	"sliding_window":              {},
	"attention_chunk_size":        {},
	"quantization_config":         {},
	"compression_config":          {},
	"partial_rotary_factor":       {"1", "1.0"},
	"rotary_pct":                  {"1", "1.0"},
	"no_rope_layers":              {"[]"},
	"pruned_heads":                {"{}"},
	"clip_qkv":                    {},
	"attn_logit_softcapping":      {},
	"final_logit_softcapping":     {},
	"query_pre_attn_scalar":       {},
	"logit_scale":                 {"1", "1.0"},
	"logits_scaling":              {"1", "1.0"},
	"attention_multiplier":        {},
	"embedding_multiplier":        {"1", "1.0"},
	"residual_multiplier":         {"1", "1.0"},
	"num_local_experts":           {"0", "1"},
	"num_experts":                 {"0", "1"},
}

// refuse reports the first field, by name, that is set to something that tandem does not honour.
func refuse(f fields) error {
	var names []string
	for name, values := range harmless {
		if f.has(name) && !slices.Contains(values, string(f[name])) {
			names = append(names, name)
		}
	}
	if window := false; f.has("use_sliding_window") {
		if _, err := f.get("use_sliding_window", &window); err == nil && !window {
			names = slices.DeleteFunc(names, func(name string) bool { return name == "sliding_window" })
		}
	}
	var kinds []string
	if _, err := f.get("layer_types", &kinds); err != nil {
		return err
	}
	for _, kind := range kinds {
		if kind != "full_attention" {
			names = append(names, "layer_types")
			break
		}
	}
	var classes map[string]any
	if _, err := f.get("auto_map", &classes); err != nil {
		return err
	}
	for class := range classes {
		if class != "AutoTokenizer" {
			names = append(names, "auto_map") // the model's code comes with it
			break
		}
	}
	if len(names) == 0 {
		return nil
	}
	name := slices.Min(names)
	return tandem.Errorf(tandem.Unsupported, opConfig, "%s is %s, which is not supported", name, shorten(f[name]))
}

// parseTokens reads the special tokens. Ids that the vocabulary does not have are refused.
func parseTokens(f fields, c *llama.Config) error {
	for _, t := range []struct {
		name string
		id   *int
	}{{"bos_token_id", &c.BOS}, {"pad_token_id", &c.PAD}} {
		if _, present := f[t.name]; present && !f.has(t.name) {
			*t.id = -1
		}
		if _, err := f.get(t.name, t.id); err != nil {
			return err
		}
		// transformers' own default must not stand in the way of a tiny vocabulary, and a PAD of −1 is an
		// old way of saying none.
		if _, present := f[t.name]; !present && *t.id >= c.VocabSize || *t.id == -1 {
			*t.id = -1
			continue
		}
		if *t.id < 0 || *t.id >= c.VocabSize {
			return tandem.Errorf(tandem.Invalid, opConfig, "%s %d is not in the vocabulary of %d", t.name, *t.id, c.VocabSize)
		}
	}
	eos, found, err := endTokens(f, c.VocabSize)
	if err != nil {
		return err
	}
	if _, present := f["eos_token_id"]; found || present {
		c.EOS = eos
	} else if c.VocabSize <= 2 {
		c.EOS = nil
	}
	return nil
}

// endTokens reads eos_token_id, a number or a list of numbers.
func endTokens(f fields, vocab int) (ids []int, found bool, err error) {
	if !f.has("eos_token_id") {
		return nil, false, nil
	}
	var one int
	if json.Unmarshal(f["eos_token_id"], &one) == nil {
		ids = []int{one}
	} else if _, err := f.get("eos_token_id", &ids); err != nil {
		return nil, false, err
	}
	for _, id := range ids {
		if id < 0 || id >= vocab {
			return nil, false, tandem.Errorf(tandem.Invalid, opConfig, "eos_token_id %d is not in the vocabulary of %d", id, vocab)
		}
	}
	return ids, true, nil
}

// shorten cuts a value from an untrusted file to what a message can hold.
func shorten(raw json.RawMessage) string {
	if len(raw) > 80 {
		return string(raw[:80]) + "…"
	}
	return string(raw)
}

package checkpoint

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"tandem"
	"tandem/llama"
)

// sizes is the least that a config.json must say.
const sizes = `"vocab_size": 100, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4`

func TestParseConfig(t *testing.T) {
	base := llama.Config{
		VocabSize: 100, HiddenSize: 32, IntermediateSize: 48, NumHiddenLayers: 2, NumAttentionHeads: 4, NumKeyValueHeads: 4,
		HeadDim: 8, MaxPositionEmbeddings: 2048, RMSNormEps: 1e-6, RopeTheta: 10000, BOS: 1, EOS: []int{2}, PAD: -1,
	}
	llama3 := &llama.RopeScaling{Type: "llama3", Factor: 8, LowFreqFactor: 1, HighFreqFactor: 4, OriginalMaxPosition: 8192}
	const scaling = `"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192`
	for name, test := range map[string]struct {
		fields string
		change func(*llama.Config)
	}{
		"defaults":        {``, func(*llama.Config) {}},
		"nulls":           {`"num_key_value_heads": null, "head_dim": null, "rope_scaling": null, "sliding_window": null`, func(*llama.Config) {}},
		"harmless":        {`"hidden_act": "silu", "attention_bias": false, "pretraining_tp": 1, "partial_rotary_factor": 1.0, "layer_types": ["full_attention"], "attention_dropout": 0.1`, func(*llama.Config) {}},
		"unused window":   {`"use_sliding_window": false, "sliding_window": 4096`, func(*llama.Config) {}},
		"grouped":         {`"num_key_value_heads": 2, "head_dim": 16`, func(c *llama.Config) { c.NumKeyValueHeads, c.HeadDim = 2, 16 }},
		"tied":            {`"tie_word_embeddings": true`, func(c *llama.Config) { c.TieWordEmbeddings = true }},
		"eos list":        {`"eos_token_id": [5, 6], "bos_token_id": null, "pad_token_id": 0`, func(c *llama.Config) { c.EOS, c.BOS, c.PAD = []int{5, 6}, -1, 0 }},
		"no eos":          {`"eos_token_id": null, "pad_token_id": -1`, func(c *llama.Config) { c.EOS = nil }},
		"theta":           {`"rope_theta": 500000`, func(c *llama.Config) { c.RopeTheta = 5e5 }},
		"theta 5":         {`"rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}`, func(c *llama.Config) { c.RopeTheta = 5e5 }},
		"linear, old key": {`"rope_scaling": {"type": "linear", "factor": 2.0}`, func(c *llama.Config) { c.RopeScaling = &llama.RopeScaling{Type: "linear", Factor: 2} }},
		"llama3":          {`"rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", ` + scaling + `}`, func(c *llama.Config) { c.RopeTheta, c.RopeScaling = 5e5, llama3 }},
		"llama3 5":        {`"rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, ` + scaling + `}`, func(c *llama.Config) { c.RopeTheta, c.RopeScaling = 5e5, llama3 }},
	} {
		want := base
		test.change(&want)
		got, classifier, err := ParseConfig([]byte(`{` + join(sizes, test.fields) + `}`))
		if err != nil || classifier || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, %v; want %+v", name, got, classifier, err, want)
		}
	}
	for _, labels := range []string{`"id2label": {"0": "LABEL_0"}`, `"num_labels": 1`} {
		_, classifier, err := ParseConfig([]byte(`{"architectures": ["LlamaForSequenceClassification"], ` + join(sizes, labels) + `}`))
		if err != nil || !classifier {
			t.Errorf("%s: %v, %v", labels, classifier, err)
		}
	}
}

func join(a, b string) string {
	if b == "" {
		return a
	}
	return a + ", " + b
}

// TestParseConfigRefuses: whatever tandem cannot honour is refused, and the message names the field.
func TestParseConfigRefuses(t *testing.T) {
	for field, test := range map[string]struct {
		fields string
		code   tandem.Code
	}{
		"hidden_act":                        {`"hidden_act": "gelu"`, tandem.Unsupported},
		"attention_bias":                    {`"attention_bias": true`, tandem.Unsupported},
		"mlp_bias":                          {`"mlp_bias": true`, tandem.Unsupported},
		"sliding_window":                    {`"sliding_window": 4096`, tandem.Unsupported},
		"quantization_config":               {`"quantization_config": {"bits": 4}`, tandem.Unsupported},
		"partial_rotary_factor":             {`"partial_rotary_factor": 0.5`, tandem.Unsupported},
		"layer_types":                       {`"layer_types": ["sliding_attention", "full_attention"]`, tandem.Unsupported},
		"auto_map":                          {`"auto_map": {"AutoModelForCausalLM": "modeling_x.X"}`, tandem.Unsupported},
		"model_type":                        {`"model_type": "mistral"`, tandem.Unsupported},
		"architectures":                     {`"architectures": ["MistralForCausalLM"]`, tandem.Unsupported},
		"num_labels":                        {`"architectures": ["LlamaForSequenceClassification"]`, tandem.Unsupported},
		"num_labels is 3":                   {`"architectures": ["LlamaForSequenceClassification"], "id2label": {"0": "a", "1": "b", "2": "c"}`, tandem.Unsupported},
		`rope_scaling of type "yarn"`:       {`"rope_scaling": {"rope_type": "yarn", "factor": 2.0}`, tandem.Unsupported},
		`rope_scaling of type "dynamic"`:    {`"rope_scaling": {"type": "dynamic", "factor": 2.0}`, tandem.Unsupported},
		"rope_scaling.factor":               {`"rope_scaling": {"type": "linear"}`, tandem.Invalid},
		"rope_scaling.factor is 0.5":        {`"rope_scaling": {"type": "linear", "factor": 0.5}`, tandem.Invalid},
		"rope_scaling.low_freq_factor":      {`"rope_scaling": {"type": "llama3", "factor": 2}`, tandem.Invalid},
		"rope_scaling.high_freq_factor":     {`"rope_scaling": {"type": "llama3", "factor": 2, "low_freq_factor": 4, "high_freq_factor": 4, "original_max_position_embeddings": 64}`, tandem.Invalid},
		"rope_parameters.full_attention":    {`"rope_parameters": {"full_attention": {"rope_type": "default"}}`, tandem.Unsupported},
		"rope_parameters.partial_rotary":    {`"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.25}`, tandem.Unsupported},
		"rope_theta":                        {`"rope_theta": -1`, tandem.Invalid},
		"rms_norm_eps":                      {`"rms_norm_eps": 0`, tandem.Invalid},
		"num_key_value_heads":               {`"num_key_value_heads": 3`, tandem.Invalid},
		"head_dim":                          {`"head_dim": 7`, tandem.Invalid},
		"num_hidden_layers is -1":           {`"num_hidden_layers": -1`, tandem.Invalid},
		"vocab_size is 9007199254740993":    {`"vocab_size": 9007199254740993`, tandem.Invalid},
		"hidden_size is \"32\", not an int": {`"hidden_size": "32"`, tandem.Invalid},
		"eos_token_id 100":                  {`"eos_token_id": [2, 100]`, tandem.Invalid},
		"pad_token_id 100":                  {`"pad_token_id": 100`, tandem.Invalid},
		"bos_token_id is 1.5":               {`"bos_token_id": 1.5`, tandem.Invalid},
		"rope_parameters is [], not an obj": {`"rope_parameters": []`, tandem.Invalid},
		"tie_word_embeddings is \"false\"":  {`"tie_word_embeddings": "false"`, tandem.Invalid},
	} {
		_, _, err := ParseConfig([]byte(`{` + join(sizes, test.fields) + `}`))
		if tandem.CodeOf(err) != test.code || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v, want %s", test.fields, err, test.code)
		}
	}
	for _, text := range []string{"", "{", "null", "[]", "3", `{"vocab_size"`, "\x00"} {
		if _, _, err := ParseConfig([]byte(text)); tandem.CodeOf(err) != tandem.Corrupt {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, _, err := ParseConfig([]byte(`{"vocab_size": 3}`)); err == nil || !strings.Contains(err.Error(), "hidden_size is missing") {
		t.Errorf("without hidden_size: %v", err)
	}
}

// FuzzParseConfig: a configuration that is accepted survives being written and read again.
func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(`{` + sizes + `}`))
	f.Add([]byte(`{"rope_scaling": {"type": "linear", "factor": 2.0}, "eos_token_id": [1, 2], ` + sizes + `}`))
	f.Add([]byte(`{"architectures": ["LlamaForSequenceClassification"], "num_labels": 1, "rope_parameters": {"rope_theta": 1e6}, ` + sizes + `}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, classifier, err := ParseConfig(text)
		if err != nil {
			return
		}
		fields, err := parseFields(text)
		if err != nil {
			t.Fatal(err)
		}
		w := &llama.Weights{Config: c}
		if classifier {
			w.Score = []float32{}
		}
		again, err := json.Marshal(configJSON(&Model{Weights: w, Fields: Fields{Config: fields}}, F32))
		if err != nil {
			t.Fatal(err)
		}
		c2, classifier2, err := ParseConfig(again)
		if len(c.EOS) == 0 {
			c.EOS, c2.EOS = nil, nil
		}
		if err != nil || classifier2 != classifier || !reflect.DeepEqual(c, c2) {
			t.Fatalf("%s\nbecame %+v, %v; %+v before", again, c2, err, c)
		}
	})
}

package checkpoint

import (
	"context"
	"fmt"
	"io"

	"tandem/llama"
)

// Names of an adapter's files, which are PEFT's.
const (
	AdapterConfigName = "adapter_config.json"
	AdapterName       = "adapter_model.safetensors"
)

// AdapterTensors lists the adapters of w as PEFT names and shapes them, and a classifier's head, which is trained with them.
// The data are w's own.
func AdapterTensors(w *llama.Weights) []Tensor {
	const prefix = "base_model.model."
	var tensors []Tensor
	for i, l := range w.Layers {
		for _, a := range l.Adapters {
			module := "mlp"
			if a.Matrix == "qkv" || a.Matrix == "o" {
				module = "self_attn"
			}
			name := fmt.Sprintf("%smodel.layers.%d.%s.%s.", prefix, i, module, a.Target)
			tensors = append(tensors,
				Tensor{name + "lora_A.weight", []int{a.Rank, len(a.A) / a.Rank}, a.A},
				Tensor{name + "lora_B.weight", []int{len(a.B) / a.Rank, a.Rank}, a.B},
			)
		}
	}
	if w.IsClassifier() {
		tensors = append(tensors, Tensor{prefix + "score.weight", []int{1, w.Config.HiddenSize}, w.Score})
	}
	return tensors
}

// adapterConfig is PEFT's LoraConfig, of which it fills in what is left out.
type adapterConfig struct {
	PeftType      string   `json:"peft_type"`
	TaskType      string   `json:"task_type"`
	BaseModel     string   `json:"base_model_name_or_path"`
	Rank          int      `json:"r"`
	Alpha         float64  `json:"lora_alpha"`
	Dropout       float64  `json:"lora_dropout"`
	Bias          string   `json:"bias"`
	FanInFanOut   bool     `json:"fan_in_fan_out"`
	InferenceMode bool     `json:"inference_mode"`
	Targets       []string `json:"target_modules"`
	ModulesToSave []string `json:"modules_to_save"`
}

// SaveAdapter writes the adapters of w alone into a folder, in PEFT's layout, so that PEFT puts them on the model in the
// folder base. It is committed as a model is.
func SaveAdapter(ctx context.Context, path string, w *llama.Weights, base string) error {
	s, name, _, err := locate(path)
	if err != nil {
		return err
	}
	l := w.LoRA()
	config := adapterConfig{
		PeftType: "LORA", TaskType: "CAUSAL_LM", BaseModel: base, Rank: l.Rank, Alpha: l.Alpha, Bias: "none", InferenceMode: true, Targets: l.Projections(),
	}
	if w.IsClassifier() {
		config.TaskType, config.ModulesToSave = "SEQ_CLS", []string{"score"}
	}
	return commit(ctx, s, name, func(add adder) error {
		if err := add.addJSON(AdapterConfigName, config); err != nil {
			return err
		}
		return add(AdapterName, func(out io.Writer) error {
			return WriteTensors(ctx, out, AdapterTensors(w), F32, map[string]string{"format": "pt"})
		})
	})
}

package main

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem"
	"tandem/llama"
	"tandem/llama/checkpoint"
	"tandem/pipeline"
)

// With adapters a stage leaves an ordinary model, and beside it the adapters, which make that model of the one it began
// with. The plan and the lineage say how they are made.
func TestStagesWithAdapters(t *testing.T) {
	f := makeStageFiles(t)
	for _, stage := range []string{"ppo", "sft", "reward"} {
		t.Run(stage, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "made")
			args := append(f.command(stage, 3), "--lora-rank", "2", "--lora-targets", "q_proj,down_proj", "--learning-rate", "0.01", "--out", out, "--json")
			plan := object[pipeline.Plan](t, tandemRun(t, "", append(args, "--dry-run")...).ok(t))
			base, err := checkpoint.Load(t.Context(), f.policy)
			if err != nil {
				t.Fatal(err)
			}
			shape := base.Weights.Config
			n := shape.NumHiddenLayers * 2 * (2*shape.HiddenSize + shape.IntermediateSize + shape.HiddenSize)
			if stage == "reward" {
				n += shape.HiddenSize
			} else if stage == "ppo" && plan.Data["critic_trained_parameters"] != n+shape.HiddenSize {
				t.Errorf("the critic trains %d parameters, want %d", plan.Data["critic_trained_parameters"], n+shape.HiddenSize)
			}
			if plan.Data["trained_parameters"] != n {
				t.Errorf("%d parameters are trained, want %d", plan.Data["trained_parameters"], n)
			}
			for _, name := range []string{checkpoint.AdapterConfigName, checkpoint.AdapterName} {
				if path := filepath.Join(out, "adapter", name); !slices.Contains(plan.Writes, path) {
					t.Errorf("the plan does not write %s: %v", path, plan.Writes)
				}
			}
			m := object[tandem.Model](t, tandemRun(t, "", args...).ok(t))
			for _, want := range []string{`"lora_rank":2`, `"lora_alpha":16`, `"lora_targets":"q_proj,down_proj"`} {
				if !strings.Contains(string(m.Config), want) || !strings.Contains(string(plan.Config), want) {
					t.Errorf("the lineage lacks %s: %s", want, m.Config)
				}
			}
			made, err := checkpoint.Load(t.Context(), out)
			if err != nil {
				t.Fatal(err)
			}
			if stage == "reward" { // whose head and trunk's copy are new
				base.Weights = base.Weights.ToClassifier(rand.New(rand.NewPCG(1, 1)))
			}
			adapted := readAdapter(t, base.Weights, filepath.Join(out, "adapter"), f.policy)
			merged := adapted.Merged().Params()
			moved := 0
			for i, p := range made.Weights.Params() {
				if !slices.Equal(p.Data, merged[i].Data) {
					t.Errorf("%s is not the base's with the adapters", p.Name)
				}
				if !slices.Equal(p.Data, base.Weights.Params()[i].Data) {
					moved++
				}
			}
			want := 2 * shape.NumHiddenLayers
			if made.Weights.IsClassifier() {
				want++
			}
			if moved != want {
				t.Errorf("%d parameters have moved, want %d", moved, want)
			}
		})
	}
}

// readAdapter puts the adapters of a folder on the weights that they were trained on.
func readAdapter(t *testing.T, w *llama.Weights, folder, base string) *llama.Weights {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, checkpoint.AdapterConfigName))
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Base    string   `json:"base_model_name_or_path"`
		Rank    int      `json:"r"`
		Alpha   float64  `json:"lora_alpha"`
		Targets []string `json:"target_modules"`
	}
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	if config.Base != base {
		t.Errorf("the adapters are for %s, and were trained on %s", config.Base, base)
	}
	if w, err = w.Adapt(llama.LoRA{Rank: config.Rank, Alpha: config.Alpha, Targets: strings.Join(config.Targets, ",")}, rand.New(rand.NewPCG(1, 1))); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(folder, checkpoint.AdapterName))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	tensors, _, err := checkpoint.ReadTensors(f, info.Size(), folder)
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string][]float32)
	for _, tensor := range tensors {
		byName[tensor.Name] = tensor.Data
	}
	for _, tensor := range checkpoint.AdapterTensors(w) {
		copy(tensor.Data, byName[tensor.Name])
	}
	return w
}

// What cannot be adapted so is refused by the flag's name, before anything is written.
func TestStagesRefuseImpossibleAdapters(t *testing.T) {
	f := makeStageFiles(t)
	for _, c := range []struct {
		stage string
		flags []string
		want  string
	}{
		{"ppo", []string{"--lora-rank=-1"}, "lora-rank is -1"},
		{"ppo", []string{"--lora-rank", "2", "--lora-alpha=-3"}, "lora-alpha is -3"},
		{"ppo", []string{"--lora-rank", "2", "--lora-targets", "q_proj,lm_head"}, `lora-targets is "q_proj,lm_head"`},
		{"ppo", []string{"--lora-targets", "q_proj"}, "lora-rank is 0"},
		{"sft", []string{"--lora-alpha", "8"}, "lora-rank is 0"},
		{"reward", []string{"--lora-rank", "2", "--from-scratch"}, "from-scratch has nothing to adapt"},
		{"pretrain", []string{"--lora-rank", "2"}, "a new model has nothing to adapt"},
	} {
		out := filepath.Join(t.TempDir(), "made")
		r := tandemRun(t, "", append(append(f.command(c.stage, 2), "--out", out), c.flags...)...)
		if r.code != exitFailed || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%s %v: exit code %d, %s", c.stage, c.flags, r.code, r.stderr)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s %v: the run began", c.stage, c.flags)
		}
	}
}

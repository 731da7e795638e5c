package ppo

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"runtime"
	"testing"

	"tandem/internal/blas"
	"tandem/internal/parallel"
	"tandem/llama"
	"tandem/llama/nn"
	"tandem/llama/nn/kernel"
)

// What a preset makes of a run stays what it is, to the bit, however many options come beside it: a run that is
// interrupted is resumed by a later version. The hashes are of policy and critic after four iterations; whoever changes
// them on purpose says so in the commit.
func TestPresetsKeepTheirBits(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the hashes are of amd64's floating point: elsewhere the compiler fuses multiplications and additions")
	}
	library, err := blas.Load(blas.Options{Name: "gonum"})
	if err != nil {
		t.Fatal(err)
	}
	kernels, err := kernel.Select(kernel.Plain)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"llama2-7b":  "b9563a187ce8d661",
		"llama2-70b": "8e1ed873612bd507",
		"practice":   "12ef3ad262ab30fa",
	} {
		config, err := Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		config.Iterations, config.BatchSize, config.MinibatchSize, config.CriticWarmup = 4, 16, 8, 1
		config.MaxTokens, config.EvaluateEvery = 4, 2
		models := toyModels(4)
		trainer, err := NewTrainer(nn.NewCPU(library, kernels, parallel.New(2)), models, lively{toy{lengthReward}}, config, 2)
		if err != nil {
			t.Fatal(err)
		}
		if err := trainer.Run(t.Context(), nil, Observer{}); err != nil {
			t.Fatal(err)
		}
		if got := hashOf(models.Policy, models.Critic); got != want {
			t.Errorf("%s: the weights hash to %s, want %s", name, got, want)
		}
	}
}

func hashOf(all ...*llama.Weights) string {
	h := sha256.New()
	for _, w := range all {
		for _, p := range w.Params() {
			for _, x := range p.Data {
				h.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(x)))
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

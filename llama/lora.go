package llama

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"tandem"
	"tandem/internal/memory"
)

// LoRA says which matrices get low-rank adapters, and how large they are (Hu et al. 2021,
// https://arxiv.org/abs/2106.09685, section 4.1):
//
//	W' = W + Alpha/Rank · B·A,  A [Rank, in], B [out, Rank],
//
// with W frozen, and A and B trained. The zero value is full training.
type LoRA struct {
	// Rank of the adapters. Defaults to 0: no adapters, the weights themselves are trained.
	Rank int `json:"lora_rank,omitempty"`
	// Alpha over Rank is what adapters are weighed with. Defaults to 16, which 0 means.
	Alpha float64 `json:"lora_alpha,omitempty"`
	// Targets are the projections that are adapted: PEFT's names divided by commas. Defaults to AllLinear, which "" means.
	Targets string `json:"lora_targets,omitempty"`
}

// AllLinear adapts every projection of every layer.
const AllLinear = "all-linear"

// defaultAlpha is OpenRLHF's.
const defaultAlpha = 16

// WithDefaults says what the zero values mean; without a rank there is nothing to say.
func (l LoRA) WithDefaults() LoRA {
	if l.Rank == 0 {
		return l
	}
	if l.Alpha == 0 {
		l.Alpha = defaultAlpha
	}
	if l.Targets == "" {
		l.Targets = AllLinear
	}
	return l
}

// Validate reports the first field that makes no sense.
func (l LoRA) Validate() error {
	const op = "llama.LoRA"
	switch {
	case l.Rank < 0:
		return tandem.Errorf(tandem.Invalid, op, "lora-rank is %d, not 0 or more", l.Rank)
	case l.Rank == 0 && l != LoRA{}:
		return tandem.Errorf(tandem.Invalid, op, "lora-alpha is %g and lora-targets is %q, and lora-rank is 0, which adapts nothing", l.Alpha, l.Targets)
	case !(l.Alpha >= 0) || math.IsInf(l.Alpha, 1):
		return tandem.Errorf(tandem.Invalid, op, "lora-alpha is %g, not positive", l.Alpha)
	}
	if l.Targets == "" || l.Targets == AllLinear {
		return nil
	}
	if all := (LoRA{}).Projections(); len(l.Projections()) != len(strings.Split(l.Targets, ",")) {
		return tandem.Errorf(tandem.Invalid, op, "lora-targets is %q, not %s or some of %s, each once, divided by commas", l.Targets, AllLinear, strings.Join(all, ", "))
	}
	return nil
}

// Projections lists the projections that get adapters, in the order of a layer's.
func (l LoRA) Projections() []string {
	named := strings.Split(l.Targets, ",")
	var names []string
	for _, p := range (Config{}).projections() {
		if l.Targets == "" || l.Targets == AllLinear || slices.Contains(named, p.name) {
			names = append(names, p.name)
		}
	}
	return names
}

// Parameters counts those of the adapters of a model.
func (l LoRA) Parameters(c Config) int {
	n, targets := 0, l.Projections()
	for _, p := range c.projections() {
		if slices.Contains(targets, p.name) {
			n += c.NumHiddenLayers * l.Rank * (p.in + p.out)
		}
	}
	return n
}

// Adapter adds Scale · B·A to some rows of one of a layer's matrices.
type Adapter struct {
	Target string    // the projection that it adapts, as Hugging Face names it: "q_proj"
	Matrix string    // the matrix that holds it, as Params names it: "qkv"
	Row    int       // of the matrix, where the projection begins
	Rank   int       // r
	Scale  float64   // alpha / r
	A      []float32 // [r, in]
	B      []float32 // [out, r]
}

func (a Adapter) in() int  { return len(a.A) / a.Rank }
func (a Adapter) out() int { return len(a.B) / a.Rank }

// projection is where one of Hugging Face's matrices lies in a packed one.
type projection struct {
	name, matrix string
	row, out, in int
}

// projections are those that may be adapted, in the order of the layers' own.
func (c Config) projections() []projection {
	d, f, q, kv := c.HiddenSize, c.IntermediateSize, c.AttentionSize(), c.NumKeyValueHeads*c.HeadDim
	return []projection{
		{"q_proj", "qkv", 0, q, d}, {"k_proj", "qkv", q, kv, d}, {"v_proj", "qkv", q + kv, kv, d}, {"o_proj", "o", 0, d, q},
		{"gate_proj", "gate_up", 0, f, d}, {"up_proj", "gate_up", f, f, d}, {"down_proj", "down", 0, d, f},
	}
}

// matrix is one of the layer's matrices by its name.
func (l *Layer) matrix(name string) *[]float32 {
	switch name {
	case "qkv":
		return &l.QKV
	case "o":
		return &l.O
	case "gate_up":
		return &l.GateUp
	}
	return &l.Down
}

// Adapt returns weights with adapters, which alone are trained: everything else is w's own memory, read and never written,
// so that w goes on beside them as the model without adapters. A classifier's head, which is small, is copied and
// trained whole. A is drawn as PEFT draws it, uniformly within ±1/√in (Kaiming's rule for a = √5), and B is 0: at first
// the model is w's, to the bit.
func (w *Weights) Adapt(c LoRA, rng *rand.Rand) (*Weights, error) {
	const op = "llama.Adapt"
	c = c.WithDefaults()
	if err := c.Validate(); err != nil {
		return nil, err
	}
	switch {
	case c.Rank == 0:
		return nil, tandem.Errorf(tandem.Invalid, op, "adapters of rank 0")
	case w.lora.Rank > 0:
		return nil, tandem.Errorf(tandem.Conflict, op, "the weights have adapters already")
	}
	out := w.share()
	out.lora = c
	targets := c.Projections()
	for i := range out.Layers {
		for _, p := range w.Config.projections() {
			if !slices.Contains(targets, p.name) {
				continue
			}
			a := Adapter{
				Target: p.name, Matrix: p.matrix, Row: p.row, Rank: c.Rank, Scale: c.Alpha / float64(c.Rank),
				A: memory.Floats(c.Rank * p.in), B: memory.Floats(p.out * c.Rank),
			}
			bound := 1 / math.Sqrt(float64(p.in))
			for j := range a.A {
				a.A[j] = float32((2*rng.Float64() - 1) * bound)
			}
			out.Layers[i].Adapters = append(out.Layers[i].Adapters, a)
		}
	}
	return out, nil
}

// LoRA says how the weights' adapters were made; its Rank is 0 where there are none.
func (w *Weights) LoRA() LoRA { return w.lora }

// share returns weights over w's memory in which everything is frozen but copies of what is small: adapters and a head.
func (w *Weights) share() *Weights {
	out := &Weights{
		Config: w.Config, Embed: w.Embed, Layers: slices.Clone(w.Layers), Norm: w.Norm, Output: w.Output, Score: slices.Clone(w.Score),
		lora: w.lora, frozen: make(map[string]bool),
	}
	for _, p := range out.Params() {
		out.frozen[p.Name] = p.Name != "score"
	}
	for i := range out.Layers {
		adapters := slices.Clone(out.Layers[i].Adapters)
		for j, a := range adapters {
			adapters[j].A, adapters[j].B = slices.Clone(a.A), slices.Clone(a.B)
			out.frozen[layerPrefix(i)+a.Target+".lora_A"], out.frozen[layerPrefix(i)+a.Target+".lora_B"] = false, false
		}
		out.Layers[i].Adapters = adapters
	}
	return out
}

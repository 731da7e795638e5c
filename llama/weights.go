package llama

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"tandem/internal/memory"
)

// Weights are a model's parameters in float32, every matrix as [out, in] in row order, as Hugging Face
// stores them. Projections that read the same input are packed by concatenating their rows, so that one
// product serves them and a packed matrix is split for disk without a copy.
type Weights struct {
	Config Config
	Embed  []float32 // [vocab, d]
	Layers []Layer
	Norm   []float32 // [d]
	Output []float32 // [vocab, d]; the same slice as Embed when tied; nil for a classifier
	Score  []float32 // [1, d], the scalar head of a classifier; nil for a policy

	lora      LoRA            // how the layers' adapters were made; Rank 0 for none
	frozen    map[string]bool // names of parameters that training leaves alone
	gradients *Gradients      // made by the first graph
}

// Layer is one transformer block.
type Layer struct {
	AttentionNorm []float32 // [d]
	QKV           []float32 // [(h+2g)·e, d]: the rows of q_proj, k_proj and v_proj
	O             []float32 // [d, h·e]
	MLPNorm       []float32 // [d]
	GateUp        []float32 // [2f, d]: the rows of gate_proj and up_proj
	Down          []float32 // [d, f]
	Adapters      []Adapter // of these matrices; none unless Adapt made the weights
}

// Param is one tensor of Weights under a name that optimizer states, checkpoints and logs share.
type Param struct {
	Name  string // "layers.0.qkv"
	Shape []int
	Data  []float32
	Decay bool // weight decay applies: matrices yes, norm gains no
}

// NewWeights allocates zeroed weights. classifier gives them a scalar head in place of the output matrix.
func NewWeights(c Config, classifier bool) *Weights {
	d, f := c.HiddenSize, c.IntermediateSize
	w := &Weights{
		Config: c,
		Embed:  memory.Floats(c.VocabSize * d),
		Layers: make([]Layer, c.NumHiddenLayers),
		Norm:   memory.Floats(d),
	}
	for i := range w.Layers {
		w.Layers[i] = Layer{
			AttentionNorm: memory.Floats(d),
			QKV:           memory.Floats(c.QKVSize() * d),
			O:             memory.Floats(d * c.AttentionSize()),
			MLPNorm:       memory.Floats(d),
			GateUp:        memory.Floats(2 * f * d),
			Down:          memory.Floats(d * f),
		}
	}
	switch {
	case classifier:
		w.Score = memory.Floats(d)
	case c.TieWordEmbeddings:
		w.Output = w.Embed
	default:
		w.Output = memory.Floats(c.VocabSize * d)
	}
	return w
}

// IsClassifier reports whether w has a scalar head.
func (w *Weights) IsClassifier() bool { return w.Score != nil }

// Params lists every distinct tensor of w once, in a fixed order: the one list that the optimizer, the
// checkpoint and parameter counts go by. The slices are w's own.
func (w *Weights) Params() []Param {
	c := w.Config
	d, f := c.HiddenSize, c.IntermediateSize
	ps := []Param{{"embed", []int{c.VocabSize, d}, w.Embed, true}}
	for i, l := range w.Layers {
		name := layerPrefix(i)
		ps = append(ps,
			Param{name + "attention_norm", []int{d}, l.AttentionNorm, false},
			Param{name + "qkv", []int{c.QKVSize(), d}, l.QKV, true},
			Param{name + "o", []int{d, c.AttentionSize()}, l.O, true},
			Param{name + "mlp_norm", []int{d}, l.MLPNorm, false},
			Param{name + "gate_up", []int{2 * f, d}, l.GateUp, true},
			Param{name + "down", []int{d, f}, l.Down, true},
		)
		for _, a := range l.Adapters {
			ps = append(ps,
				Param{name + a.Target + ".lora_A", []int{a.Rank, a.in()}, a.A, true},
				Param{name + a.Target + ".lora_B", []int{a.out(), a.Rank}, a.B, true},
			)
		}
	}
	ps = append(ps, Param{"norm", []int{d}, w.Norm, false})
	switch {
	case w.IsClassifier():
		ps = append(ps, Param{"score", []int{1, d}, w.Score, true})
	case !c.TieWordEmbeddings:
		ps = append(ps, Param{"output", []int{c.VocabSize, d}, w.Output, true})
	}
	return ps
}

// Trained lists the parameters that training changes: all that are not frozen.
func (w *Weights) Trained() []Param {
	return slices.DeleteFunc(w.Params(), func(p Param) bool { return w.frozen[p.Name] })
}

// layerPrefix begins the names of a layer's parameters.
func layerPrefix(i int) string { return "layers." + strconv.Itoa(i) + "." }

// TrainedBytes is how much memory the parameters take that training changes.
func (w *Weights) TrainedBytes() (n int) {
	for _, p := range w.Trained() {
		n += 4 * len(p.Data)
	}
	return n
}

// Clone returns a copy of w that trains everything. One of adapted weights shares what they share, and trains what they
// train.
func (w *Weights) Clone() *Weights {
	if w.lora.Rank > 0 {
		return w.share()
	}
	out := NewWeights(w.Config, w.IsClassifier())
	from, to := w.Params(), out.Params()
	for i := range from {
		copy(to[i].Data, from[i].Data)
	}
	return out
}

// Init draws fresh weights as transformers does: matrices from N(0, 0.02²), gains 1, and a scalar head
// from N(0, 1/(d+1)) as in https://arxiv.org/abs/2009.01325, appendix C.1.
func (w *Weights) Init(rng *rand.Rand) {
	for _, p := range w.Params() {
		deviation := 0.02
		if p.Name == "score" {
			deviation = w.headDeviation()
		}
		for i := range p.Data {
			if p.Decay {
				p.Data[i] = float32(rng.NormFloat64() * deviation)
			} else {
				p.Data[i] = 1
			}
		}
	}
}

// InitHead draws a fresh scalar head.
func (w *Weights) InitHead(rng *rand.Rand) {
	for i := range w.Score {
		w.Score[i] = float32(rng.NormFloat64() * w.headDeviation())
	}
}

func (w *Weights) headDeviation() float64 { return 1 / math.Sqrt(float64(w.Config.HiddenSize+1)) }

// ToClassifier returns a classifier with a copy of w's trunk and a fresh scalar head: the way in which a
// reward model starts from the chat model's checkpoint (section 3.2.2). Adapters are merged.
func (w *Weights) ToClassifier(rng *rand.Rand) *Weights {
	w = w.Merged()
	out := NewWeights(w.Config, true)
	out.Init(rng)
	byName := make(map[string][]float32)
	for _, p := range w.Params() {
		byName[p.Name] = p.Data
	}
	for _, p := range out.Params() {
		if p.Name != "score" {
			copy(p.Data, byName[p.Name])
		}
	}
	return out
}

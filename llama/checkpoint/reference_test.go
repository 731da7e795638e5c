package checkpoint

import (
	"math"

	"tandem/llama"
)

// reference computes the model plainly, in float64 and straight from its equations, so that what Load
// gives can be held against golden values without any of the fast code. It returns a row of logits for
// every position, or a single score for a classifier.
func reference(w *llama.Weights, ids []int) [][]float64 {
	c := w.Config
	d, e, h, g := c.HiddenSize, c.HeadDim, c.NumAttentionHeads, c.NumKeyValueHeads
	x := make([][]float64, len(ids))
	for t, id := range ids {
		x[t] = widen(w.Embed[id*d : (id+1)*d])
	}
	for _, l := range w.Layers {
		qkv := make([][]float64, len(ids))
		for t := range ids {
			qkv[t] = product(l.QKV, rmsNorm(x[t], l.AttentionNorm, c.RMSNormEps))
			for head := range h + g {
				rotate(qkv[t][head*e:(head+1)*e], t, c)
			}
		}
		for t := range ids {
			mixed := make([]float64, h*e)
			for head := range h {
				q := qkv[t][head*e : (head+1)*e]
				key, value := (h+head/(h/g))*e, (h+g+head/(h/g))*e
				p, sum := make([]float64, t+1), 0.0
				for s := range p {
					p[s] = math.Exp(dot(q, qkv[s][key:key+e]) / math.Sqrt(float64(e)))
					sum += p[s]
				}
				for s := range p {
					for j := range e {
						mixed[head*e+j] += p[s] / sum * qkv[s][value+j]
					}
				}
			}
			add(x[t], product(l.O, mixed))
			both := product(l.GateUp, rmsNorm(x[t], l.MLPNorm, c.RMSNormEps))
			gate, up := both[:c.IntermediateSize], both[c.IntermediateSize:]
			for j, z := range gate {
				gate[j] = z / (1 + math.Exp(-z)) * up[j]
			}
			add(x[t], product(l.Down, gate))
		}
	}
	for t := range x {
		x[t] = rmsNorm(x[t], w.Norm, c.RMSNormEps)
	}
	if w.IsClassifier() {
		return [][]float64{product(w.Score, x[len(x)-1])}
	}
	for t := range x {
		x[t] = product(w.Output, x[t])
	}
	return x
}

// rotate applies the rotary embedding of a position to one head, pairing j with j + e/2.
func rotate(v []float64, position int, c llama.Config) {
	half := len(v) / 2
	for j := range half {
		f := math.Pow(c.RopeTheta, -float64(2*j)/float64(len(v)))
		if s := c.RopeScaling; s != nil {
			f = scaled(f, s)
		}
		sin, cos := math.Sincos(float64(position) * f)
		a, b := v[j], v[j+half]
		v[j], v[j+half] = a*cos-b*sin, b*cos+a*sin
	}
}

func scaled(f float64, s *llama.RopeScaling) float64 {
	if s.Type == "linear" {
		return f / s.Factor
	}
	turns := float64(s.OriginalMaxPosition) * f / (2 * math.Pi) // of the wave within the original context
	switch {
	case turns < s.LowFreqFactor:
		return f / s.Factor
	case turns > s.HighFreqFactor:
		return f
	}
	blend := (turns - s.LowFreqFactor) / (s.HighFreqFactor - s.LowFreqFactor)
	return (1-blend)*f/s.Factor + blend*f
}

func widen(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

func dot(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

func add(dst, x []float64) {
	for i := range dst {
		dst[i] += x[i]
	}
}

// product is w·x for a matrix w of len(x) columns.
func product(w []float32, x []float64) []float64 {
	out := make([]float64, len(w)/len(x))
	for i := range out {
		for j, v := range w[i*len(x) : (i+1)*len(x)] {
			out[i] += float64(v) * x[j]
		}
	}
	return out
}

func rmsNorm(x []float64, gain []float32, eps float64) []float64 {
	scale := 1 / math.Sqrt(dot(x, x)/float64(len(x))+eps)
	out := widen(gain)
	for i := range out {
		out[i] *= x[i] * scale
	}
	return out
}

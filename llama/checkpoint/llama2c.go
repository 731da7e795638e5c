package checkpoint

import (
	"context"
	"encoding/binary"
	"io"
	"os"

	"tandem"
	"tandem/llama"
)

// llama2.c's first format (https://github.com/karpathy/llama2.c, export.py legacy_export and run.c
// memory_map_weights): seven int32, then float32 tensors one kind after the other, each for all layers.
//
//	dim hidden_dim n_layers n_heads n_kv_heads vocab_size seq_len
//	token_embedding [vocab, d]
//	rms_att [L, d]  wq [L, h·e, d]  wk [L, g·e, d]  wv [L, g·e, d]  wo [L, d, h·e]
//	rms_ffn [L, d]  w1 [L, f, d]    w2 [L, d, f]    w3 [L, f, d]
//	rms_final [d]   freq_cis_real [seq, e/2]        freq_cis_imag [seq, e/2]
//	wcls [vocab, d], unless shared: a positive vocab_size says that it is the embedding
//
// Its rotary embedding turns neighbouring pairs, (2j, 2j+1); tandem, as Hugging Face, turns (j, j+e/2).
// The rows of wq and wk are moved accordingly, which leaves every attention score as it is.

// llama2cMagic begins the later versions of the format.
const llama2cMagic = 0x616b3432

// loadLlama2c reads a file of llama2.c's first format. Its tokenizer lies in another file.
func loadLlama2c(ctx context.Context, path string) (*Model, error) {
	const op = "checkpoint.Load"
	f, err := os.Open(path)
	if err != nil {
		return nil, tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	r := &llama2cReader{ctx: ctx, r: f, path: path, buffer: make([]byte, chunkBytes)}
	c, shared, err := r.header(info.Size())
	if err != nil {
		return nil, err
	}
	w := llama.NewWeights(c, false)
	d, f1, e := c.HiddenSize, c.IntermediateSize, c.HeadDim
	q, kv := c.NumAttentionHeads*e, c.NumKeyValueHeads*e
	interleaved := make([]float32, q*d)

	r.read("token_embedding", w.Embed)
	each := func(name string, part func(*llama.Layer) []float32) {
		for i := range w.Layers {
			r.read(name, part(&w.Layers[i]))
		}
	}
	// rotated reads the rows [from, to) of qkv, head by head, in the other order of their pairs.
	rotated := func(name string, from, to int) {
		for i := range w.Layers {
			r.read(name, interleaved[:(to-from)*d])
			for row := range to - from {
				head, j := row/e*e, row%e
				target := from + head + j/2 + j%2*(e/2)
				copy(w.Layers[i].QKV[target*d:(target+1)*d], interleaved[row*d:])
			}
		}
	}
	each("rms_att", func(l *llama.Layer) []float32 { return l.AttentionNorm })
	rotated("wq", 0, q)
	rotated("wk", q, q+kv)
	each("wv", func(l *llama.Layer) []float32 { return l.QKV[(q+kv)*d:] })
	each("wo", func(l *llama.Layer) []float32 { return l.O })
	each("rms_ffn", func(l *llama.Layer) []float32 { return l.MLPNorm })
	each("w1", func(l *llama.Layer) []float32 { return l.GateUp[:f1*d] })
	each("w2", func(l *llama.Layer) []float32 { return l.Down })
	each("w3", func(l *llama.Layer) []float32 { return l.GateUp[f1*d:] })
	r.read("rms_final", w.Norm)
	r.skip(2 * 4 * int64(c.MaxPositionEmbeddings) * int64(e/2))
	if !shared {
		r.read("wcls", w.Output)
	}
	if r.err != nil {
		return nil, r.err
	}
	return &Model{Weights: w, DType: F32, Path: path}, nil
}

// llama2cReader reads tensors until something fails, and keeps the error.
type llama2cReader struct {
	ctx    context.Context
	r      io.Reader
	path   string
	buffer []byte
	err    error
}

// header reads the configuration and holds the size of the file against it.
func (r *llama2cReader) header(size int64) (c llama.Config, shared bool, err error) {
	const op = "checkpoint.Load"
	var h [7]int32
	if err := binary.Read(r.r, binary.LittleEndian, &h); err != nil {
		return c, false, truncated(op, r.path, err)
	}
	if uint32(h[0]) == llama2cMagic {
		return c, false, tandem.Errorf(tandem.Unsupported, op, "%s has version %d of llama2.c's format; only the first, without a magic number, is read", r.path, h[1])
	}
	shared = h[5] > 0
	vocab := int(max(h[5], -h[5]))
	for _, n := range append(h[:5:5], int32(vocab), h[6]) {
		if n <= 0 || n > maxSize {
			return c, false, tandem.Errorf(tandem.Corrupt, op, "%s: %v is not the header of a llama2.c file", r.path, h)
		}
	}
	if h[0]%h[3] != 0 {
		return c, false, tandem.Errorf(tandem.Corrupt, op, "%s: dim %d is not a multiple of n_heads %d", r.path, h[0], h[3])
	}
	c = llama.Config{
		VocabSize: vocab, HiddenSize: int(h[0]), IntermediateSize: int(h[1]), NumHiddenLayers: int(h[2]),
		NumAttentionHeads: int(h[3]), NumKeyValueHeads: int(h[4]), HeadDim: int(h[0] / h[3]),
		MaxPositionEmbeddings: int(h[6]), RMSNormEps: 1e-5, RopeTheta: 10000, TieWordEmbeddings: shared,
		// Its training data have a BOS between texts, and its sampler ends at one.
		BOS: 1, EOS: []int{2, 1}, PAD: -1,
	}
	if err := c.Validate(); err != nil {
		return c, false, tandem.Errorf(tandem.CodeOf(err), op, "%s: %w", r.path, err)
	}
	// In floating point, since the product of the sizes in a wrong header may not fit an integer.
	d, f, e, layers := float64(c.HiddenSize), float64(c.IntermediateSize), float64(c.HeadDim), float64(c.NumHiddenLayers)
	need := float64(vocab)*d + layers*(2*d+d*float64(c.QKVSize())+d*float64(c.AttentionSize())+3*d*f) + d
	need += float64(c.MaxPositionEmbeddings) * e
	if !shared {
		need += float64(vocab) * d
	}
	if need = 4 * (7 + need); need != float64(size) {
		return c, false, tandem.Errorf(tandem.Corrupt, op, "%s has %d bytes, its header %v needs %.0f", r.path, size, h, need)
	}
	return c, shared, nil
}

func (r *llama2cReader) read(name string, dst []float32) {
	for done := 0; done < len(dst) && r.err == nil; {
		if r.err = r.ctx.Err(); r.err != nil {
			return
		}
		n := min(len(dst)-done, len(r.buffer)/4)
		if _, err := io.ReadFull(r.r, r.buffer[:4*n]); err != nil {
			r.err = truncated("checkpoint.Load", r.path, err)
			return
		}
		if bad := F32.decode(dst[done:done+n], r.buffer[:4*n]); bad >= 0 {
			r.err = tandem.Errorf(tandem.Invalid, "checkpoint.Load", "%s: tensor %s holds %v", r.path, name, dst[done+bad])
			return
		}
		done += n
	}
}

func (r *llama2cReader) skip(bytes int64) {
	if r.err != nil {
		return
	}
	if _, err := io.CopyN(io.Discard, r.r, bytes); err != nil {
		r.err = truncated("checkpoint.Load", r.path, err)
	}
}

package checkpoint

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem"
	"tandem/internal/sharedtest"
	"tandem/llama"
)

// llama2cFile writes weights as llama2.c's legacy_export does.
func llama2cFile(w *llama.Weights) []byte {
	c := w.Config
	d, f, e := c.HiddenSize, c.IntermediateSize, c.HeadDim
	q, kv := c.NumAttentionHeads*e, c.NumKeyValueHeads*e
	vocab := int32(c.VocabSize)
	if !c.TieWordEmbeddings {
		vocab = -vocab
	}
	var b bytes.Buffer
	put := func(x any) { _ = binary.Write(&b, binary.LittleEndian, x) } // a Buffer never fails
	put([]int32{int32(d), int32(f), int32(c.NumHiddenLayers), int32(c.NumAttentionHeads), int32(c.NumKeyValueHeads), vocab, int32(c.MaxPositionEmbeddings)})
	// interleave puts row j of a head at 2j, and row j + e/2 at 2j+1.
	interleave := func(rows []float32) {
		for head := range len(rows) / d / e {
			for j := range e {
				from := head*e + j/2 + j%2*(e/2)
				put(rows[from*d : (from+1)*d])
			}
		}
	}
	put(w.Embed)
	for _, part := range []func(l llama.Layer){
		func(l llama.Layer) { put(l.AttentionNorm) },
		func(l llama.Layer) { interleave(l.QKV[:q*d]) },
		func(l llama.Layer) { interleave(l.QKV[q*d : (q+kv)*d]) },
		func(l llama.Layer) { put(l.QKV[(q+kv)*d:]) },
		func(l llama.Layer) { put(l.O) },
		func(l llama.Layer) { put(l.MLPNorm) },
		func(l llama.Layer) { put(l.GateUp[:f*d]) },
		func(l llama.Layer) { put(l.Down) },
		func(l llama.Layer) { put(l.GateUp[f*d:]) },
	} {
		for _, l := range w.Layers {
			part(l)
		}
	}
	put(w.Norm)
	put(make([]float32, c.MaxPositionEmbeddings*e))
	if !c.TieWordEmbeddings {
		put(w.Output)
	}
	return b.Bytes()
}

func TestLlama2c(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "model.bin")
	c := tiny()
	c.HiddenSize, c.RopeTheta, c.EOS = 24, 10000, []int{2, 1} // d = h·e, as the format has no head_dim
	for _, c.TieWordEmbeddings = range []bool{false, true} {
		m := tinyModel(c, false, 1)
		put(t, path, llama2cFile(m.Weights))
		got, err := Load(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		equalWeights(t, got.Weights, m.Weights)
		// From there it goes on as a folder.
		dir := filepath.Join(t.TempDir(), "hf")
		if err := Save(ctx, dir, got, SaveOptions{}); err != nil {
			t.Fatal(err)
		}
		back, err := Load(ctx, dir)
		if err != nil {
			t.Fatal(err)
		}
		equalWeights(t, back.Weights, m.Weights)
		if !slices.Equal(back.Weights.Config.EOS, c.EOS) {
			t.Errorf("eos %v", back.Weights.Config.EOS)
		}
	}
}

func TestLlama2cRefuses(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	c := tiny()
	c.HiddenSize = 24
	good := llama2cFile(tinyModel(c, false, 1).Weights)
	with := func(at int, x uint32) []byte {
		b := slices.Clone(good)
		binary.LittleEndian.PutUint32(b[at:], x)
		return b
	}
	for name, test := range map[string]struct {
		file []byte
		code tandem.Code
		says string
	}{
		"empty":     {nil, tandem.Corrupt, "truncated"},
		"header":    {good[:20], tandem.Corrupt, "truncated"},
		"truncated": {good[:len(good)-4], tandem.Corrupt, "needs"},
		"longer":    {append(slices.Clone(good), 0), tandem.Corrupt, "needs"},
		"version 1": {with(0, llama2cMagic), tandem.Unsupported, "version"},
		"zero":      {with(8, 0), tandem.Corrupt, "header"},
		"huge":      {with(4, math.MaxInt32), tandem.Corrupt, "header"},
		"lowest":    {with(20, 1<<31), tandem.Corrupt, "header"},
		"heads":     {with(12, 5), tandem.Corrupt, "n_heads"},
		"kv heads":  {with(16, 3), tandem.Invalid, "num_key_value_heads"},
		"nan":       {with(28+4*24*11, math.Float32bits(float32(math.NaN()))), tandem.Invalid, "rms_att"},
		"text":      {[]byte(strings.Repeat("Once upon a time ", 100)), tandem.Corrupt, "header"},
	} {
		path := filepath.Join(dir, "model.bin")
		put(t, path, test.file)
		_, err := Load(ctx, path)
		if tandem.CodeOf(err) != test.code || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %s … %q", name, err, test.code, test.says)
		}
	}
	if _, err := Load(ctx, filepath.Join(dir, "none.bin")); tandem.CodeOf(err) != tandem.NotFound {
		t.Errorf("a file that is not there: %v", err)
	}
}

// greedy continues ids n times by the plain forward pass.
func greedy(w *llama.Weights, ids []int, n int) []int {
	for range n {
		rows := reference(w, ids)
		last := rows[len(rows)-1]
		ids = append(ids, slices.Index(last, slices.Max(last)))
	}
	return ids
}

// TestStories260K decodes the text that llama2.c's author publishes for this model.
func TestStories260K(t *testing.T) {
	m, err := Load(context.Background(), sharedtest.Path(t, "stories260K/stories260K.bin"))
	if err != nil {
		t.Fatal(err)
	}
	vocab := readVocab(t, sharedtest.Path(t, "stories260K/tok512.bin"), m.Weights.Config.VocabSize)
	var text strings.Builder
	for _, id := range greedy(m.Weights, []int{1}, 30)[1:] {
		text.WriteString(vocab[id])
	}
	const want = " Once upon a time, there was a little girl named Lily. She loved to"
	if !strings.HasPrefix(text.String(), want) {
		t.Errorf("%q, want %q", text.String(), want)
	}
}

// readVocab reads the pieces of a llama2.c tokenizer.
func readVocab(t *testing.T, path string, n int) []string {
	b := bytes.NewReader([]byte(read(t, path)))
	var longest, length int32
	var score float32
	pieces := make([]string, n)
	err := binary.Read(b, binary.LittleEndian, &longest)
	for i := 0; i < n && err == nil; i++ {
		if err = binary.Read(b, binary.LittleEndian, &score); err == nil {
			err = binary.Read(b, binary.LittleEndian, &length)
		}
		piece := make([]byte, length)
		if err == nil {
			_, err = b.Read(piece)
		}
		pieces[i] = string(piece)
	}
	if err != nil {
		t.Fatal(err)
	}
	return pieces
}

// TestTinyStories656K: a real model whose tied matrix is stored as lm_head.weight alone.
func TestTinyStories656K(t *testing.T) {
	m, err := Load(context.Background(), sharedtest.Path(t, "tinystories-656k"))
	if err != nil {
		t.Fatal(err)
	}
	want := []int{147, 201, 282, 215, 286, 598, 1662, 356, 499, 826, 1363, 1145, 1652, 615, 242, 1482, 951, 628, 499, 826}
	rows := reference(m.Weights, append([]int{1}, want...))
	for i, id := range want {
		if got := slices.Index(rows[i], slices.Max(rows[i])); got != id {
			t.Fatalf("greedy token %d is %d, want %d", i, got, id)
		}
	}
	if len(m.Files["tokenizer.json"]) == 0 || len(m.Files["tokenizer_config.json"]) == 0 {
		t.Error("the tokenizer's files are not there")
	}
}

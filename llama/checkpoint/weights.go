package checkpoint

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"tandem"
	"tandem/llama"
)

const (
	weightsName = "model.safetensors"
	indexName   = "model.safetensors.index.json"
	embedName   = "model.embed_tokens.weight"
	outputName  = "lm_head.weight"
)

// stored is a tensor of a model's files.
type stored struct {
	file string
	entry
}

// weightFiles lists the safetensors files of a model. For a sharded one it also gives the index's map
// from tensor to file.
func weightFiles(src *source) (files []string, index map[string]string, err error) {
	const op = "checkpoint.Load"
	switch {
	case src.has(weightsName):
		return []string{weightsName}, nil, nil
	case !src.has(indexName):
		for _, pickle := range []string{"pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.00.pth"} {
			if src.has(pickle) {
				return nil, nil, tandem.Errorf(tandem.Unsupported, op, "%s is a pickle, which is not read; save the model as safetensors", src.path(pickle))
			}
		}
		return nil, nil, tandem.Errorf(tandem.NotFound, op, "%s holds neither %s nor %s", src.where, weightsName, indexName)
	}
	text, err := src.readAll(indexName)
	if err != nil {
		return nil, nil, err
	}
	var shards struct {
		Map map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(text, &shards); err != nil {
		return nil, nil, tandem.Errorf(tandem.Corrupt, op, "%s: %w", src.path(indexName), err)
	}
	if len(shards.Map) == 0 {
		return nil, nil, tandem.Errorf(tandem.Corrupt, op, "%s has no weight_map", src.path(indexName))
	}
	for _, tensor := range slices.Sorted(maps.Keys(shards.Map)) {
		file := shards.Map[tensor]
		if !plainName(file) || !strings.HasSuffix(file, ".safetensors") {
			return nil, nil, tandem.Errorf(tandem.Invalid, op, "%s puts tensor %s in %q, which is not the name of a safetensors file beside it",
				src.path(indexName), quote(tensor), file)
		}
		if !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	slices.Sort(files)
	return files, shards.Map, nil
}

// storedTensors reads the headers of a model's files.
func storedTensors(ctx context.Context, src *source, files []string, index map[string]string) (map[string]stored, error) {
	const op = "checkpoint.Load"
	all := make(map[string]stored)
	for _, file := range files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, err := src.peek(file)
		if err != nil {
			return nil, err
		}
		for _, e := range h.entries {
			if other, twice := all[e.name]; twice {
				return nil, tandem.Errorf(tandem.Corrupt, op, "tensor %s is both in %s and in %s", quote(e.name), src.path(other.file), file)
			}
			all[e.name] = stored{file, e}
		}
	}
	for _, tensor := range slices.Sorted(maps.Keys(index)) {
		if s, ok := all[tensor]; !ok || s.file != index[tensor] {
			return nil, tandem.Errorf(tandem.Corrupt, op, "%s lacks tensor %s, which %s puts there", src.path(index[tensor]), quote(tensor), indexName)
		}
	}
	return all, nil
}

// loadWeights reads a model's weights, and the type of number in which they are stored. Everything is
// compared with the configuration before memory is allocated.
func loadWeights(ctx context.Context, src *source, c llama.Config, classifier bool) (*llama.Weights, DType, error) {
	const op = "checkpoint.Load"
	files, index, err := weightFiles(src)
	if err != nil {
		return nil, "", err
	}
	have, err := storedTensors(ctx, src, files, index)
	if err != nil {
		return nil, "", err
	}
	// Tied models store the matrix under either name or under both.
	embed := embedName
	_, hasEmbed := have[embedName]
	if _, hasOutput := have[outputName]; !classifier && c.TieWordEmbeddings && hasOutput && !hasEmbed {
		embed = outputName
	}
	dtype, expected := DType(""), make(map[string]bool)
	for s := range layout(c, classifier) {
		if s.name == embedName {
			s.name = embed
		}
		t, ok := have[s.name]
		if !ok {
			return nil, "", tandem.Errorf(tandem.Invalid, op, "%s: tensor %q is missing%s", src.where, s.name, missingHint(s.name))
		}
		if !slices.Equal(t.shape, s.shape) {
			return nil, "", tandem.Errorf(tandem.Invalid, op, "%s: tensor %q has shape %v, config.json wants %v", src.path(t.file), s.name, t.shape, s.shape)
		}
		if !t.dtype.readable() {
			return nil, "", tandem.Errorf(tandem.Unsupported, op, "%s: tensor %q holds numbers of type %s (F32, BF16 and F16 are supported)", src.path(t.file), s.name, t.dtype)
		}
		if expected[s.name] = true; dtype == "" || t.dtype == F32 {
			dtype = t.dtype
		}
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		twin := name == outputName && !classifier && c.TieWordEmbeddings
		if t := have[name]; twin && !slices.Equal(t.shape, []int{c.VocabSize, c.HiddenSize}) {
			return nil, "", tandem.Errorf(tandem.Invalid, op, "%s: tensor %q has shape %v, config.json wants %v", src.path(t.file), name, t.shape, []int{c.VocabSize, c.HiddenSize})
		} else if !expected[name] && !twin && ignored(name) == "" {
			return nil, "", tandem.Errorf(tandem.Unsupported, op, "%s: tensor %s has no place in this model", src.path(t.file), quote(name))
		}
	}

	w := llama.NewWeights(c, classifier)
	into := make(map[string][]float32)
	for _, t := range Tensors(w) {
		into[t.Name] = t.Data
	}
	var twin []float32
	if embed == outputName {
		into[outputName] = w.Embed
		delete(into, embedName)
	} else if _, both := have[outputName]; both && c.TieWordEmbeddings && !classifier {
		twin = make([]float32, len(w.Embed))
		into[outputName] = twin
	}
	for _, file := range files {
		if err := readInto(ctx, src, file, into); err != nil {
			return nil, "", err
		}
	}
	if twin != nil && !slices.EqualFunc(twin, w.Embed, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
		return nil, "", tandem.Errorf(tandem.Invalid, op, "%s: %s and %s differ, though config.json sets tie_word_embeddings", src.where, outputName, embedName)
	}
	return w, dtype, nil
}

// readInto fills the slices named in into from one file, and skips its other tensors.
func readInto(ctx context.Context, src *source, file string, into map[string][]float32) error {
	return src.stream(file, func(r io.Reader, size int64) error {
		where := src.path(file)
		h, err := readHeader(r, size, where)
		if err != nil {
			return err
		}
		return h.read(r, where, func(e entry) ([]float32, error) { return into[e.name], ctx.Err() })
	})
}

func missingHint(name string) string {
	switch name {
	case outputName:
		return ", and config.json does not set tie_word_embeddings"
	case "score.weight":
		return ": is it the folder of a policy?"
	}
	return ""
}

// addWeights writes a model's weights: one file, or shards of at most limit bytes each and an index. A
// tensor larger than the limit has a shard of its own.
func addWeights(ctx context.Context, add adder, w *llama.Weights, dtype DType, limit int64) error {
	tensors := Tensors(w.Merged())
	size := dtypeSizes[dtype]
	var shards [][]Tensor
	var total, room int64
	for _, t := range tensors {
		n := int64(len(t.Data)) * size
		total += n
		if len(shards) == 0 || n > room {
			shards, room = append(shards, nil), limit
		}
		shards[len(shards)-1] = append(shards[len(shards)-1], t)
		room -= n
	}
	write := func(file string, tensors []Tensor) error {
		return add(file, func(out io.Writer) error {
			return WriteTensors(ctx, out, tensors, dtype, map[string]string{"format": "pt"})
		})
	}
	if len(shards) == 1 {
		return write(weightsName, tensors)
	}
	files := make(map[string]string, len(tensors))
	for i, shard := range shards {
		file := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		for _, t := range shard {
			files[t.Name] = file
		}
		if err := write(file, shard); err != nil {
			return err
		}
	}
	return add.addJSON(indexName, map[string]any{
		"metadata":   map[string]int64{"total_size": total},
		"weight_map": files,
	})
}

package checkpoint

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem"
	"tandem/llama"
)

// foreign writes a model folder without a manifest, as other programs do, after edit has changed its
// tensors.
func foreign(t *testing.T, c llama.Config, classifier bool, edit func([]Tensor) []Tensor) string {
	t.Helper()
	dir, m := t.TempDir(), tinyModel(c, classifier, 1)
	text, err := json.Marshal(configJSON(m, F32))
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "config.json"), text)
	put(t, filepath.Join(dir, weightsName), encode(t, edit(Tensors(m.Weights))))
	return dir
}

func encode(t *testing.T, tensors []Tensor) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteTensors(context.Background(), &b, tensors, F32, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func put(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
}

func index(tensors []Tensor, name string) int {
	return slices.IndexFunc(tensors, func(t Tensor) bool { return t.Name == name })
}

// TestLoadRefuses: tensors that do not fit the configuration are named.
func TestLoadRefuses(t *testing.T) {
	untied, tied := tiny(), tiny()
	tied.TieWordEmbeddings = true
	const q = "model.layers.1.self_attn.q_proj.weight"
	for name, test := range map[string]struct {
		config     llama.Config
		classifier bool
		edit       func([]Tensor) []Tensor
		code       tandem.Code
		says       string
	}{
		"missing": {untied, false, func(ts []Tensor) []Tensor { return slices.Delete(ts, index(ts, q), index(ts, q)+1) },
			tandem.Invalid, q + `" is missing`},
		"no output": {untied, false, func(ts []Tensor) []Tensor { return ts[:len(ts)-1] }, tandem.Invalid, "tie_word_embeddings"},
		"no head":   {untied, true, func(ts []Tensor) []Tensor { return ts[:len(ts)-1] }, tandem.Invalid, "score.weight"},
		"shape": {untied, false, func(ts []Tensor) []Tensor {
			s := &ts[index(ts, q)].Shape
			*s = []int{(*s)[1], (*s)[0]}
			return ts
		}, tandem.Invalid, q + `" has shape [8 24], config.json wants [24 8]`},
		"bias": {untied, false, func(ts []Tensor) []Tensor {
			return append(ts, Tensor{"model.layers.0.self_attn.q_proj.bias", []int{1}, []float32{1}})
		}, tandem.Unsupported, "q_proj.bias"},
		"tied, two outputs": {tied, false, func(ts []Tensor) []Tensor {
			return append(ts, Tensor{outputName, ts[0].Shape, make([]float32, len(ts[0].Data))})
		}, tandem.Invalid, "differ"},
		"tied, misshapen output": {tied, false, func(ts []Tensor) []Tensor {
			return append(ts, Tensor{outputName, []int{1}, []float32{1}})
		}, tandem.Invalid, outputName},
	} {
		dir := foreign(t, test.config, test.classifier, test.edit)
		_, err := Load(context.Background(), dir)
		if tandem.CodeOf(err) != test.code || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, want %s … %q", name, err, test.code, test.says)
		}
	}
}

// TestLoadAccepts: the ways in which others store the same model.
func TestLoadAccepts(t *testing.T) {
	untied, tied := tiny(), tiny()
	tied.TieWordEmbeddings = true
	for name, test := range map[string]struct {
		config llama.Config
		edit   func([]Tensor) []Tensor
	}{
		"as it is": {untied, func(ts []Tensor) []Tensor { return ts }},
		"reversed": {untied, func(ts []Tensor) []Tensor { slices.Reverse(ts); return ts }},
		"rotary buffers": {untied, func(ts []Tensor) []Tensor {
			return append(ts, Tensor{"model.layers.0.self_attn.rotary_emb.inv_freq", []int{1}, []float32{1}})
		}},
		"tied, output alone":  {tied, func(ts []Tensor) []Tensor { ts[0].Name = outputName; return ts }},
		"tied, both the same": {tied, func(ts []Tensor) []Tensor { return append(ts, Tensor{outputName, ts[0].Shape, ts[0].Data}) }},
	} {
		m, err := Load(context.Background(), foreign(t, test.config, false, test.edit))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		equalWeights(t, m.Weights, tinyModel(test.config, false, 1).Weights)
		if m.Lineage != nil {
			t.Errorf("%s: a foreign model has the lineage %+v", name, m.Lineage)
		}
	}
}

// TestLoadRefusesFolders: what is wrong with a folder as a whole.
func TestLoadRefusesFolders(t *testing.T) {
	whole := func(ts []Tensor) []Tensor { return ts }
	for name, test := range map[string]struct {
		edit func(dir string)
		code tandem.Code
		says string
	}{
		"gone":               {func(dir string) { os.RemoveAll(dir) }, tandem.NotFound, "does not exist"},
		"no config":          {func(dir string) { os.Remove(dir + "/config.json") }, tandem.NotFound, "config.json"},
		"no weights":         {func(dir string) { os.Remove(dir + "/model.safetensors") }, tandem.NotFound, "neither model.safetensors nor"},
		"a pickle":           {func(dir string) { os.Rename(dir+"/model.safetensors", dir+"/pytorch_model.bin") }, tandem.Unsupported, "pytorch_model.bin"},
		"empty weights":      {func(dir string) { os.Truncate(dir+"/model.safetensors", 0) }, tandem.Corrupt, "model.safetensors: the file is empty"},
		"truncated weights":  {func(dir string) { os.Truncate(dir+"/model.safetensors", 9000) }, tandem.Corrupt, "model.safetensors: the file is truncated"},
		"empty config":       {func(dir string) { os.Truncate(dir+"/config.json", 0) }, tandem.Corrupt, "config.json"},
		"a huge config":      {func(dir string) { os.Truncate(dir+"/config.json", maxConfig+1) }, tandem.Invalid, "config.json has 4194305 bytes, more than"},
		"a folder as config": {func(dir string) { os.Remove(dir + "/config.json"); os.Mkdir(dir+"/config.json", 0o777) }, tandem.NotFound, "config.json"},
		"generation eos":     {func(dir string) { put(t, dir+"/generation_config.json", []byte(`{"eos_token_id": [2, 99]}`)) }, tandem.Invalid, "eos_token_id 99"},
		"lineage":            {func(dir string) { put(t, dir+"/tandem.json", []byte(`{"id": 3}`)) }, tandem.Corrupt, "tandem.json"},
		"manifest":           {func(dir string) { put(t, dir+"/manifest.json", []byte(`{}`)) }, tandem.Unsupported, "format 0"},
		"manifest elsewhere": {func(dir string) {
			put(t, dir+"/manifest.json", []byte(`{"format":1,"files":[{"name":"../config.json"}]}`))
		}, tandem.Corrupt, "../config.json"},
		"unlisted": {func(dir string) { put(t, dir+"/manifest.json", []byte(`{"format":1,"files":[]}`)) }, tandem.NotFound, "config.json"},
		"lost": {func(dir string) {
			put(t, dir+"/manifest.json", []byte(`{"format":1,"files":[{"name":"config.json"},{"name":"x"}]}`))
		}, tandem.Corrupt, "config.json"},
		"a thousand million layers": {func(dir string) {
			text := strings.Replace(read(t, dir+"/config.json"), `"num_hidden_layers":2`, `"num_hidden_layers":1000000`, 1)
			put(t, dir+"/config.json", []byte(strings.Replace(text, `"vocab_size":11`, `"vocab_size":1000000`, 1)))
		}, tandem.Invalid, "embed_tokens"},
	} {
		dir := foreign(t, tiny(), false, whole)
		test.edit(dir)
		_, err := Load(context.Background(), dir)
		if tandem.CodeOf(err) != test.code || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, want %s … %q", name, err, test.code, test.says)
		}
	}
	for _, path := range []string{"s3://bucket/model", "file://host/model", ""} {
		if _, err := Load(context.Background(), path); err == nil {
			t.Errorf("%q was accepted", path)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestShards: an index may name only safetensors files beside it, and every tensor must be where it says,
// once.
func TestShards(t *testing.T) {
	build := func(t *testing.T) (dir string, tensors []Tensor) {
		dir = foreign(t, tiny(), false, func(ts []Tensor) []Tensor { return ts })
		os.Remove(filepath.Join(dir, weightsName))
		tensors = Tensors(tinyModel(tiny(), false, 1).Weights)
		put(t, filepath.Join(dir, "a.safetensors"), encode(t, tensors[:5]))
		put(t, filepath.Join(dir, "b.safetensors"), encode(t, tensors[5:]))
		return dir, tensors
	}
	for name, test := range map[string]struct {
		edit func(dir string, files map[string]string)
		code tandem.Code
		says string
	}{
		"whole":       {func(string, map[string]string) {}, "", ""},
		"elsewhere":   {func(_ string, f map[string]string) { f[embedName] = "../a.safetensors" }, tandem.Invalid, `"../a.safetensors"`},
		"absolute":    {func(dir string, f map[string]string) { f[embedName] = dir + "/a.safetensors" }, tandem.Invalid, "/a.safetensors"},
		"backslash":   {func(_ string, f map[string]string) { f[embedName] = `..\a.safetensors` }, tandem.Invalid, embedName},
		"hidden":      {func(_ string, f map[string]string) { f[embedName] = ".safetensors" }, tandem.Invalid, embedName},
		"a pickle":    {func(_ string, f map[string]string) { f[embedName] = "a.bin" }, tandem.Invalid, "a.bin"},
		"wrong shard": {func(_ string, f map[string]string) { f[embedName] = "b.safetensors" }, tandem.Corrupt, embedName},
		"no shard":    {func(dir string, _ map[string]string) { os.Remove(dir + "/b.safetensors") }, tandem.Corrupt, "b.safetensors is missing"},
		"in both": {func(dir string, f map[string]string) {
			text := read(t, dir+"/a.safetensors")
			f["x"] = "c.safetensors"
			put(t, dir+"/c.safetensors", []byte(text))
		}, tandem.Corrupt, "is both in"},
		"empty": {func(_ string, f map[string]string) { clear(f) }, tandem.Corrupt, "no weight_map"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, tensors := build(t)
			files := make(map[string]string)
			for i, tensor := range tensors {
				files[tensor.Name] = map[bool]string{true: "a.safetensors", false: "b.safetensors"}[i < 5]
			}
			test.edit(dir, files)
			text, _ := json.Marshal(map[string]any{"weight_map": files})
			put(t, filepath.Join(dir, indexName), text)
			m, err := Load(context.Background(), dir)
			if tandem.CodeOf(err) != test.code || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Fatalf("%v, want %s … %q", err, test.code, test.says)
			}
			if err == nil {
				equalWeights(t, m.Weights, tinyModel(tiny(), false, 1).Weights)
			}
		})
	}
}

// TestSaveRefuses: a model that has diverged does not replace the one before it.
func TestSaveRefuses(t *testing.T) {
	ctx, dir := context.Background(), filepath.Join(t.TempDir(), "m")
	bad := tinyModel(tiny(), false, 2)
	bad.Weights.Layers[1].QKV[24*8] = float32(math.Inf(1)) // the first row of k_proj
	err := Save(ctx, dir, bad, SaveOptions{})
	if tandem.CodeOf(err) != tandem.Invalid || !strings.Contains(err.Error(), "model.layers.1.self_attn.k_proj.weight") {
		t.Errorf("saving an infinite weight: %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a folder is left")
	}
	good := tinyModel(tiny(), false, 1)
	if err := Save(ctx, dir, good, SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := Save(ctx, dir, bad, SaveOptions{}); err == nil {
		t.Error("an infinite weight was saved")
	}
	m, err := Load(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	equalWeights(t, m.Weights, good.Weights)
	// A model of somebody else's is not overwritten, a folder with other things in it is joined.
	theirs := foreign(t, tiny(), false, func(ts []Tensor) []Tensor { return ts })
	if err := Save(ctx, theirs, good, SaveOptions{}); tandem.CodeOf(err) != tandem.Conflict || !strings.Contains(err.Error(), theirs) {
		t.Errorf("overwriting a foreign model: %v", err)
	}
	damaged := filepath.Join(t.TempDir(), "m")
	save(t, damaged, 1)
	put(t, filepath.Join(damaged, manifestName), []byte("{"))
	if err := Save(ctx, damaged, good, SaveOptions{}); tandem.CodeOf(err) != tandem.Corrupt || !strings.Contains(err.Error(), manifestName) {
		t.Errorf("overwriting a model with a damaged manifest: %v", err)
	}
	mine := t.TempDir()
	put(t, filepath.Join(mine, "tokenizer.json"), []byte("mine"))
	if err := Save(ctx, mine, good, SaveOptions{}); tandem.CodeOf(err) != tandem.Conflict || !strings.Contains(err.Error(), "tokenizer.json") {
		t.Errorf("overwriting a tokenizer: %v", err)
	}
	if names := list(t, mine); !slices.Equal(names, []string{"tokenizer.json"}) || read(t, mine+"/tokenizer.json") != "mine" {
		t.Errorf("a refused save leaves %v", names)
	}
	notes := t.TempDir()
	put(t, filepath.Join(notes, "notes.txt"), []byte("mine"))
	if err := Save(ctx, notes, good, SaveOptions{MaxShardBytes: 1000}); err != nil {
		t.Fatal(err)
	}
	if err := Save(ctx, notes, good, SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	if names := list(t, notes); !slices.Equal(names, []string{"config.json", "generation_config.json", "manifest.json", "model.safetensors", "notes.txt", "tokenizer.json"}) {
		t.Errorf("after a sharded and a whole save the folder has %v", names)
	}
}

func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestFieldsKept: what tandem does not obey comes back, what would contradict the new model does not, and
// the tokens that end an answer are those of both files.
func TestFieldsKept(t *testing.T) {
	ctx := context.Background()
	dir := foreign(t, tiny(), false, func(ts []Tensor) []Tensor { return ts })
	var f map[string]any
	if err := json.Unmarshal([]byte(read(t, dir+"/config.json")), &f); err != nil {
		t.Fatal(err)
	}
	delete(f, "rope_theta")
	f["use_cache"], f["rope_parameters"], f["dtype"] = true, map[string]any{"rope_type": "default", "rope_theta": 7.0}, "bfloat16"
	text, _ := json.Marshal(f)
	put(t, dir+"/config.json", text)
	put(t, dir+"/generation_config.json", []byte(`{"eos_token_id": [4, 2], "temperature": 0.6}`))
	put(t, dir+"/LICENSE.txt", []byte("theirs"))
	m, err := Load(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	if err := Save(ctx, out, m, SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	config, generation := read(t, out+"/config.json"), read(t, out+"/generation_config.json")
	for _, want := range []string{`"use_cache": true`, `"rope_theta": 7.0`, `"torch_dtype": "float32"`} {
		if !strings.Contains(config, want) {
			t.Errorf("config.json lacks %s", want)
		}
	}
	if strings.Contains(config, "rope_parameters") || strings.Contains(config, `"dtype"`) || !strings.Contains(generation, `"temperature": 0.6`) {
		t.Errorf("config.json\n%s\ngeneration_config.json\n%s", config, generation)
	}
	if back, err := Load(ctx, out); err != nil || !slices.Equal(back.Weights.Config.EOS, []int{2, 4}) || string(back.Files["LICENSE.txt"]) != "theirs" {
		t.Errorf("%+v, %v", back, err)
	}
}

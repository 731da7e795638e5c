package checkpoint

import (
	"context"
	"encoding/json"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tandem"
	"tandem/llama"
)

// Model is a model folder in memory.
type Model struct {
	Weights *llama.Weights
	// Lineage is tandem.json; nil for a model that tandem has not made. Its URL is the folder that the
	// model was read from.
	Lineage *tandem.Model
	// Files are the small files beside the weights that a model derived from this one needs: the
	// tokenizer, the chat template, the licence. Save writes them.
	Files map[string][]byte
	// Fields are those of config.json and generation_config.json that tandem does not obey and that
	// change nothing in its results. Save writes them back.
	Fields Fields
	// DType is how the numbers were stored; in Weights they are float32.
	DType DType
	// Path is the folder or file that the model was read from.
	Path string
}

// Fields are the parts of a model's configuration files that only others read.
type Fields struct {
	Config     map[string]json.RawMessage
	Generation map[string]json.RawMessage
}

// SaveOptions say how a model is written. The zero value writes float32.
type SaveOptions struct {
	// DType of the numbers on disk. Rounding to BF16 or F16 loses what they cannot hold: a model that is
	// trained further is written as F32. Defaults to F32.
	DType DType
	// MaxShardBytes is the size above which the weights are split over several files. Defaults to 5 GB,
	// transformers' own.
	MaxShardBytes int64
}

// carried are the files that go with a model from folder to folder; those whose name begins with one of
// carriedPrefixes do too, since licences ask for it.
var (
	carried = []string{
		"tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
		"vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json",
		"prompt_head.json", // of a safety model (rewardmodel.PromptHeadFile)
	}
	carriedPrefixes = []string{"LICENSE", "LICENCE", "NOTICE", "USE_POLICY"}
)

// Load reads a model: a folder in the Hugging Face layout, or a file of llama2.c's first format. With a
// manifest every byte is checked as it is read; a folder without one is somebody else's and is taken as
// it is. path may be a file:// URL.
//
// Codes: NotFound for a path or file that is not there, Corrupt for bytes that are not what was written,
// Invalid for numbers that are not finite and for tensors that are missing or misshapen, Unsupported for
// what tandem does not run. The message names the file and the tensor or field.
func Load(ctx context.Context, path string) (*Model, error) {
	s, name, where, err := locate(path)
	if err != nil {
		return nil, err
	}
	if isFile(where) {
		if strings.HasSuffix(where, ".safetensors") {
			return nil, tandem.Errorf(tandem.Invalid, "checkpoint.Load", "%s holds weights without a configuration; name its folder", where)
		}
		return loadLlama2c(ctx, where)
	}
	m, err := LoadFrom(ctx, s, name)
	if err != nil {
		return nil, err
	}
	m.Path = where
	if m.Lineage != nil {
		m.Lineage.URL = where
	}
	return m, nil
}

// LoadFrom is Load for a checkpoint of a store.
func LoadFrom(ctx context.Context, s Store, name string) (*Model, error) {
	var m *Model
	err := reading(ctx, s, name, storePath(s, name), func(src *source) (err error) {
		m, err = loadModel(ctx, src)
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

func loadModel(ctx context.Context, src *source) (*Model, error) {
	const op = "checkpoint.Load"
	if !src.has("config.json") {
		return nil, tandem.Errorf(tandem.NotFound, op, "%s holds no model: config.json is not there", src.where)
	}
	text, err := src.readMost("config.json", maxConfig)
	if err != nil {
		return nil, err
	}
	c, classifier, err := ParseConfig(text)
	if err != nil {
		return nil, tandem.Errorf(tandem.CodeOf(err), op, "%s: %w", src.path("config.json"), err)
	}
	m := &Model{Files: make(map[string][]byte)}
	if m.Fields.Config, err = parseFields(text); err != nil {
		return nil, err
	}
	if src.has(generationName) && !classifier {
		if text, err = src.readMost(generationName, maxConfig); err != nil {
			return nil, err
		}
		if m.Fields.Generation, err = parseGeneration(text, &c); err != nil {
			return nil, tandem.Errorf(tandem.CodeOf(err), op, "%s: %w", src.path(generationName), err)
		}
	}
	if m.Weights, m.DType, err = loadWeights(ctx, src, c, classifier); err != nil {
		return nil, err
	}
	if m.Lineage, err = loadLineage(src); err != nil {
		return nil, err
	}
	names, err := src.names()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		keep := slices.Contains(carried, name)
		for _, prefix := range carriedPrefixes {
			keep = keep || strings.HasPrefix(name, prefix)
		}
		if keep {
			if m.Files[name], err = src.readAll(name); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

// Save writes a model's folder, and replaces the one that stands there if tandem wrote it: until the new
// one is whole, the old one is what Load reads. A folder with a model that tandem has not written is
// left alone, with code Conflict. Files in the folder that do not belong to the model stay. Adapters are merged into
// the matrices that are written.
//
// If the disk is full or anything else fails, the message names the path, and the partial files are
// removed.
func Save(ctx context.Context, path string, m *Model, o SaveOptions) error {
	s, name, _, err := locate(path)
	if err != nil {
		return err
	}
	return SaveTo(ctx, s, name, m, o)
}

// SaveTo is Save for a checkpoint of a store.
func SaveTo(ctx context.Context, s Store, name string, m *Model, o SaveOptions) error {
	const op = "checkpoint.Save"
	if o.DType == "" {
		o.DType = F32
	}
	if o.MaxShardBytes <= 0 {
		o.MaxShardBytes = 5_000_000_000
	}
	if err := m.Weights.Config.Validate(); err != nil {
		return err
	}
	return commit(ctx, s, name, func(add adder) error {
		if err := add.addJSON("config.json", configJSON(m, o.DType)); err != nil {
			return err
		}
		if !m.Weights.IsClassifier() {
			if err := add.addJSON(generationName, generationJSON(m)); err != nil {
				return err
			}
		}
		for _, file := range slices.Sorted(maps.Keys(m.Files)) {
			if !plainName(file) {
				return tandem.Errorf(tandem.Invalid, op, "%q cannot name a file beside a model", file)
			}
			if err := add.addBytes(file, m.Files[file]); err != nil {
				return err
			}
		}
		if m.Lineage != nil {
			if err := addLineage(add, *m.Lineage); err != nil {
				return err
			}
		}
		return addWeights(ctx, add, m.Weights, o.DType, o.MaxShardBytes)
	})
}

// locate finds the store and the name in it of a local path or file:// URL.
func locate(path string) (s Store, name, where string, err error) {
	if strings.Contains(path, "://") {
		u, err := url.Parse(path)
		if err != nil || u.Scheme != "file" || u.Host != "" && u.Host != "localhost" {
			return nil, "", "", tandem.Errorf(tandem.Unsupported, "checkpoint.locate", "%q is neither a local path nor a file:// URL", path)
		}
		path = filepath.FromSlash(u.Path)
	}
	if path == "" {
		return nil, "", "", tandem.Errorf(tandem.Invalid, "checkpoint.locate", "the model's path is empty")
	}
	where = filepath.Clean(path)
	return Folder(where), ".", where, nil
}

// isFile reports whether path is there and no folder.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// storePath names a checkpoint in messages: by its path where it has one.
func storePath(s Store, name string) string {
	if f, ok := s.(*folder); ok {
		return filepath.Join(f.root, filepath.FromSlash(name))
	}
	return name
}

// names lists the checkpoint's files, sorted.
func (s *source) names() ([]string, error) {
	var names []string
	if s.manifest != nil {
		for _, f := range s.manifest.Files {
			names = append(names, f.Name)
		}
		slices.Sort(names)
		return names, nil
	}
	entries, err := fs.ReadDir(s.files, ".")
	if err != nil {
		return nil, tandem.Errorf(tandem.Unavailable, "checkpoint.read", "%w", err)
	}
	for _, e := range entries {
		if s.has(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

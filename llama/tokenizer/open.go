package tokenizer

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tandem"
)

// maxFile bounds a tokenizer's files. Llama 3's tokenizer.json has 9 MB, Gemma's 33.
const maxFile = 256 << 20

// Open reads a model's tokenizer: a folder in the Hugging Face layout (tokenizer.json, else
// tokenizer.model, with what tokenizer_config.json says), or one such file. A file whose name ends in
// .json is a tokenizer.json, in .model a SentencePiece model, in .bin a tokenizer of llama2.c; the
// folder's other files beside it are read for the first two.
func Open(path string) (*Tokenizer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, tandem.Errorf(tandem.NotFound, op, "no tokenizer at %s: %w", path, err)
	}
	dir := path
	if info.IsDir() {
		if path, err = findIn(dir); err != nil {
			return nil, err
		}
	} else {
		dir = filepath.Dir(path)
	}
	name := filepath.Base(path)
	files := make(map[string][]byte)
	for _, n := range append([]string{name}, companions[:]...) {
		data, err := readFile(filepath.Join(dir, n))
		if errors.Is(err, fs.ErrNotExist) && n != name {
			continue
		}
		if err != nil {
			return nil, err
		}
		files[n] = data
	}
	t, err := parse(name, files)
	if err != nil {
		return nil, tandem.Errorf(tandem.CodeOf(err), "", "%s: %w", path, err)
	}
	return t, nil
}

// readFile reads a file of at most maxFile bytes.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, tandem.Errorf(tandem.NotFound, op, "cannot open %s: %w", path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, tandem.Errorf(tandem.Unavailable, op, "cannot read %s: %w", path, err)
	}
	if len(data) > maxFile {
		return nil, tandem.Errorf(tandem.Invalid, op, "%s has more than %d bytes", path, maxFile)
	}
	return data, nil
}

// Save writes the tokenizer's files, as they were read or as Train made them, into a folder that exists.
func (t *Tokenizer) Save(dir string) error {
	for name, data := range t.files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return tandem.Errorf(tandem.Unavailable, op, "cannot write %s: %w", path, err)
		}
	}
	return nil
}

// Files returns the tokenizer's files by name; they are not to be changed.
func (t *Tokenizer) Files() map[string][]byte { return t.files }

// Parse reads a tokenizer whose files are in memory, by name: tokenizer.json, else tokenizer.model, else
// one file in llama2.c's format, tok….bin; tokenizer_config.json and its companions beside them.
func Parse(files map[string][]byte) (*Tokenizer, error) {
	for _, name := range [...]string{"tokenizer.json", "tokenizer.model"} {
		if _, ok := files[name]; ok {
			return parseOwn(name, files)
		}
	}
	for name := range files {
		if ok, _ := filepath.Match("tok*.bin", name); ok {
			return parseOwn(name, files)
		}
	}
	return nil, tandem.Errorf(tandem.NotFound, op, "there is neither tokenizer.json nor tokenizer.model")
}

// parseOwn parses the file called name with its companions alone, which are what Save writes.
func parseOwn(name string, files map[string][]byte) (*Tokenizer, error) {
	own := map[string][]byte{name: files[name]}
	for _, n := range companions {
		if data, ok := files[n]; ok {
			own[n] = data
		}
	}
	return parse(name, own)
}

// findIn picks a folder's tokenizer file.
func findIn(dir string) (string, error) {
	for _, name := range []string{"tokenizer.json", "tokenizer.model"} {
		path := filepath.Join(dir, name)
		_, err := os.Stat(path)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", tandem.Errorf(tandem.Unavailable, op, "cannot read %s: %w", path, err)
		}
	}
	found, err := filepath.Glob(filepath.Join(dir, "tok*.bin"))
	if err == nil && len(found) == 1 {
		return found[0], nil
	}
	return "", tandem.Errorf(tandem.NotFound, op, "%s has neither tokenizer.json nor tokenizer.model", dir)
}

// parse reads the file called name, with its companions beside it.
func parse(name string, files map[string][]byte) (*Tokenizer, error) {
	data := files[name]
	if len(data) == 0 {
		return nil, tandem.Errorf(tandem.Invalid, op, "the file is empty")
	}
	if strings.HasSuffix(name, ".bin") {
		t, err := parseLlama2C(data)
		if err == nil {
			t.files = map[string][]byte{name: data}
		}
		return t, err
	}
	c, err := parseConfig(files)
	if err != nil {
		return nil, err
	}
	var t *Tokenizer
	switch {
	case strings.HasSuffix(name, ".model"):
		t, err = parseSentencePiece(data, c)
	case strings.HasSuffix(name, ".json"):
		t, err = parseHuggingFace(data, c.added)
	default:
		return nil, tandem.Errorf(tandem.Unsupported, op, "neither tokenizer.json, tokenizer.model nor a .bin of llama2.c")
	}
	if err != nil {
		return nil, err
	}
	t.files = files
	return t, c.apply(t)
}

package checkpoint

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"strings"

	"tandem"
)

// manifestName is the file whose presence makes a checkpoint exist.
const manifestName = "manifest.json"

// maxJSON bounds the JSON files that are read whole, in bytes: tokenizers of large vocabularies have
// some tens of millions.
const maxJSON = 1 << 28

// maxConfig bounds config.json and generation_config.json, in bytes: they have a few thousand.
const maxConfig = 1 << 22

// Manifest lists what a checkpoint consists of. It is written last.
type Manifest struct {
	Format int            `json:"format"` // 1
	Files  []ManifestFile `json:"files"`  // in the order in which they were written
}

// ManifestFile is one file of a checkpoint.
type ManifestFile struct {
	Name   string `json:"name"` // a plain name, without folders
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

// file finds a listed file by its name.
func (m *Manifest) file(name string) (ManifestFile, bool) {
	for _, f := range m.Files {
		if f.Name == name {
			return f, true
		}
	}
	return ManifestFile{}, false
}

// plainName reports whether name is a visible file directly in a folder, so that joining it to the
// folder's path cannot lead elsewhere.
func plainName(name string) bool {
	return fs.ValidPath(name) && !strings.ContainsAny(name, `/\:`+"\x00") && !strings.HasPrefix(name, ".")
}

// parseManifest reads and checks a manifest. where names it in errors.
func parseManifest(text []byte, where string) (*Manifest, error) {
	const op = "checkpoint.parseManifest"
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, tandem.Errorf(tandem.Corrupt, op, "%s: %w", where, err)
	}
	if m.Format != 1 {
		return nil, tandem.Errorf(tandem.Unsupported, op, "%s has format %d, this version reads 1", where, m.Format)
	}
	seen := map[string]bool{manifestName: true}
	for _, f := range m.Files {
		if !plainName(f.Name) || seen[f.Name] {
			return nil, tandem.Errorf(tandem.Corrupt, op, "%s lists the impossible file %q", where, f.Name)
		}
		seen[f.Name] = true
	}
	return &m, nil
}

// source reads the files of one checkpoint. With a manifest, only the files that it lists belong to the
// checkpoint, and each is compared with its size and SHA-256 as it is read; without one the folder is
// foreign, and every file counts as it is.
type source struct {
	files    fs.FS
	manifest *Manifest // nil for a foreign folder
	raw      []byte    // the manifest as it was when the source was opened
	where    string    // the folder, for errors
}

// reading opens a checkpoint of a store and lets use read it. A version that is committed meanwhile can
// make use fail, since its files replace those that were being read: then use is called again. The same version may have
// been there before and after others, so a fault is what is met twice in it.
func reading(ctx context.Context, s Store, name, where string, use func(*source) error) error {
	src, err := openSource(ctx, s, name, where)
	for again := false; err == nil; {
		if err = use(src); err == nil || ctx.Err() != nil {
			break
		}
		now, reopened := openSource(ctx, s, name, where)
		same := reopened == nil && bytes.Equal(now.raw, src.raw)
		if reopened != nil || same && again {
			break
		}
		src, err, again = now, nil, same
	}
	return err
}

// openSource opens a checkpoint of a store.
func openSource(ctx context.Context, s Store, name, where string) (*source, error) {
	files, err := s.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	src := &source{files: files, where: where}
	src.raw, err = readFile(files, manifestName, where)
	if tandem.CodeOf(err) == tandem.NotFound {
		return src, nil
	} else if err != nil {
		return nil, err
	}
	src.manifest, err = parseManifest(src.raw, where+"/"+manifestName)
	return src, err
}

// readFile reads a small file whole.
func readFile(files fs.FS, name, where string) ([]byte, error) {
	src := &source{files: files, where: where}
	return src.readAll(name)
}

// has reports whether the checkpoint has a file of this name.
func (s *source) has(name string) bool {
	if s.manifest != nil {
		_, ok := s.manifest.file(name)
		return ok
	}
	info, err := fs.Stat(s.files, name)
	return err == nil && info.Mode().IsRegular()
}

// path names a file of the checkpoint in messages.
func (s *source) path(name string) string { return s.where + "/" + name }

// readAll reads a file of at most maxJSON bytes.
func (s *source) readAll(name string) ([]byte, error) { return s.readMost(name, maxJSON) }

// readMost reads a file of at most so many bytes.
func (s *source) readMost(name string, most int64) (text []byte, err error) {
	err = s.stream(name, func(r io.Reader, size int64) error {
		if size > most {
			return tandem.Errorf(tandem.Invalid, "checkpoint.read", "%s has %d bytes, more than the %d that are read", s.path(name), size, most)
		}
		text = make([]byte, size)
		_, err := io.ReadFull(r, text)
		return err
	})
	return text, err
}

// stream lets use read a file, and then compares the whole of it with the manifest.
func (s *source) stream(name string, use func(r io.Reader, size int64) error) (err error) {
	const op = "checkpoint.read"
	info, err := fs.Stat(s.files, name) // before opening: opening a pipe would wait for ever
	if errors.Is(err, fs.ErrNotExist) {
		if s.manifest != nil {
			return tandem.Errorf(tandem.Corrupt, op, "%s is missing, though %s lists it", s.path(name), manifestName)
		}
		return tandem.Errorf(tandem.NotFound, op, "%s does not exist", s.path(name))
	} else if err != nil {
		return tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	if !info.Mode().IsRegular() {
		return tandem.Errorf(tandem.Invalid, op, "%s is not a regular file", s.path(name))
	}
	var listed ManifestFile
	if s.manifest != nil {
		listed, _ = s.manifest.file(name)
		if info.Size() != listed.Size {
			return tandem.Errorf(tandem.Corrupt, op, "%s has %d bytes, not the %d that %s lists", s.path(name), info.Size(), listed.Size, manifestName)
		}
	}
	f, err := s.files.Open(name)
	if err != nil {
		return tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	defer f.Close()
	if s.manifest == nil {
		return use(f, info.Size())
	}
	digest := sha256.New()
	r := io.TeeReader(f, digest)
	used := use(r, info.Size())
	if _, err := io.Copy(io.Discard, r); err != nil { // what use left
		return errors.Join(used, tandem.Errorf(tandem.Unavailable, op, "%w", err))
	}
	// A wrong digest explains whatever use may have found wrong.
	if got := hex.EncodeToString(digest.Sum(nil)); got != listed.SHA256 {
		return tandem.Errorf(tandem.Corrupt, op, "%s has changed since it was written: its SHA-256 is %s, not %s as %s says",
			s.path(name), got, listed.SHA256, manifestName)
	}
	return used
}

// Verify compares every file of a checkpoint with its manifest and names each that differs. A foreign
// folder, which has no manifest, is accepted, as is a single file; a nil manifest says that nothing was
// compared.
func Verify(ctx context.Context, path string) (*Manifest, error) {
	s, name, where, err := locate(path)
	if err != nil || isFile(where) {
		return nil, err
	}
	var m *Manifest
	err = reading(ctx, s, name, where, func(src *source) error {
		m = src.manifest
		if m == nil {
			return nil
		}
		var faults []error
		for _, f := range m.Files {
			if err := ctx.Err(); err != nil {
				return err
			}
			faults = append(faults, src.stream(f.Name, func(io.Reader, int64) error { return nil }))
		}
		return errors.Join(faults...)
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// peek reads the header of a safetensors file, and nothing of its tensors.
func (s *source) peek(name string) (h *header, err error) {
	unverified := &source{files: s.files, where: s.where}
	err = unverified.stream(name, func(r io.Reader, size int64) error {
		h, err = readHeader(r, size, s.path(name))
		return err
	})
	if tandem.CodeOf(err) == tandem.NotFound {
		return nil, tandem.Errorf(tandem.Corrupt, "checkpoint.read", "%s is missing", s.path(name))
	}
	return h, err
}

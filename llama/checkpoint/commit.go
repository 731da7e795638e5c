package checkpoint

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"slices"

	"tandem"
)

// adder adds one file to a checkpoint that is being written.
type adder func(name string, write func(io.Writer) error) error

// commit writes a checkpoint: fill adds the files, the manifest follows. If anything fails, what stood
// under the name before stands there still.
func commit(ctx context.Context, s Store, name string, fill func(add adder) error) error {
	return write(ctx, s, name, func(w Writer) (*Manifest, error) {
		m := &Manifest{Format: 1}
		return m, fill(m.adder(ctx, w))
	})
}

// amend replaces some files of a checkpoint and keeps the others, which are not read.
func amend(ctx context.Context, s Store, name string, fill func(add adder) error) error {
	return write(ctx, s, name, func(w Writer) (*Manifest, error) {
		src, err := openSource(ctx, s, name, storePath(s, name)) // what nobody can change until w is done
		if err != nil {
			return nil, err
		}
		if src.manifest == nil {
			return nil, tandem.Errorf(tandem.NotFound, "checkpoint.write", "%s holds no checkpoint: %s is not there", src.where, manifestName)
		}
		return src.manifest, fill(src.manifest.adder(ctx, w))
	})
}

// write lets fill write a checkpoint's files and commits them under the manifest that it returns.
func write(ctx context.Context, s Store, name string, fill func(Writer) (*Manifest, error)) (err error) {
	w, err := s.Create(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Abort()) }()
	m, err := fill(w)
	if err != nil {
		return err
	}
	return w.Commit(ctx, m)
}

// adder returns a function that writes a file through w and lists it in m.
func (m *Manifest) adder(ctx context.Context, w Writer) adder {
	return func(name string, write func(io.Writer) error) error {
		f, err := w.Create(name)
		if err != nil {
			return err
		}
		d := &digester{to: f, digest: sha256.New()}
		if err := write(d); err != nil {
			f.Close()
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		m.Files = slices.DeleteFunc(m.Files, func(f ManifestFile) bool { return f.Name == name })
		m.Files = append(m.Files, ManifestFile{name, d.size, hex.EncodeToString(d.digest.Sum(nil))})
		return ctx.Err()
	}
}

// addBytes adds a file of known content.
func (add adder) addBytes(name string, text []byte) error {
	return add(name, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// addJSON adds an indented JSON file.
func (add adder) addJSON(name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return tandem.Errorf(tandem.Invalid, "checkpoint.write", "%s: %w", name, err)
	}
	return add.addBytes(name, append(text, '\n'))
}

// digester counts and digests what passes to a file.
type digester struct {
	to     io.Writer
	digest hash.Hash
	size   int64
}

func (d *digester) Write(p []byte) (int, error) {
	n, err := d.to.Write(p)
	d.digest.Write(p[:n])
	d.size += int64(n)
	return n, err
}

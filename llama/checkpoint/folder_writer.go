package checkpoint

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gofrs/flock"

	"tandem"
)

// draftName is the manifest in the staging folder while it is being written.
const draftName = "manifest.draft"

// folderWriter writes one version of a checkpoint.
type folderWriter struct {
	store     *folder
	dir       string // the checkpoint's folder
	stage     string // dir/.staging
	lock      *flock.Flock
	made      []string // dir and folders above it that were not there before
	committed bool
}

// holds reports whether the file that w has locked is the one that others would lock: a writer that
// finishes removes it, and the lock of a removed file keeps nobody out.
func (w *folderWriter) holds() bool {
	held, err := w.lock.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(w.lock.Path())
	return err == nil && os.SameFile(held, there)
}

// take makes the staging folder and locks it. A reader that finishes the last commit holds the lock for a
// moment and takes the folder away, so a few failures are no conflict yet.
func (w *folderWriter) take(ctx context.Context) error {
	w.lock = flock.New(filepath.Join(w.stage, lockName))
	for wait := time.Millisecond; ; wait *= 2 {
		if err := w.store.change(w.stage, func() error { return os.MkdirAll(w.stage, 0o777) }); err != nil {
			return err
		}
		ok, err := w.lock.TryLock()
		if ok && w.holds() {
			return nil
		}
		if err := w.lock.Close(); err != nil {
			return tandem.Errorf(tandem.Unavailable, opFolder, "%w", err)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return tandem.Errorf(tandem.Unavailable, opFolder, "locking %s: %w", w.stage, err)
		}
		if wait > 500*time.Millisecond {
			return tandem.Errorf(tandem.Conflict, opFolder, "%s is being written by another process", w.dir)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

func (w *folderWriter) Create(file string) (io.WriteCloser, error) {
	if !plainName(file) || file == lockName || file == manifestName || file == draftName {
		return nil, tandem.Errorf(tandem.Invalid, opFolder, "%q cannot name a file of a checkpoint", file)
	}
	return w.create(file)
}

func (w *folderWriter) create(file string) (*durableFile, error) {
	path := filepath.Join(w.stage, file)
	d := &durableFile{store: w.store}
	return d, w.store.change(path, func() (err error) {
		d.File, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
		return err
	})
}

// durableFile is on disk when Close has returned nil.
type durableFile struct {
	*os.File
	store *folder
}

func (f *durableFile) Write(p []byte) (n int, err error) {
	err = f.store.change(f.Name(), func() error {
		n, err = f.File.Write(p)
		return err
	})
	return n, err
}

func (f *durableFile) Close() error {
	return errors.Join(f.store.change(f.Name(), f.Sync), f.File.Close())
}

func (w *folderWriter) Commit(ctx context.Context, m *Manifest) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.refuseOverwriting(m); err != nil {
		return err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return tandem.Errorf(tandem.Internal, opFolder, "%w", err)
	}
	f, err := w.create(draftName)
	if err != nil {
		return err
	}
	if _, err := f.Write(append(text, '\n')); err != nil {
		return errors.Join(err, f.File.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := w.rename(filepath.Join(w.stage, draftName), filepath.Join(w.stage, manifestName)); err != nil {
		return err
	}
	w.committed = true // from here on a crash ends in the new version
	if err := w.syncDir(w.stage); err != nil {
		return err
	}
	return w.move()
}

// refuseOverwriting keeps files that lie in the folder and belong to no version of the checkpoint.
func (w *folderWriter) refuseOverwriting(m *Manifest) error {
	listed, err := listedFiles(w.dir)
	if err != nil {
		return err
	}
	for _, f := range m.Files {
		path := filepath.Join(w.dir, f.Name)
		if _, err := os.Lstat(path); err == nil && !slices.Contains(listed, f.Name) {
			return tandem.Errorf(tandem.Conflict, opFolder, "%s was not written by tandem, and will not be overwritten", path)
		}
	}
	return nil
}

// move brings the committed version from the staging folder to its place. It may run again after a crash
// at any point: files that have moved are no longer found, and the manifest moves last.
func (w *folderWriter) move() error {
	staged := filepath.Join(w.stage, manifestName)
	text, err := os.ReadFile(staged)
	if err != nil {
		return tandem.Errorf(tandem.Unavailable, opFolder, "%w", err)
	}
	m, err := parseManifest(text, staged)
	if err != nil {
		return err
	}
	old, err := listedFiles(w.dir)
	if err != nil {
		return err
	}
	for _, f := range m.Files {
		from := filepath.Join(w.stage, f.Name)
		if _, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := w.rename(from, filepath.Join(w.dir, f.Name)); err != nil {
			return err
		}
	}
	for _, name := range old {
		if _, kept := m.file(name); kept {
			continue
		}
		path := filepath.Join(w.dir, name)
		if err := w.store.change(path, func() error { return removeIfThere(path) }); err != nil {
			return err
		}
	}
	if err := w.syncDir(w.dir); err != nil {
		return err
	}
	if err := w.rename(staged, filepath.Join(w.dir, manifestName)); err != nil {
		return err
	}
	for _, dir := range w.made {
		if err := w.syncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	return w.syncDir(w.dir)
}

func (w *folderWriter) Abort() error {
	var err error
	if _, unfinished := os.Stat(filepath.Join(w.stage, manifestName)); !w.committed || unfinished != nil {
		err = w.clear()
		if err == nil {
			// The lock's file goes while the lock is held, so that whoever opens it next makes a new one; then
			// the folder, unless somebody has.
			err = removeIfThere(w.lock.Path())
			os.Remove(w.stage)
		}
		for _, dir := range w.made {
			os.Remove(dir) // stays if anything lies in it
		}
	}
	if unlock := w.lock.Close(); err == nil && unlock != nil {
		err = tandem.Errorf(tandem.Unavailable, opFolder, "%w", unlock)
	}
	return err
}

// clear removes everything from the staging folder but the lock.
func (w *folderWriter) clear() error {
	entries, err := os.ReadDir(w.stage)
	if err != nil {
		return tandem.Errorf(tandem.Unavailable, opFolder, "%w", err)
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.Name() == lockName })
	for _, e := range entries {
		path := filepath.Join(w.stage, e.Name())
		if err := w.store.change(path, func() error { return os.Remove(path) }); err != nil {
			return err
		}
	}
	return nil
}

func (w *folderWriter) rename(from, to string) error {
	return w.store.change(to, func() error { return os.Rename(from, to) })
}

// syncDir makes the names in a folder durable.
func (w *folderWriter) syncDir(dir string) error {
	return w.store.change(dir, func() error {
		d, err := os.Open(dir)
		if err != nil {
			return err
		}
		return errors.Join(d.Sync(), d.Close())
	})
}

// removeIfThere removes a file or an empty folder.
func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

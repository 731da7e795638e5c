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

// replacedPrefix is put before the name of a file of the old version while it is removed.
const replacedPrefix = ".replaced-"

// folderWriter writes one version of a checkpoint.
type folderWriter struct {
	store     *folder
	dir       string // the checkpoint's folder
	stage     string // its own staging folder in it
	lock      *flock.Flock
	made      []string // dir and folders above it that were not there before
	committed bool
}

// holds reports whether a lock's file is the one that others would lock: a writer that finishes removes it,
// and the lock of a removed file keeps nobody out.
func holds(lock *flock.Flock) bool {
	held, err := lock.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(lock.Path())
	return err == nil && os.SameFile(held, there)
}

// take makes w the only writer of its folder. What writers left that died goes. One that lives goes on,
// unless ctx has a right that it cannot have. Of two that begin at once the one whose staging folder sorts
// first stays.
func (w *folderWriter) take(ctx context.Context) error {
	began := time.Now()
	for wait := time.Millisecond; ; wait *= 2 {
		other, err := w.tryTake(ctx)
		if err == nil && other == "" {
			return nil
		}
		if err != nil || other < w.stage || time.Since(began) > patience {
			err = errors.Join(err, w.Abort())
			w.stage = ""
		}
		switch {
		case err != nil:
			return err
		case time.Since(began) > patience:
			return tandem.Errorf(tandem.Conflict, opFolder, "%s is being written by another process", w.dir)
		}
		select {
		case <-ctx.Done():
			if w.stage == "" {
				return ctx.Err()
			}
			return errors.Join(ctx.Err(), w.Abort())
		case <-time.After(wait):
		}
	}
}

// tryTake returns the staging folder of another writer that lives, "" where there is none.
func (w *folderWriter) tryTake(ctx context.Context) (alive string, err error) {
	for w.stage == "" {
		if err := w.stake(); err != nil {
			return "", err
		}
	}
	stages, err := stagings(w.dir)
	if err != nil {
		return "", err
	}
	held, entitled := disputed(ctx)
	if entitled { // after the look: whoever is there now and has the right, has it later than this
		if err := held(ctx); err != nil {
			return "", err
		}
	}
	for _, stage := range stages {
		switch {
		case stage == w.stage:
		case entitled:
			if err := w.revoke(stage); err != nil {
				return "", err
			}
		default:
			lock := flock.New(filepath.Join(stage, lockName))
			ok, err := lock.TryLock()
			switch {
			case errors.Is(err, fs.ErrNotExist): // gone meanwhile
			case err != nil:
				return "", tandem.Errorf(tandem.Unavailable, opFolder, "locking %s: %w", stage, err)
			case !ok:
				return stage, nil
			case holds(lock):
				err = w.store.settle(w.dir, stage)
			}
			if err := errors.Join(err, lock.Close()); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
		}
	}
	return "", nil
}

// stake makes w's staging folder. It leaves it unmade where another writer took it for one that was left.
func (w *folderWriter) stake() error {
	if err := w.store.change(w.dir, func() error { return os.MkdirAll(w.dir, 0o777) }); err != nil {
		return err
	}
	var stage string
	err := w.store.change(filepath.Join(w.dir, stagingPrefix), func() (err error) {
		stage, err = os.MkdirTemp(w.dir, stagingPrefix+"*")
		return err
	})
	if errors.Is(err, fs.ErrNotExist) { // another writer that gave up has removed the folder
		return nil
	} else if err != nil {
		return err
	}
	lock := flock.New(filepath.Join(stage, lockName))
	ok, err := lock.TryLock()
	if ok && holds(lock) {
		w.stage, w.lock = stage, lock
		return nil
	}
	if err := errors.Join(err, lock.Close()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return tandem.Errorf(tandem.Unavailable, opFolder, "locking %s: %w", stage, err)
	}
	return nil
}

// revoke takes another writer's staging folder away, and settles what is in it.
func (w *folderWriter) revoke(stage string) error {
	taken := filepath.Join(w.stage, filepath.Base(stage))
	err := w.store.change(taken, func() error { return os.Rename(stage, taken) })
	if errors.Is(err, fs.ErrNotExist) { // that writer has finished
		return nil
	} else if err != nil {
		return err
	}
	return w.store.settle(w.dir, taken)
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
		// Not removed in its place: a writer whose staging folder was taken away must not remove a newer file.
		err := w.rename(filepath.Join(w.dir, name), filepath.Join(w.stage, replacedPrefix+name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
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
	if w.stage == "" { // no place was had
		for _, dir := range w.made {
			os.Remove(dir)
		}
		return nil
	}
	if _, unfinished := os.Stat(filepath.Join(w.stage, manifestName)); !w.committed || unfinished != nil {
		err = w.clear()
		for _, dir := range w.made {
			os.Remove(dir) // stays if anything lies in it
		}
	}
	if unlock := w.lock.Close(); err == nil && unlock != nil {
		err = tandem.Errorf(tandem.Unavailable, opFolder, "%w", unlock)
	}
	return err
}

// clear removes the staging folder, if it is still there. The lock goes last, while it is held: until then
// others see that somebody is at it.
func (w *folderWriter) clear() error {
	entries, err := os.ReadDir(w.stage)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return tandem.Errorf(tandem.Unavailable, opFolder, "%w", err)
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.Name() == lockName })
	for _, e := range entries {
		path := filepath.Join(w.stage, e.Name())
		if err := w.store.change(path, func() error { return removeIfThere(path) }); err != nil {
			return err
		}
	}
	if err := removeIfThere(filepath.Join(w.stage, lockName)); err != nil {
		return tandem.Errorf(tandem.Unavailable, opFolder, "%w", err)
	}
	os.Remove(w.stage) // stays if somebody has made a lock in it, who will find it left
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

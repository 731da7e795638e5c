package checkpoint

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"tandem"
)

// staging is the folder, inside a checkpoint's own, in which the next version is written. Its manifest is
// the moment of commit; only then are its files moved into the folder, the manifest last. A process that
// dies before leaves the old version as it was; one that dies later leaves a move that the next to open
// the folder finishes. Nothing is needed of the parent folder, which may be a mount's or someone else's,
// and files beside the checkpoint stay.
const (
	staging  = ".staging"
	lockName = "lock"
)

// Folder is a Store in a local folder, which need not exist yet.
func Folder(root string) Store { return &folder{root: root} }

type folder struct {
	root string
	// fault is called before every change to the disk, with the path; tests make it fail or stop the process.
	fault func(path string) error
}

const opFolder = "checkpoint.Folder"

// path is the folder of a checkpoint.
func (s *folder) path(name string) (string, error) {
	if !fs.ValidPath(name) || name != "." && strings.HasPrefix(name, ".") || strings.Contains(name, "/.") {
		return "", tandem.Errorf(tandem.Invalid, opFolder, "%q cannot name a checkpoint", name)
	}
	return filepath.Join(s.root, filepath.FromSlash(name)), nil
}

// change runs one change to the disk and names what could not be changed.
func (s *folder) change(path string, do func() error) error {
	if s.fault != nil {
		if err := s.fault(path); err != nil {
			return tandem.Errorf(tandem.Unavailable, opFolder, "%s: %w", path, err)
		}
	}
	if err := do(); err != nil { // the os package's errors name the path
		return tandem.Errorf(tandem.Unavailable, opFolder, "%w", err)
	}
	return nil
}

func (s *folder) Create(ctx context.Context, name string) (Writer, error) {
	dir, err := s.path(name)
	if err != nil {
		return nil, err
	}
	if err := s.finish(ctx, dir); err != nil {
		return nil, err
	}
	if err := refuseForeign(dir); err != nil {
		return nil, err
	}
	w := &folderWriter{store: s, dir: dir, stage: filepath.Join(dir, staging), made: missingFolders(dir)}
	if err := w.take(ctx); err != nil {
		return nil, err
	}
	// What a writer left that died before its commit.
	if err := w.clear(); err != nil {
		return nil, errors.Join(err, w.lock.Close())
	}
	return w, nil
}

// missingFolders lists dir and the folders above it that do not exist yet, the innermost first.
func missingFolders(dir string) (missing []string) {
	for {
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			return missing
		}
		missing = append(missing, dir)
		dir = filepath.Dir(dir)
	}
}

// refuseForeign keeps a model that tandem has not written from being overwritten, and one whose manifest
// can no longer be read, so that nobody could tell what belongs to it.
func refuseForeign(dir string) error {
	if listed, err := listedFiles(dir); err != nil || listed != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return tandem.Errorf(tandem.Unavailable, opFolder, "%w", err)
	}
	for _, e := range entries {
		if n := e.Name(); n == "config.json" || strings.HasSuffix(n, ".safetensors") || strings.HasSuffix(n, ".safetensors.index.json") {
			return tandem.Errorf(tandem.Conflict, opFolder, "%s holds a model that tandem has not written (%s, and no %s), and will not be overwritten", dir, n, manifestName)
		}
	}
	return nil
}

func (s *folder) Open(ctx context.Context, name string) (fs.FS, error) {
	dir, err := s.path(name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, tandem.Errorf(tandem.NotFound, opFolder, "%s does not exist", dir)
	case err != nil:
		return nil, tandem.Errorf(tandem.Unavailable, opFolder, "%w", err)
	case !info.IsDir():
		return nil, tandem.Errorf(tandem.Invalid, opFolder, "%s is not a folder", dir)
	}
	if err := s.finish(ctx, dir); err != nil {
		return nil, err
	}
	return os.DirFS(dir), nil
}

// finish completes a commit whose writer died while it moved the files, or waits for one that lives.
func (s *folder) finish(ctx context.Context, dir string) error {
	stage := filepath.Join(dir, staging)
	if _, err := os.Stat(filepath.Join(stage, manifestName)); err != nil {
		return nil
	}
	lock := flock.New(filepath.Join(stage, lockName))
	ok, err := lock.TryLockContext(ctx, 5*time.Millisecond)
	switch {
	case errors.Is(err, fs.ErrNotExist): // its writer has finished meanwhile
		return nil
	case err != nil || !ok:
		return tandem.Errorf(tandem.Unavailable, opFolder, "%s holds an unfinished commit, and locking it failed: %w", stage, err)
	}
	w := &folderWriter{store: s, dir: dir, stage: stage, lock: lock, committed: true}
	if !w.holds() { // likewise
		lock.Close()
		return nil
	}
	err = nil
	if _, missing := os.Stat(filepath.Join(stage, manifestName)); missing == nil {
		err = w.move()
	}
	return errors.Join(err, w.Abort())
}

func (s *folder) List(_ context.Context, under string) ([]string, error) {
	dir, err := s.path(under)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, tandem.Errorf(tandem.Unavailable, opFolder, "%w", err)
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		for _, m := range []string{manifestName, filepath.Join(staging, manifestName)} {
			if _, err := os.Stat(filepath.Join(dir, e.Name(), m)); err == nil {
				names = append(names, e.Name())
				break
			}
		}
	}
	return names, nil // os.ReadDir sorts
}

func (s *folder) Remove(ctx context.Context, name string) error {
	dir, err := s.path(name)
	if err != nil {
		return err
	}
	if err := s.finish(ctx, dir); err != nil {
		return err
	}
	listed, err := listedFiles(dir)
	if err != nil {
		return err
	}
	remove := append([]string{manifestName}, listed...)
	for _, f := range remove {
		path := filepath.Join(dir, f)
		if err := s.change(path, func() error { return removeIfThere(path) }); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, staging)); err != nil {
		return tandem.Errorf(tandem.Unavailable, opFolder, "%w", err)
	}
	os.Remove(dir) // stays if other files lie in it
	return nil
}

// listedFiles are the files of the committed version in a folder; nil if there is none.
func listedFiles(dir string) ([]string, error) {
	path := filepath.Join(dir, manifestName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, tandem.Errorf(tandem.Unavailable, opFolder, "%w", err)
	}
	m, err := parseManifest(text, path)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, f := range m.Files {
		names = append(names, f.Name)
	}
	return names, nil
}

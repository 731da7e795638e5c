package checkpoint

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"tandem"
)

// A staging folder, inside a checkpoint's own, is where a writer writes the next version. Its manifest is
// the moment of commit; only then are its files moved into the folder, the manifest last. A process that
// dies before leaves the old version as it was; one that dies later leaves a move that the next to open
// the folder finishes: the lock in a staging folder says whether its writer lives. Nothing is needed of the
// parent folder, which may be a mount's or someone else's, and files beside the checkpoint stay.
const (
	stagingPrefix = ".staging-"
	lockName      = "lock"
)

// patience is how long a writer waits for another one that lives, and a reader that has a right to write
// (see [WithRight]) for a commit to be finished.
const patience = time.Second

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
	w := &folderWriter{store: s, dir: dir, made: missingFolders(dir)}
	return w, w.take(ctx)
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

// stagings lists the staging folders in a checkpoint's.
func stagings(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, tandem.Errorf(tandem.Unavailable, opFolder, "%w", err)
	}
	var stages []string
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), stagingPrefix) {
			stages = append(stages, filepath.Join(dir, e.Name()))
		}
	}
	return stages, nil
}

// committed reports whether a commit waits in a staging folder to be finished, or in one that was taken away
// and lies in it.
func committed(stage string) bool {
	if _, err := os.Stat(filepath.Join(stage, manifestName)); err == nil {
		return true
	}
	taken, _ := filepath.Glob(filepath.Join(stage, stagingPrefix+"*", manifestName)) // the pattern is well formed
	return len(taken) > 0
}

// finish completes the commits whose writers died while they moved the files, or waits for those that live.
func (s *folder) finish(ctx context.Context, dir string) error {
	stages, err := stagings(dir)
	if err != nil {
		return err
	}
	for _, stage := range stages {
		if committed(stage) {
			if err := s.finishOne(ctx, dir, stage); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *folder) finishOne(ctx context.Context, dir, stage string) error {
	entitled := HasRight(ctx)
	waiting, cancel := ctx, context.CancelFunc(func() {})
	if entitled {
		waiting, cancel = context.WithTimeout(ctx, patience)
	}
	defer cancel()
	lock := flock.New(filepath.Join(stage, lockName))
	ok, err := lock.TryLockContext(waiting, 5*time.Millisecond)
	switch {
	case errors.Is(err, fs.ErrNotExist): // its writer has finished meanwhile
		return nil
	case ok && !holds(lock): // likewise
		return lock.Close()
	case ok:
		return errors.Join(s.settle(dir, stage), lock.Close())
	case entitled && ctx.Err() == nil: // its writer lives and does nothing
		w := &folderWriter{store: s, dir: dir}
		if err := w.take(ctx); err != nil {
			return err
		}
		return w.Abort()
	}
	return tandem.Errorf(tandem.Unavailable, opFolder, "%s holds an unfinished commit, and locking it failed: %w", stage, err)
}

// settle ends what a writer left that no longer writes: a commit is finished, anything else removed. So is
// what that writer had taken away from others.
func (s *folder) settle(dir, stage string) error {
	taken, err := stagings(stage)
	if err != nil {
		return err
	}
	for _, t := range taken {
		if err := s.settle(dir, t); err != nil {
			return err
		}
	}
	w := &folderWriter{store: s, dir: dir, stage: stage}
	if _, err := os.Stat(filepath.Join(stage, manifestName)); err == nil {
		if err := w.move(); err != nil {
			return err
		}
	}
	return w.clear()
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
		path := filepath.Join(dir, e.Name())
		stages, err := stagings(path)
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(filepath.Join(path, manifestName)); err == nil || slices.ContainsFunc(stages, committed) {
			names = append(names, e.Name())
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
	if err := HoldsRight(ctx); err != nil {
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
	stages, err := stagings(dir)
	if err != nil {
		return err
	}
	for _, stage := range stages {
		if err := os.RemoveAll(stage); err != nil {
			return tandem.Errorf(tandem.Unavailable, opFolder, "%w", err)
		}
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

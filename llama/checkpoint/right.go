package checkpoint

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"tandem"
)

// rightKey keys in a context the right to write.
type rightKey struct{}

// WithRight returns a context whose writes to checkpoints hold only as long as held returns nil. It is for
// workers that may be replaced, and may notice late: one that was stopped in the middle of a write still
// has its files open and its locks.
//
// Every writer has a staging folder of its own, and changes nothing but by renaming from there or to there.
// Who has the right takes the others' staging folders away, and from then on their renames fail, however
// late they come. Who has lost it finds out between making a staging folder and using it. So of two writers
// that both once had the right, the first either sees that it has lost it or has a folder that the second
// takes away.
func WithRight(ctx context.Context, held func(context.Context) error) context.Context {
	return context.WithValue(ctx, rightKey{}, held)
}

// disputed returns what says whether the context's right still holds; false where nobody disputes it.
func disputed(ctx context.Context) (held func(context.Context) error, ok bool) {
	held, ok = ctx.Value(rightKey{}).(func(context.Context) error)
	return held, ok
}

// HasRight reports whether ctx has a right to write that may be lost.
func HasRight(ctx context.Context) bool {
	_, ok := disputed(ctx)
	return ok
}

// HoldsRight returns an error where ctx once had a right to write and has lost it.
func HoldsRight(ctx context.Context) error {
	if held, ok := disputed(ctx); ok {
		return held(ctx)
	}
	return nil
}

// TakeOver ends what others were writing to the checkpoints in a folder and in those below it: what they
// had committed is finished, the rest is removed. Without a right, see [WithRight], it does nothing.
func TakeOver(ctx context.Context, root string) error {
	if !HasRight(ctx) {
		return nil
	}
	var dirs []string
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // as yet, or no longer
			return nil
		case err != nil || !e.IsDir() || !strings.HasPrefix(e.Name(), stagingPrefix):
			return err
		}
		dirs = append(dirs, filepath.Dir(path))
		return fs.SkipDir
	})
	if err != nil {
		return tandem.Errorf(tandem.Unavailable, opFolder, "%w", err)
	}
	for _, dir := range dirs {
		w := &folderWriter{store: &folder{root: root}, dir: dir}
		if err := w.take(ctx); err != nil {
			return err
		}
		if err := w.Abort(); err != nil {
			return err
		}
	}
	return nil
}

package checkpoint

import (
	"context"
	"io"
	"io/fs"
)

// Store keeps checkpoints under slash-separated names; "." is the store's own root. A checkpoint is a set
// of files that exists from the moment when its manifest does: until then nobody sees it, and whatever
// stood under its name stays. A folder on disk is a Store, see [Folder]. An object store, which has no
// rename, can be one too: it puts the files first and the manifest last.
type Store interface {
	// Create begins a checkpoint. If another process is writing one of this name, or if under it stand
	// files that tandem has not written and would overwrite, the code is Conflict.
	Create(ctx context.Context, name string) (Writer, error)
	// Open gives the files of a checkpoint to read. NotFound if there are none.
	Open(ctx context.Context, name string) (fs.FS, error)
	// List gives the names, sorted, of the committed checkpoints directly under a name.
	List(ctx context.Context, under string) ([]string, error)
	// Remove deletes a checkpoint's files, its manifest first, and nothing else that lies beside them.
	Remove(ctx context.Context, name string) error
}

// Writer takes the files of one checkpoint. One goroutine uses it.
type Writer interface {
	// Create begins a file of a plain name. Its content is durable when Close has returned nil.
	Create(file string) (io.WriteCloser, error)
	// Commit stores the manifest, which makes the checkpoint exist. Every file must have been closed. Files
	// that the manifest lists and that were not created stay as the version before has them.
	Commit(ctx context.Context, m *Manifest) error
	// Abort takes back what was not committed. After Commit it does nothing but release the name.
	Abort() error
}

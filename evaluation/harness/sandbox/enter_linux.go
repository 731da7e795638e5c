package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// entry says how the first process of a sandbox makes its surroundings, and what it then becomes.
type entry struct {
	Root   string   // an empty folder
	Mounts []string // to be seen, read-only
	Disk   int64
	Switch bool // from root to nobody
	Args   []string
}

// enterName is the name by which this executable, whatever it is, knows that it is to be a sandbox's first process.
const enterName = "tandem-sandbox"

// init takes the process over before anything else of it runs, in every program that can run sandboxes: one that did not, say a
// test's, would start itself again and again.
func init() {
	if len(os.Args) == 2 && os.Args[0] == enterName {
		err := enter(os.Args[1])
		fmt.Fprintln(os.NewFile(3, "report"), err) // nobody else is there to tell
		os.Exit(1)
	}
}

// enter lays out the files, gives up all rights and becomes the interpreter. It returns only if it fails.
func enter(spec string) error {
	runtime.LockOSThread()
	var e entry
	if err := json.Unmarshal([]byte(spec), &e); err != nil {
		return err
	}
	if err := e.layOut(); err != nil {
		return err
	}
	if err := e.giveUp(); err != nil {
		return err
	}
	return fmt.Errorf("start %s: %w", e.Args[0], syscall.Exec(e.Args[0], e.Args, nil))
}

// layOut makes a file system in memory the root: what may be seen of the machine's files lies in it read-only, and beside it an
// empty folder to write to.
func (e entry) layOut() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("part with the machine's mounts: %w", err)
	}
	if err := unix.Mount("tmpfs", e.Root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=1m,mode=0755"); err != nil {
		return fmt.Errorf("mount a root: %w", err)
	}
	for _, path := range e.Mounts {
		if err := e.show(path, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV); err != nil {
			return err
		}
	}
	for _, device := range []string{"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"} {
		if err := e.show(device, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC); err != nil {
			return err
		}
	}
	work := filepath.Join(e.Root, "work")
	if err := os.Mkdir(work, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", work, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("size=%d,nr_inodes=1024,mode=0777", e.Disk)); err != nil {
		return fmt.Errorf("mount a folder to work in: %w", err)
	}
	if err := unix.MountSetattr(unix.AT_FDCWD, e.Root, 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		return fmt.Errorf("make the root read-only: %w", err)
	}
	if err := unix.Chdir(e.Root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil { // the old one, which lies over the new one
		return fmt.Errorf("leave the old root: %w", err)
	}
	if err := unix.Sethostname([]byte("sandbox")); err != nil {
		return fmt.Errorf("change the host's name: %w", err)
	}
	return unix.Chdir("/work")
}

// show makes a path of the machine, where there is such, one of the new root. A symbolic link is made again.
func (e entry) show(path string, attributes uint64) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	at := filepath.Join(e.Root, path)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	switch {
	case info.Mode()&os.ModeSymlink != 0:
		to, err := os.Readlink(path)
		if err != nil {
			return err
		}
		return os.Symlink(to, at)
	case info.IsDir():
		err = os.MkdirAll(at, 0o755)
	default:
		err = os.WriteFile(at, nil, 0o644)
	}
	if err != nil {
		return err
	}
	if err := unix.Mount(path, at, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("show %s: %w", path, err)
	}
	if err := unix.MountSetattr(unix.AT_FDCWD, at, unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: attributes}); err != nil {
		return fmt.Errorf("make %s read-only (this needs Linux 5.12): %w", path, err)
	}
	return nil
}

// giveUp leaves the process without rights: those within its namespaces go when it becomes a program as nobody.
func (e entry) giveUp() error {
	if e.Switch {
		if err := syscall.Setgroups(nil); err != nil {
			return fmt.Errorf("leave root's groups: %w", err)
		}
		if err := syscall.Setgid(nobody); err != nil {
			return fmt.Errorf("leave root's group: %w", err)
		}
		if err := syscall.Setuid(nobody); err != nil {
			return fmt.Errorf("leave root: %w", err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("give up capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up privileges for good: %w", err)
	}
	// A change of the user has cleared what ends this process with its parent.
	return unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGKILL), 0, 0, 0)
}

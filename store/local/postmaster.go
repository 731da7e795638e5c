package local

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"tandem"
)

// postmaster is what a running server writes about itself in its data folder.
type postmaster struct {
	pid    int
	socket string // folder
	status string // "starting", "ready", "stopping"; empty very early
}

// readPostmaster reads postmaster.pid in data. It returns nil where no server runs: no file, or one that
// a machine or a server left when it fell.
func readPostmaster(data string) (*postmaster, error) {
	file := filepath.Join(data, "postmaster.pid")
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, tandem.Errorf(tandem.Unavailable, "local.Start", "%w", err)
	}
	// pid, data folder, start time, port, socket folder, listen address, shared memory, status
	lines := strings.Split(string(content), "\n")
	line := func(i int) string {
		if i < len(lines) {
			return strings.TrimSpace(lines[i])
		}
		return ""
	}
	pid, err := strconv.Atoi(line(0))
	if err != nil || !isServer(pid) {
		return nil, nil
	}
	return &postmaster{pid: pid, socket: line(4), status: line(7)}, nil
}

// isServer reports whether pid is a live Postgres server. A pid alone proves nothing: the number may
// have passed to another program since.
func isServer(pid int) bool {
	if pid <= 1 {
		return false
	}
	if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
		return false
	}
	if stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err == nil {
		// "PID (postgres) S …"; a zombie's state is Z.
		_, rest, _ := strings.Cut(string(stat), "(")
		name, state, _ := strings.Cut(rest, ") ")
		return name == "postgres" && !strings.HasPrefix(state, "Z")
	}
	out, err := exec.Command("ps", "-o", "comm=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.HasPrefix(filepath.Base(strings.TrimSpace(string(out))), "postgres")
}

// clearFallen removes the files of a server that fell, and returns the socket folder that it used where
// that still stands: connections that were made before find the next server there. The caller holds the
// lock and has seen that no server runs.
func (c cluster) clearFallen() (socketFolder string) {
	file := filepath.Join(c.data(), "postmaster.pid")
	content, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	_ = os.Remove(file) // Postgres judges for itself what it finds
	lines := strings.Split(string(content), "\n")
	if len(lines) <= 4 {
		return ""
	}
	folder := strings.TrimSpace(lines[4])
	// The folder lies where others may write: it must still be the one that we made.
	info, err := os.Lstat(folder)
	if err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 || int(info.Sys().(*syscall.Stat_t).Uid) != c.uid {
		return ""
	}
	_ = os.Remove(socketPath(folder))
	_ = os.Remove(socketPath(folder) + ".lock")
	return folder
}

// removeSocketFolder removes a folder that makeSocketFolder made, after its server is gone.
func removeSocketFolder(folder string) {
	if !strings.HasPrefix(filepath.Base(folder), "tandem-") {
		return
	}
	_ = os.Remove(socketPath(folder))
	_ = os.Remove(socketPath(folder) + ".lock")
	_ = os.Remove(folder) // fails, rightly, if anything else lies in it
}

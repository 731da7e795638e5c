package local

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"tandem"
)

// port names the socket's file, .s.PGSQL.PORT; nothing listens on TCP.
const port = 5432

// socketPathLimit is the longest path that a Unix socket can have, in bytes (sockaddr_un without its NUL).
func socketPathLimit() int {
	if runtime.GOOS == "linux" {
		return 107
	}
	return 103
}

func socketPath(folder string) string {
	return filepath.Join(folder, ".s.PGSQL."+strconv.Itoa(port))
}

// makeSocketFolder makes a fresh folder for the server's socket, closed to all but a, in the first of
// bases that a can enter and whose path leaves room for the socket's name.
func makeSocketFolder(a account, bases []string) (string, error) {
	const op = "local.Start"
	var refused error
	for _, base := range bases {
		if info, err := os.Stat(base); err != nil || !info.IsDir() {
			continue
		}
		if err := a.reaches(base); err != nil {
			refused = err
			continue
		}
		folder, err := os.MkdirTemp(base, "tandem-") // 0700, and its name cannot be taken in advance
		if err != nil {
			refused = tandem.Errorf(tandem.Unavailable, op, "a folder for the Postgres socket: %w", err)
			continue
		}
		if socket := socketPath(folder); len(socket) > socketPathLimit() {
			_ = os.Remove(folder)
			refused = tandem.Errorf(tandem.Invalid, op,
				"the socket path %s has %d bytes and the system allows %d: set TMPDIR to a shorter folder", socket, len(socket), socketPathLimit())
			continue
		}
		if err := a.own(folder); err != nil {
			_ = os.Remove(folder)
			return "", tandem.Errorf(tandem.Unavailable, op, "a folder for the Postgres socket: %w", err)
		}
		return folder, nil
	}
	if refused == nil {
		refused = tandem.Errorf(tandem.Unavailable, op, "none of %v is a folder in which the Postgres socket could lie", bases)
	}
	return "", refused
}

// socketBases lists where a socket's folder may be made, the best first.
func socketBases(a account, getenv func(string) string) []string {
	var bases []string
	if !a.switched { // root's own runtime folder is closed to the server's user
		if runtime := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(runtime) {
			bases = append(bases, runtime)
		}
		bases = append(bases, "/run/user/"+strconv.Itoa(a.uid))
	}
	return append(bases, os.TempDir(), "/tmp")
}

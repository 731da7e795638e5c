package local

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tandem"
)

// minimumMajor is the oldest Postgres that the schema is written for.
const minimumMajor = 14

// binaries is one installation of Postgres: a folder that holds postgres, initdb and pg_ctl.
type binaries struct {
	folder string
	major  int
}

func (b binaries) path(program string) string { return filepath.Join(b.folder, program) }

func (b binaries) String() string { return fmt.Sprintf("PostgreSQL %d in %s", b.major, b.folder) }

// installations lists the machine's Postgres installations that are new enough: first the one that PATH
// leads to, then Debian's and Fedora's folders and Homebrew's kegs, the newest first.
func installations(ctx context.Context, getenv func(string) string) []binaries {
	var folders []string
	for _, folder := range filepath.SplitList(getenv("PATH")) {
		// A link in PATH leads to the folder in which its siblings stand.
		if target, err := filepath.EvalSymlinks(filepath.Join(folder, "postgres")); err == nil {
			folders = append(folders, filepath.Dir(target))
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		matches, _ := filepath.Glob(pattern) // fails on a malformed pattern alone
		slices.SortFunc(matches, func(a, b string) int { return majorIn(b) - majorIn(a) })
		folders = append(folders, matches...)
	}

	var found []binaries
	for _, folder := range folders {
		if slices.ContainsFunc(found, func(b binaries) bool { return b.folder == folder }) {
			continue
		}
		if b, ok := inspect(ctx, folder); ok {
			found = append(found, b)
		}
	}
	return found
}

var firstNumber = regexp.MustCompile(`\d+`)

// majorIn is the first number in a folder's path, 0 without one: enough to sort installations by.
func majorIn(folder string) int {
	n, _ := strconv.Atoi(firstNumber.FindString(folder))
	return n
}

// inspect reports the installation in folder if it is whole and new enough.
func inspect(ctx context.Context, folder string) (binaries, bool) {
	for _, program := range []string{"postgres", "initdb", "pg_ctl"} {
		if info, err := os.Stat(filepath.Join(folder, program)); err != nil || info.IsDir() {
			return binaries{}, false
		}
	}
	// Prints "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)".
	out, err := exec.CommandContext(ctx, filepath.Join(folder, "postgres"), "--version").Output()
	if err != nil {
		return binaries{}, false
	}
	_, version, _ := strings.Cut(string(out), "(PostgreSQL) ")
	b := binaries{folder: folder, major: majorIn(version)}
	return b, b.major >= minimumMajor
}

// choose picks the installation to run: the first, or the one that speaks the major version of the
// cluster that exists (0 for none).
func choose(found []binaries, clusterMajor int, data string) (binaries, error) {
	const op = "local.Start"
	if len(found) == 0 {
		return binaries{}, tandem.Errorf(tandem.Unavailable, op,
			"no PostgreSQL %d or newer on this machine: install it (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql@17) or set DATABASE_URL", minimumMajor)
	}
	if clusterMajor == 0 {
		return found[0], nil
	}
	for _, b := range found {
		if b.major == clusterMajor {
			return b, nil
		}
	}
	return binaries{}, tandem.Errorf(tandem.Unsupported, op,
		"%s was made by PostgreSQL %d and this machine has %v: install PostgreSQL %d, or move the data with pg_upgrade",
		data, clusterMajor, found[0], clusterMajor)
}

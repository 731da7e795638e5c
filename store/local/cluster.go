package local

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"tandem"
)

// cluster is the server's part of a home folder: HOME/postgres.
type cluster struct {
	folder string
	account
}

func (c cluster) data() string        { return filepath.Join(c.folder, "data") }
func (c cluster) log() string         { return filepath.Join(c.folder, "server.log") }
func (c cluster) lockFile() string    { return filepath.Join(c.folder, "lock") }
func (c cluster) usersFile() string   { return filepath.Join(c.folder, "users") }
func (c cluster) credentials() string { return filepath.Join(c.folder, "credentials.json") }

// credentials are the generated passwords of the server's three roles. The file is written before the
// cluster and never changed.
type credentials struct {
	Admin string `json:"admin"` // superuser: makes the other two, and backups
	Owner string `json:"owner"` // owns the schema: migrations
	App   string `json:"app"`   // everything else
}

// clusterMajor is the major version that made the cluster, 0 where there is none yet.
func (c cluster) clusterMajor() (int, error) {
	content, err := os.ReadFile(filepath.Join(c.data(), "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, tandem.Errorf(tandem.Unavailable, "local.Start", "%w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return 0, tandem.Errorf(tandem.Corrupt, "local.Start", "%s names no PostgreSQL version: %q", filepath.Join(c.data(), "PG_VERSION"), content)
	}
	return major, nil
}

// readCredentials reads the passwords, or makes them where there is no cluster to know others.
func (c cluster) readCredentials(clusterExists bool) (credentials, error) {
	const op = "local.Start"
	var secrets credentials
	content, err := os.ReadFile(c.credentials())
	switch {
	case err == nil:
		if err := json.Unmarshal(content, &secrets); err != nil || secrets.Admin == "" || secrets.Owner == "" || secrets.App == "" {
			return secrets, tandem.Errorf(tandem.Corrupt, op, "%s does not hold the server's three passwords", c.credentials())
		}
		return secrets, nil
	case !errors.Is(err, fs.ErrNotExist):
		return secrets, tandem.Errorf(tandem.Unavailable, op, "%w", err)
	case clusterExists:
		return secrets, tandem.Errorf(tandem.Corrupt, op, "%s is missing: restore it, the passwords of the Postgres in %s stand nowhere else", c.credentials(), c.data())
	}
	secrets = credentials{Admin: rand.Text(), Owner: rand.Text(), App: rand.Text()}
	content, err = json.Marshal(secrets)
	if err != nil {
		return secrets, err
	}
	if err := writeSynced(c.credentials(), content); err != nil {
		return secrets, tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	return secrets, nil
}

// writeSynced writes a file that is whole or absent, readable by its owner alone.
func writeSynced(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// initialise makes the cluster. It is built beside its place and renamed into it, so that a machine that
// falls meanwhile leaves no half of one.
func (c cluster) initialise(ctx context.Context, b binaries, secrets credentials, ephemeral bool) error {
	const op = "local.Start"
	staging := c.data() + ".new"
	if err := os.RemoveAll(staging); err != nil {
		return tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	defer func() { _ = os.RemoveAll(staging) }() // gone already where all went well
	if err := errors.Join(os.Mkdir(staging, 0o700), c.own(staging)); err != nil {
		return tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	password := filepath.Join(c.folder, "password")
	defer func() { _ = os.Remove(password) }()
	if err := errors.Join(writeSynced(password, []byte(secrets.Admin)), c.own(password)); err != nil {
		return tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}

	args := []string{"-D", staging, "-U", adminRole, "--pwfile", password, "--auth=scram-sha-256",
		"--encoding=UTF8", "--data-checksums", "--no-instructions"}
	args = append(args, localeArgs(b.major)...)
	if ephemeral {
		args = append(args, "--no-sync")
	}
	if out, err := c.run(ctx, b.path("initdb"), args...); err != nil {
		return tandem.Errorf(tandem.Unavailable, op, "%v could not make a cluster in %s: %w\n%s", b, c.data(), err, complaints(out))
	}
	conf, err := os.OpenFile(filepath.Join(staging, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = conf.WriteString("\ninclude 'tandem.conf'\t# rewritten at every start\n")
		err = errors.Join(err, conf.Close())
	}
	if err == nil {
		err = os.Rename(staging, c.data())
	}
	if err != nil {
		return tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	return nil
}

// localeArgs are initdb's flags for C.UTF-8: order by code point, the letters of Unicode. Postgres 17
// brings it along; before, the system's C library must, and macOS's only does in parts.
func localeArgs(major int) []string {
	switch {
	case major >= 17:
		return []string{"--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"}
	case runtime.GOOS == "darwin":
		return []string{"--lc-collate=C", "--lc-ctype=UTF-8", "--lc-messages=C", "--lc-monetary=C", "--lc-numeric=C", "--lc-time=C"}
	}
	return []string{"--locale=C.UTF-8"}
}

// configure writes the settings of this start.
func (c cluster) configure(socketFolder string, ephemeral bool) error {
	settings := map[string]string{
		"listen_addresses":        "", // no TCP
		"unix_socket_directories": socketFolder,
		"unix_socket_permissions": "0700",
		"port":                    strconv.Itoa(port),
		"password_encryption":     "scram-sha-256",
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"lc_messages":             "C", // errors are quoted in tandem's own, English ones
	}
	if ephemeral {
		for _, durability := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
			settings[durability] = "off"
		}
	}
	var text bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&text, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''"))
	}
	file := filepath.Join(c.data(), "tandem.conf")
	return errors.Join(writeSynced(file, text.Bytes()), c.own(file))
}

// run runs one of Postgres's programs as the server's user and returns what it printed.
func (c cluster) run(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = c.folder // the user may not enter the folder this process stands in
	cmd.SysProcAttr = c.attributes()
	// PGDATA and the like are the user's own and must not reach it; messages are read by programs.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return strings.TrimSpace(out.String()), err
}

// complaints are the lines of a program's output that say what went wrong; all of it where none does.
func complaints(out string) string {
	var lines []string
	for line := range strings.Lines(out) {
		if strings.Contains(line, "FATAL:") || strings.Contains(line, "PANIC:") || strings.Contains(line, "error:") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	if lines == nil {
		return out
	}
	return strings.Join(lines, "\n")
}

// maxLog is the size in bytes at which the log is set aside, once, before a start.
const maxLog = 8 << 20

// openLog readies the log for the server's user and returns its size, so that what this start adds can be told.
func (c cluster) openLog() (int64, error) {
	if info, err := os.Stat(c.log()); err == nil && info.Size() > maxLog {
		if err := os.Rename(c.log(), c.log()+".1"); err != nil {
			return 0, err
		}
	}
	f, err := os.OpenFile(c.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err = errors.Join(err, f.Close(), c.own(c.log())); err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// logSince returns the end of what the server said after offset.
func (c cluster) logSince(offset int64) string {
	content, err := os.ReadFile(c.log())
	if err != nil || int64(len(content)) < offset {
		return ""
	}
	said := content[offset:]
	const most = 2000
	if len(said) > most {
		said = said[len(said)-most:]
	}
	return complaints(strings.TrimSpace(string(said)))
}

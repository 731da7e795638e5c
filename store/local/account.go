package local

import (
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"tandem"
)

// account is the user that the server runs as. Postgres refuses root.
type account struct {
	uid, gid int
	name     string
	switched bool // true when this process is root and the server's processes are not
}

// serverAccount returns the account that owns (or will own) the cluster in data: this process's own, or
// for root the cluster's owner, else postgres, else nobody.
func serverAccount(data string) (account, error) {
	const op = "local.Start"
	if uid := os.Geteuid(); uid != 0 {
		return account{uid: uid, gid: os.Getegid(), name: strconv.Itoa(uid)}, nil
	}
	var candidates []*user.User
	if info, err := os.Stat(data); err == nil {
		owner := info.Sys().(*syscall.Stat_t).Uid
		if owner == 0 {
			return account{}, tandem.Errorf(tandem.Invalid, op, "%s belongs to root, and Postgres refuses to run as root: chown it to an unprivileged user", data)
		}
		u, err := user.LookupId(strconv.Itoa(int(owner)))
		if err != nil {
			return account{}, tandem.Errorf(tandem.Invalid, op, "%s belongs to user %d, which this machine does not know: %w", data, owner, err)
		}
		candidates = append(candidates, u)
	} else {
		for _, name := range []string{"postgres", "nobody"} {
			if u, err := user.Lookup(name); err == nil {
				candidates = append(candidates, u)
			}
		}
	}
	for _, u := range candidates {
		uid, errUID := strconv.Atoi(u.Uid)
		gid, errGID := strconv.Atoi(u.Gid)
		if errUID == nil && errGID == nil && uid != 0 {
			return account{uid: uid, gid: gid, name: u.Username, switched: true}, nil
		}
	}
	return account{}, tandem.Errorf(tandem.Unsupported, op,
		"Postgres refuses to run as root, and there is no user postgres or nobody to run it as: run tandem as another user, or create one (useradd --system postgres)")
}

// attributes starts a process of the server's as a, in a session of its own, so that a Ctrl-C at the
// terminal does not reach it.
func (a account) attributes() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setsid: true}
	if a.switched {
		attributes.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attributes
}

// own gives path to a, where a is not the user of this process.
func (a account) own(path string) error {
	if !a.switched {
		return nil
	}
	return os.Chown(path, a.uid, a.gid)
}

// reaches reports why a could not enter folder, if it could not: every folder on the way must let it pass.
func (a account) reaches(folder string) error {
	if !a.switched {
		return nil
	}
	for dir := folder; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return tandem.Errorf(tandem.Unavailable, "local.Start", "%w", err)
		}
		if !a.passes(info) {
			return tandem.Errorf(tandem.Invalid, "local.Start",
				"user %s, which runs the private Postgres for root, cannot enter %s: set TANDEM_HOME to a folder that it can reach, such as /var/lib/tandem", a.name, dir)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// passes reports whether a may search the folder that info describes.
func (a account) passes(info fs.FileInfo) bool {
	owner := info.Sys().(*syscall.Stat_t)
	switch mode := info.Mode().Perm(); {
	case int(owner.Uid) == a.uid:
		return mode&0o100 != 0
	case int(owner.Gid) == a.gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}

package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gofrs/flock"

	"tandem"
)

// The server's roles and its database.
const (
	adminRole = "tandem_admin"
	ownerRole = "tandem_owner"
	appRole   = "tandem_app"
	database  = "tandem"
)

const (
	lockRetry     = 20 * time.Millisecond
	startPatience = 5 * time.Minute  // crash recovery replays the log first
	stopPatience  = 30 * time.Second // for each way of stopping
	deafPatience  = 10 * time.Second // for a server that says it is ready and takes no connection
)

// Config says which server to start.
type Config struct {
	// Home is the folder that the server belongs to; see [Home]. It is made where it is missing. Required.
	Home string
	// Getenv reads the environment that binaries and folders are looked up in. Defaults to os.Getenv.
	Getenv func(string) string
	// Ephemeral turns durability off. For tests alone: a machine that falls may take the data with it.
	Ephemeral bool
	// Log is told what is started, adopted and stopped. Defaults to none.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Getenv == nil {
		c.Getenv = os.Getenv
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Server is this process's hold on a home's server.
type Server struct {
	config   Config
	cluster  cluster
	binaries binaries
	secrets  credentials
	socket   string // folder
	users    *flock.Flock
}

// Start starts the server of config.Home, or joins the one that runs, and makes its roles and its
// database on first use. The caller must Close it. Errors: Unavailable without binaries, with a full disk or a server that does not
// come up (its last words are in the message); Unsupported where the cluster is another major version's;
// Invalid where the server's user or socket could not reach a folder, which is named.
func Start(ctx context.Context, config Config) (*Server, error) {
	config = config.withDefaults()
	c, err := openCluster(config.Home)
	if err != nil {
		return nil, err
	}
	lock, err := c.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = lock.Unlock() }()

	s := &Server{config: config, cluster: c, users: flock.New(c.usersFile())}
	// Nobody holds users exclusively without holding lock.
	if err := s.users.RLock(); err != nil {
		return nil, tandem.Errorf(tandem.Unavailable, "local.Start", "%s: %w", c.usersFile(), err)
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.leave(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// Close leaves the server and, if no other process uses it, stops it.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*stopPatience)
	defer cancel()
	lock, err := s.cluster.lock(ctx)
	if err != nil {
		return errors.Join(err, s.users.Unlock())
	}
	defer func() { _ = lock.Unlock() }()
	return s.leave(ctx)
}

// URL is where everything but migrations connects to, as a role with the narrow grants.
func (s *Server) URL() string { return s.url(appRole, s.secrets.App, database) }

// OwnerURL is where migrations connect to, as the schema's owner.
func (s *Server) OwnerURL() string { return s.url(ownerRole, s.secrets.Owner, database) }

// AdminURL connects to the maintenance database as the superuser; for backups, and for tests that clone databases.
func (s *Server) AdminURL() string { return s.url(adminRole, s.secrets.Admin, "postgres") }

// String names the server for people: "PostgreSQL 15 in /usr/lib/postgresql/15/bin, data in …".
func (s *Server) String() string { return s.binaries.String() + ", data in " + s.cluster.data() }

// Program is the path of one of the server's own programs, such as pgbench, whether it is installed or not.
func (s *Server) Program(name string) string { return s.binaries.path(name) }

func (s *Server) url(role, password, db string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(role, password), Path: "/" + db,
		RawQuery: url.Values{"host": {s.socket}, "port": {strconv.Itoa(port)}}.Encode(),
	}
	return u.String()
}

// StopAbandoned stops the server of a home that no process uses any more, as after a kill -9, and
// reports whether it found one running. A server in use is left alone.
func StopAbandoned(ctx context.Context, config Config) (bool, error) {
	config = config.withDefaults()
	if _, err := os.Stat(filepath.Join(config.Home, "postgres", "data")); err != nil {
		return false, nil
	}
	c, err := openCluster(config.Home)
	if err != nil {
		return false, err
	}
	lock, err := c.lock(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = lock.Unlock() }()
	running, err := readPostmaster(c.data())
	if err != nil || running == nil {
		return false, err
	}
	s := &Server{config: config, cluster: c, users: flock.New(c.usersFile())}
	if err := s.leave(ctx); err != nil {
		return false, err
	}
	running, err = readPostmaster(c.data())
	return running == nil, err
}

// openCluster readies HOME/postgres for the user that the server runs as.
func openCluster(home string) (cluster, error) {
	const op = "local.Start"
	if home == "" {
		return cluster{}, tandem.Errorf(tandem.Invalid, op, "no home folder was named")
	}
	c := cluster{folder: filepath.Join(home, "postgres")}
	var err error
	if c.account, err = serverAccount(c.data()); err != nil {
		return c, err
	}
	mode := os.FileMode(0o700)
	if c.switched {
		mode = 0o711 // the server's user passes through; the secrets have modes of their own
	}
	if err := os.MkdirAll(c.folder, mode); err != nil {
		return c, tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	return c, c.reaches(c.folder)
}

// lock waits for the right to start or stop the server.
func (c cluster) lock(ctx context.Context) (*flock.Flock, error) {
	lock := flock.New(c.lockFile())
	if _, err := lock.TryLockContext(ctx, lockRetry); err != nil {
		return nil, tandem.Errorf(tandem.Unavailable, "local.Start", "waiting for %s: %w", c.lockFile(), err)
	}
	return lock, nil
}

// start brings the server up. The caller holds lock, and users shared.
func (s *Server) start(ctx context.Context) error {
	c := s.cluster
	major, err := c.clusterMajor()
	if err != nil {
		return err
	}
	if s.binaries, err = choose(installations(ctx, s.config.Getenv), major, c.data()); err != nil {
		return err
	}
	if s.secrets, err = c.readCredentials(major != 0); err != nil {
		return err
	}
	if major == 0 {
		s.config.Log.Info("making a private Postgres", "server", s.String())
		if err := c.initialise(ctx, s.binaries, s.secrets, s.config.Ephemeral); err != nil {
			return err
		}
	}
	running, err := readPostmaster(c.data())
	if err != nil {
		return err
	}
	if running != nil && running.status != "stopping" {
		s.config.Log.Info("joining the private Postgres", "server", s.String(), "pid", running.pid)
		s.socket = running.socket
		err := s.prepare(ctx)
		if !errors.Is(err, errGone) {
			return err
		}
	}
	// None runs, or one that nobody can reach: whoever was stopping it was killed before it ended, or the
	// system cleared its socket away, as it does with /run/user at the end of a login.
	if err := s.clearAway(ctx); err != nil {
		return err
	}
	if err := s.launch(ctx); err != nil {
		return err
	}
	if err := s.prepare(ctx); !errors.Is(err, errGone) {
		return err
	}
	return tandem.Errorf(tandem.Unavailable, "local.Start", "%v fell at once; its log is %s", s, c.log())
}

// errGone says that the server which was about to be joined fell or stopped meanwhile, or has no socket.
var errGone = errors.New("the server is gone")

// clearAway stops a server that cannot be joined, unless other processes still use it.
func (s *Server) clearAway(ctx context.Context) error {
	const op = "local.Start"
	running, err := readPostmaster(s.cluster.data())
	if err != nil || running == nil {
		return err
	}
	last, err := s.release()
	if err != nil {
		return err
	}
	if !last {
		err = tandem.Errorf(tandem.Unavailable, op, "the Postgres of %s (process %d) has lost its socket %s while other processes use it: end them, and start again",
			s.cluster.data(), running.pid, socketPath(running.socket))
	} else {
		err = s.stop(ctx)
	}
	// Nobody came meanwhile: that needs lock.
	return errors.Join(err, s.users.Unlock(), s.users.RLock())
}

// release drops the shared hold on users and reports whether it was the last; then the exclusive one is
// held in its place. The caller holds lock.
func (s *Server) release() (last bool, err error) {
	if err = s.users.Unlock(); err == nil {
		last, err = s.users.TryLock()
	}
	if err != nil {
		return false, tandem.Errorf(tandem.Unavailable, "local.Close", "%s: %w", s.cluster.usersFile(), err)
	}
	return last, nil
}

// launch starts the server's process, which outlives this one.
func (s *Server) launch(ctx context.Context) error {
	const op = "local.Start"
	c := s.cluster
	if s.socket = c.clearFallen(); s.socket == "" {
		var err error
		if s.socket, err = makeSocketFolder(c.account, socketBases(c.account, s.config.Getenv)); err != nil {
			return err
		}
	}
	said, err := c.openLog()
	if err == nil {
		err = c.configure(s.socket, s.config.Ephemeral)
	}
	if err != nil {
		removeSocketFolder(s.socket)
		return tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	s.config.Log.Info("starting a private Postgres", "server", s.String(), "socket", s.socket)
	out, err := c.run(ctx, s.binaries.path("pg_ctl"), "start", "-s", "-w", "-t", strconv.Itoa(int(startPatience.Seconds())),
		"-D", c.data(), "-l", c.log())
	if err != nil {
		removeSocketFolder(s.socket)
		if ctx.Err() != nil {
			return tandem.Errorf(tandem.Unavailable, op, "starting %v: %w", s, ctx.Err())
		}
		return tandem.Errorf(tandem.Unavailable, op, "%v did not start: %s\n%s", s, out, c.logSince(said))
	}
	return nil
}

// leave drops this process's hold and stops the server if that was the last. The caller holds lock.
func (s *Server) leave(ctx context.Context) error {
	last, err := s.release()
	if err != nil || !last {
		return err
	}
	defer func() { _ = s.users.Unlock() }()
	return s.stop(ctx)
}

// stop ends the server if one runs. The caller holds lock, and nobody else uses it.
func (s *Server) stop(ctx context.Context) error {
	const op = "local.Close"
	c := s.cluster
	running, err := readPostmaster(c.data())
	if err != nil || running == nil {
		return err
	}
	if s.binaries.folder == "" { // an abandoned server, or a start that failed early
		major, err := c.clusterMajor()
		if err != nil {
			return err
		}
		if s.binaries, err = choose(installations(ctx, s.config.Getenv), major, c.data()); err != nil {
			return err
		}
	}
	s.config.Log.Info("stopping the private Postgres", "server", s.String())
	// Fast ends transactions and writes a checkpoint. Where that does not end, as on a full disk, immediate
	// does, and the next start recovers from the log.
	var failures []error
	for _, mode := range []string{"fast", "immediate"} {
		out, err := c.run(ctx, s.binaries.path("pg_ctl"), "stop", "-s", "-w", "-m", mode, "-t", strconv.Itoa(int(stopPatience.Seconds())), "-D", c.data())
		if err == nil {
			removeSocketFolder(running.socket)
			return nil
		}
		failures = append(failures, fmt.Errorf("%s: %w: %s", mode, err, out))
	}
	return tandem.Errorf(tandem.Unavailable, op, "%v did not stop: %w", s, errors.Join(failures...))
}

package sandbox

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"tandem"
)

// Limits bound what one program may use. The zero value is the defaults.
type Limits struct {
	// Time by the clock, from when the interpreter is there. Defaults to 3 s, as HumanEval's authors have it.
	Time time.Duration `json:"time_ns"`
	// Memory that each process may map, in bytes. Defaults to 512 MiB.
	Memory int64 `json:"memory_bytes"`
	// Processes that there may be at once, threads included. Defaults to 8.
	Processes int `json:"processes"`
	// Disk is the bytes that its folder, which is in memory, holds. Defaults to 16 MiB.
	Disk int64 `json:"disk_bytes"`
}

func (l Limits) withDefaults() Limits {
	if l.Time == 0 {
		l.Time = 3 * time.Second
	}
	if l.Memory == 0 {
		l.Memory = 512 << 20
	}
	if l.Processes == 0 {
		l.Processes = 8
	}
	if l.Disk == 0 {
		l.Disk = 16 << 20
	}
	return l
}

// Validate reports limits within which no interpreter starts.
func (l Limits) Validate() error {
	l = l.withDefaults()
	switch {
	case l.Time < 10*time.Millisecond:
		return tandem.Errorf(tandem.Invalid, op, "the time for a program is %v, less than 10 ms", l.Time)
	case l.Memory < 32<<20:
		return tandem.Errorf(tandem.Invalid, op, "the memory for a program is %d bytes, less than 32 MiB", l.Memory)
	case l.Processes < 1:
		return tandem.Errorf(tandem.Invalid, op, "%d processes are allowed, and the program is one", l.Processes)
	case l.Disk < 1<<16:
		return tandem.Errorf(tandem.Invalid, op, "the folder of a program holds %d bytes, less than 64 KiB", l.Disk)
	}
	return nil
}

// End says how a program ended.
type End string

const (
	Passed   End = "passed"    // it ran to its end
	Raised   End = "raised"    // an exception left it; a failed assertion is one
	TimedOut End = "timed out" // its time was over
	Stopped  End = "stopped"   // it ended before its last line, by itself or killed for breaking a limit
)

// Outcome is what came of a program.
type Outcome struct {
	End    End           `json:"end"`
	Detail string        `json:"detail,omitempty"` // the exception, or how it was stopped
	Time   time.Duration `json:"time_ns"`
}

// Sandbox runs programs. Any number of goroutines may use it at once.
type Sandbox struct {
	python python
	limits Limits
}

// New finds the interpreter (a path or a name to look for; "python3" where it is empty) and makes sure that programs are shut
// in: it runs one that must reach neither the network nor files nor variables of its surroundings. Errors: NotFound without an
// interpreter, Unsupported where the machine grants no sandbox, Internal where one leaks.
func New(ctx context.Context, interpreter string, limits Limits) (*Sandbox, error) {
	if err := limits.Validate(); err != nil {
		return nil, err
	}
	if err := supported(); err != nil {
		return nil, err
	}
	p, err := findPython(ctx, interpreter)
	if err != nil {
		return nil, err
	}
	s := &Sandbox{python: p, limits: limits.withDefaults()}
	return s, s.probe(ctx)
}

// Python is the interpreter's version, "3.11.7".
func (s *Sandbox) Python() string { return s.python.Version }

// probe runs a program that passes only where it is shut in.
func (s *Sandbox) probe(ctx context.Context) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return tandem.Errorf(tandem.Unavailable, op, "listen for the sandbox's test: %w", err)
	}
	defer listener.Close()
	outside, err := os.MkdirTemp("", "tandem-outside-")
	if err != nil {
		return tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	defer os.RemoveAll(outside)
	trial := *s
	trial.limits.Time = 30 * time.Second // it is known, and the machine may be busy
	o, err := trial.Run(ctx, fmt.Sprintf(probeProgram, listener.Addr().(*net.TCPAddr).Port, outside))
	if err != nil {
		return err
	}
	if o.End != Passed {
		return tandem.Errorf(tandem.Internal, op, "no sandbox is to be had: a program that should be shut in is not (%s: %s)", o.End, o.Detail)
	}
	return nil
}

const probeProgram = `
import os, socket
def refused(do, *args):
    try:
        do(*args)
    except OSError:
        return
    raise AssertionError("%%s%%r succeeds" %% (do.__name__, args))
refused(socket.create_connection, ("127.0.0.1", %d), 5)
refused(os.listdir, %q)
refused(open, "/written", "w")
refused(os.setuid, 0)
assert not os.environ, "there are variables"
assert os.getcwd() == "/work" and not os.listdir("."), "the folder is not empty"
assert os.getpid() == 1, "it sees other processes"
open("written", "w").close()
`

// Run runs a program: its text, as the top level of a module. It passes if it comes to its end without an exception. An error
// means that the sandbox failed, or ctx ended, and says nothing of the program.
//
// A program reports its end by a secret that it is not told. That keeps one that stops early from passing; one that is written to
// find the secret in the interpreter's memory is not kept from it.
func (s *Sandbox) Run(ctx context.Context, program string) (Outcome, error) {
	secret := rand.Text()
	report, took, err := s.run(ctx, secret+"\n"+program)
	if err != nil {
		return Outcome{}, err
	}
	o := Outcome{Time: took}
	how, detail, _ := strings.Cut(report.said, " ")
	switch {
	case how == "passed" && detail == secret:
		o.End = Passed
	case how == "raised":
		o.End, o.Detail = Raised, strings.ToValidUTF8(detail, "\uFFFD")
	case report.late:
		o.End, o.Detail = TimedOut, fmt.Sprintf("after %v", s.limits.Time)
	default:
		o.End, o.Detail = Stopped, report.state
	}
	return o, nil
}

// report is what is known of a program's end.
type report struct {
	said  string // by the program's runner
	state string // of the process: "exit status 1", "signal: killed"
	late  bool   // it was ended since its time was over
}

// op names this package in errors.
const op = "evaluation/harness/sandbox"

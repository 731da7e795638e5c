package sandbox

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem"
)

// open opens a sandbox, or skips the test and says why there is none.
func open(t *testing.T, limits Limits) *Sandbox {
	t.Helper()
	s, err := New(t.Context(), "", limits)
	if code := tandem.CodeOf(err); code == tandem.Unsupported || code == tandem.NotFound {
		t.Skipf("programs cannot be run here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func run(t *testing.T, s *Sandbox, program string) Outcome {
	t.Helper()
	o, err := s.Run(t.Context(), program)
	if err != nil {
		t.Fatalf("%v\n%s", err, program)
	}
	return o
}

// patience is time enough for what ends by itself, on a machine however busy.
const patience = time.Minute

func TestRun(t *testing.T) {
	s := open(t, Limits{Time: patience})
	for name, c := range map[string]struct {
		program string
		end     End
		detail  string
	}{
		"right":                 {"def f(x):\n    return x + 1\nassert f(1) == 2", Passed, ""},
		"wrong":                 {"def f(x):\n    return x\nassert f(1) == 2, 'not 2'", Raised, "AssertionError: not 2"},
		"no Python":             {"def f(x:\n", Raised, "SyntaxError"},
		"unknown name":          {"f(1)", Raised, "NameError"},
		"leaves":                {"import sys\nsys.exit(0)\nassert False", Raised, "SystemExit: 0"},
		"leaves at once":        {"import os\nos._exit(0)\nassert False", Stopped, "exit status 0"},
		"claims to have passed": {"import os\nos.write(3, b'passed ')\nos._exit(0)", Stopped, "exit status 0"},
		"uses the library":      {"import json, math, re, itertools, collections, typing, dataclasses, datetime, hashlib\nassert json.loads('[1]') == [1]", Passed, ""},
		"reads its input":       {"import sys\nassert sys.stdin.read() == ''", Passed, ""},
		"says much":             {"for i in range(300000): print('so much ' * 4)", Passed, ""},
		"is not UTF-8":          {"s = '\\udcff'\nraise ValueError(s)", Raised, "ValueError"},
		"is large":              {"s = '" + strings.Repeat("é", 200_000) + "'\nassert len(s) == 200000", Passed, ""},
		"kills itself":          {"import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\nimport time\ntime.sleep(.2)", Passed, ""}, // the first process of a namespace does not die of it
		"crashes":               {"import ctypes\nctypes.string_at(0)", Stopped, "signal: segmentation fault"},
		"leaves a thread":       {"import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()", Passed, ""},
		"writes to its folder":  {"open('a.txt', 'w').write('x')\nassert open('/work/a.txt').read() == 'x'", Passed, ""},
	} {
		o := run(t, s, c.program)
		if o.End != c.end || !strings.Contains(o.Detail, c.detail) {
			t.Errorf("%s: %+v, want %s %q", name, o, c.end, c.detail)
		}
	}
	if s.Python() == "" {
		t.Error("the interpreter has no version")
	}
}

func TestLimits(t *testing.T) {
	s := open(t, Limits{Time: patience, Memory: 128 << 20, Processes: 6, Disk: 1 << 20})
	hasty := open(t, Limits{Time: 2 * time.Second})
	for name, c := range map[string]struct {
		program string
		end     End
		detail  string
	}{
		"endless loop":        {"while True: pass", TimedOut, "2s"},
		"sleeps":              {"import time\ntime.sleep(60)", TimedOut, "2s"},
		"memory hog":          {"x = bytearray(1 << 30)", Raised, "MemoryError"},
		"slow memory hog":     {"x = []\nwhile True: x.append('x' * 1000000)", Raised, "MemoryError"},
		"large file":          {"f = open('big', 'wb')\nfor _ in range(100): f.write(b'x' * 100000); f.flush()", Raised, "OSError"},
		"many files":          {"for i in range(2000): open(str(i), 'w').close()", Raised, "OSError"},
		"several large files": {"for i in range(100):\n    with open(str(i), 'wb') as f: f.write(b'x' * 100000)", Raised, "OSError"},
		"many open files":     {"x = [open('/dev/null') for _ in range(1000)]", Raised, "OSError"},
		"fork bomb":           {"import os\nwhile True: os.fork()", Raised, "BlockingIOError"},
		"many threads":        {"import threading, time\nfor _ in range(100): threading.Thread(target=time.sleep, args=(5,), daemon=True).start()", Raised, "can't start new thread"},
		"raises its limits":   {"import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))", Raised, "ValueError"},
	} {
		box := s
		if c.end == TimedOut {
			box = hasty
		}
		began := time.Now()
		o := run(t, box, c.program)
		if o.End != c.end || !strings.Contains(o.Detail, c.detail) {
			t.Errorf("%s: %+v, want %s %q", name, o, c.end, c.detail)
		}
		if took := time.Since(began); took > patience {
			t.Errorf("%s took %v", name, took)
		}
	}
}

// TestForkBombLeavesNobody counts the processes that a program's name is found on afterwards.
func TestForkBombLeavesNobody(t *testing.T) {
	s := open(t, Limits{Time: time.Second})
	mark := fmt.Sprintf("left-behind-%d", os.Getpid())
	// The children drop the runner's end, sleep on and would outlive it.
	program := "import os, sys, time, ctypes\nctypes.CDLL(None).prctl(15, b'leftbehind', 0, 0, 0)\nfor _ in range(3):\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(600)\n# " + mark + "\nwhile True: pass"
	if o := run(t, s, program); o.End != TimedOut {
		t.Fatalf("%+v", o)
	}
	for range 50 {
		if len(named(t, "leftbehind")) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("processes %v outlive the program", named(t, "leftbehind"))
}

// holding is set in the environment of a test binary that is to run a program until it is killed.
const holding = "TEST_SANDBOX_HOLDS"

func TestEndsWithTandem(t *testing.T) {
	program := "import ctypes, time\nctypes.CDLL(None).prctl(15, b'orphaned', 0, 0, 0)\ntime.sleep(600)"
	s := open(t, Limits{Time: 10 * time.Minute})
	if os.Getenv(holding) != "" {
		run(t, s, program)
		return
	}
	parent := exec.Command(os.Args[0], "-test.run=^TestEndsWithTandem$")
	parent.Env = append(os.Environ(), holding+"=1")
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	there := func(want bool) bool {
		for range 500 {
			if len(named(t, "orphaned")) > 0 == want {
				return true
			}
			time.Sleep(20 * time.Millisecond)
		}
		return false
	}
	began := there(true)
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // it was killed
	if !began || !there(false) {
		t.Errorf("began: %v, and then there were the processes %v", began, named(t, "orphaned"))
	}
}

// named lists the machine's processes of a name.
func named(t *testing.T, name string) (pids []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && strings.TrimSpace(string(text)) == name {
			pids = append(pids, filepath.Base(filepath.Dir(f)))
		}
	}
	return pids
}

func TestShutIn(t *testing.T) {
	s := open(t, Limits{Time: patience})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	folder := t.TempDir()
	secret := filepath.Join(folder, "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TANDEM_TEST_SECRET", "x")
	for name, program := range map[string]string{
		"a socket":                  fmt.Sprintf("import socket\nsocket.create_connection(('127.0.0.1', %d), 2)", listener.Addr().(*net.TCPAddr).Port),
		"a name":                    "import socket\nsocket.getaddrinfo('example.org', 80)",
		"a datagram":                "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
		"a file outside":            fmt.Sprintf("open(%q)", secret),
		"writing outside":           fmt.Sprintf("open(%q, 'w')", filepath.Join(folder, "written")),
		"writing beside its folder": "open('/written', 'w')",
		"writing to the libraries":  "import os, sys\nopen(os.path.join(os.path.dirname(os.__file__), 'os.py'), 'a')",
		"writing to /usr":           "open('/usr/written', 'w')",
		"passwords":                 "open('/etc/passwd')",
		"its kernel's files":        "open('/proc/self/status')",
		"becoming root":             "import os\nos.setuid(0)",
		"mounting":                  "import ctypes, os\nif ctypes.CDLL(None, use_errno=True).mount(b'tmpfs', b'/work', b'tmpfs', 0, None): raise OSError(ctypes.get_errno(), 'mount')",
		"making its root writable":  "import ctypes, os\nif ctypes.CDLL(None, use_errno=True).mount(None, b'/', None, 32, None): raise OSError(ctypes.get_errno(), 'mount')",
		"another process":           "import os, signal\nos.kill(" + fmt.Sprint(os.Getpid()) + ", signal.SIGTERM)",
		"a variable":                "import os\nos.environ['TANDEM_TEST_SECRET']",
	} {
		o := run(t, s, program)
		if o.End != Raised || !strings.Contains(o.Detail, "rror") {
			t.Errorf("%s: %+v, want an exception", name, o)
		}
	}
	if tcp := listener.(*net.TCPListener); tcp.SetDeadline(time.Now().Add(50*time.Millisecond)) == nil {
		if c, err := tcp.Accept(); err == nil {
			c.Close()
			t.Error("a program has connected")
		}
	}
	for _, path := range []string{filepath.Join(folder, "written"), "/written", "/usr/written"} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("a program has written %s", path)
		}
	}
	o := run(t, s, "import os\nassert not os.environ\nassert os.getuid() == 65534 and os.getpid() == 1\nassert not os.listdir('.')\nopen('left', 'w').close()")
	if o.End != Passed {
		t.Errorf("%+v", o)
	}
	if o := run(t, s, "import os\nassert not os.listdir('.')"); o.End != Passed { // nothing is left of the one before
		t.Errorf("%+v", o)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		python string
		limits Limits
		code   tandem.Code
		says   string
	}{
		{"python-that-is-not-there", Limits{}, tandem.NotFound, "there is no python-that-is-not-there"},
		{"/bin/false", Limits{}, tandem.NotFound, "no Python that works"},
		{"", Limits{Memory: 1000}, tandem.Invalid, "32 MiB"}, {"", Limits{Time: time.Microsecond}, tandem.Invalid, "10 ms"},
		{"", Limits{Processes: -1}, tandem.Invalid, "-1 processes"}, {"", Limits{Disk: 5}, tandem.Invalid, "64 KiB"},
	} {
		_, err := New(t.Context(), c.python, c.limits)
		if code := tandem.CodeOf(err); code == tandem.Unsupported {
			t.Skip(err)
		} else if code != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q %+v: error %v, want %s and %q", c.python, c.limits, err, c.code, c.says)
		}
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	s := open(t, Limits{Time: time.Minute})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := s.Run(ctx, "while True: pass"); err != ctx.Err() || err == nil {
		t.Errorf("error %v, want %v", err, ctx.Err())
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

func BenchmarkRun(b *testing.B) {
	s, err := New(b.Context(), "", Limits{})
	if err != nil {
		b.Skip(err)
	}
	for b.Loop() {
		if o, err := s.Run(b.Context(), "assert 1 + 1 == 2"); err != nil || o.End != Passed {
			b.Fatal(o, err)
		}
	}
}

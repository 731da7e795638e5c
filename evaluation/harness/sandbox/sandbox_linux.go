package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tandem"
)

func supported() error { return nil }

const (
	// setUpTime is how long namespaces and an interpreter may take to be there, on a busy machine.
	setUpTime = 30 * time.Second
	// nobody is the user and group that programs run as, within their namespace and, where tandem runs as root, outside.
	nobody = 65534
)

// run starts the program's process in its namespaces, gives it the text when it is ready, and waits for its end. This
// executable itself is the namespaces' first process, see enter.
func (s *Sandbox) run(ctx context.Context, text string) (r report, took time.Duration, err error) {
	root, err := os.MkdirTemp("", "tandem-sandbox-") // stays empty: another file system lies over it, in the sandbox alone
	if err != nil {
		return r, 0, tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	defer os.Remove(root)
	said, say, err := os.Pipe()
	if err != nil {
		return r, 0, tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	defer said.Close()
	cmd, err := s.command(root, say)
	if err != nil {
		_ = say.Close() // already failing
		return r, 0, err
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		_ = say.Close() // already failing
		return r, 0, tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	runtime.LockOSThread() // the kernel ends the program with the thread that started it
	defer runtime.UnlockOSThread()
	err = cmd.Start()
	_ = say.Close() // the program has it
	if err != nil {
		return r, 0, refusal(err)
	}
	kill := func() { _ = cmd.Process.Kill() } // the first process of the namespace takes all others with it
	cancelled := context.AfterFunc(ctx, kill)
	defer cancelled()

	setUp := time.AfterFunc(setUpTime, kill)
	lines := bufio.NewReader(io.LimitReader(said, 1<<16))
	ready, _ := lines.ReadString('\n') // an end says itself
	setUp.Stop()
	if ready != "ready\n" {
		kill()
		_ = cmd.Wait() // what it said tells more
		if ctx.Err() != nil {
			return r, 0, ctx.Err()
		}
		return r, 0, tandem.Errorf(tandem.Unsupported, op, "no sandbox is to be had: %s", firstOf(strings.TrimSpace(ready), strings.TrimSpace(cmd.Stderr.(*head).String()), "it did not start"))
	}
	began := time.Now()
	late := make(chan struct{})
	timer := time.AfterFunc(s.limits.Time, func() {
		close(late)
		kill()
	})
	go func() {
		_, _ = io.WriteString(stdin, text) // a program that was ended reads no more
		_ = stdin.Close()
	}()
	end, _ := io.ReadAll(lines)
	waited := cmd.Wait()
	took = time.Since(began)
	if !timer.Stop() {
		<-late
		r.late = true
	}
	if ctx.Err() != nil {
		return r, took, ctx.Err()
	}
	r.said, r.state = string(end), "exit status 0"
	if waited != nil {
		r.state = waited.Error()
	}
	return r, took, nil
}

// command is this executable as the first process of a sandbox.
func (s *Sandbox) command(root string, say *os.File) (*exec.Cmd, error) {
	seconds := int64(math.Ceil(s.limits.Time.Seconds())) + 1 // of the processor: what hides from the clock ends too
	e := entry{
		Root: root, Mounts: mounts(s.python.Folders), Disk: s.limits.Disk, Switch: os.Geteuid() == 0,
		Args: []string{s.python.Executable, "-I", "-B", "-X", "utf8", "-c", runnerProgram,
			fmt.Sprint(seconds), fmt.Sprint(s.limits.Memory), fmt.Sprint(s.limits.Processes), fmt.Sprint(s.limits.Disk)},
	}
	for _, folder := range s.python.Folders {
		if folder == "/" {
			return nil, tandem.Errorf(tandem.Unsupported, op, "the interpreter %s lies in the root folder: a program would see everything", s.python.Executable)
		}
	}
	text, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: []string{enterName, string(text)}, Env: []string{}, Dir: "/", ExtraFiles: []*os.File{say}, WaitDelay: 5 * time.Second}
	cmd.Stdout, cmd.Stderr = io.Discard, &head{}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getegid(), Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN}, // within the namespaces, to lay out the files
		Setsid:      true,
		Pdeathsig:   syscall.SIGKILL,
	}
	if e.Switch { // root lays out the files and then becomes nobody: the kernel does not bound root's processes
		ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}, {ContainerID: nobody, HostID: nobody, Size: 1}}
		cmd.SysProcAttr.UidMappings, cmd.SysProcAttr.GidMappings, cmd.SysProcAttr.GidMappingsEnableSetgroups = ids, ids, true
	}
	return cmd, nil
}

// refusal is why there are no namespaces.
func refusal(err error) error {
	return tandem.Errorf(tandem.Unsupported, op, "code tasks run only in a sandbox, and none is to be had: the kernel refuses namespaces (%w). "+
		"Containers and some distributions forbid them; see user.max_user_namespaces, kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns", err)
}

// head keeps the first bytes of what is written and drops the rest.
type head struct{ bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	if room := 4096 - h.Len(); room > 0 {
		h.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// mounts are what a program sees of the machine: the system's programs and libraries, and the interpreter.
func mounts(folders []string) []string {
	paths := []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache"}
	for _, f := range folders {
		covered := false
		for _, p := range paths {
			covered = covered || within(f, p)
		}
		if !covered {
			paths = append(paths, f)
		}
	}
	return paths
}

package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"

	"tandem"
)

// TestInterruptedProcess sends Ctrl-C to a process of its own while it waits for its next line: the answers
// so far are out, and it exits 130.
func TestInterruptedProcess(t *testing.T) {
	model := smallModel(t, tandem.PolicyModel, 1, nil)
	cmd := exec.Command(os.Args[0], "generate", "--model", model, "--max-tokens", "2")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, `{"prompt":"a"}`+"\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := bufio.NewReader(out).ReadString('\n') // it does not wait for another line
	if err != nil || len(answer) < 10 {
		t.Errorf("answer %q, %v", answer, err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted || stderr.String() != "tandem: interrupted\n" {
		t.Errorf("%v, stderr %q", err, stderr.String())
	}
}

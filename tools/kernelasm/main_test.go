package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What the generator writes is committed, so that tandem builds without it; this notices when one was
// changed without the other.
func TestCommittedAssemblyIsCurrent(t *testing.T) {
	const committed = "../../llama/nn/kernel"
	fresh := t.TempDir()
	generate := exec.CommandContext(t.Context(), "go", "run", ".", "-pkg", "kernel",
		"-out", filepath.Join(fresh, "kernel_amd64.s"), "-stubs", filepath.Join(fresh, "kernel_amd64.go"))
	if out, err := generate.CombinedOutput(); err != nil {
		t.Fatalf("generating: %v\n%s", err, out)
	}
	for _, name := range []string{"kernel_amd64.s", "kernel_amd64.go"} {
		got, want := body(t, filepath.Join(committed, name)), body(t, filepath.Join(fresh, name))
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what kernelasm writes: run go generate ./llama/nn/kernel", name)
		}
	}
}

// body is a generated file without its first line, which quotes the command's flags.
func body(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(data, []byte("\n"))
	return rest
}

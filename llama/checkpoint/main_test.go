package checkpoint

import (
	"os"
	"testing"
)

// TestMain puts the tests' folders into memory where the machine has a folder there: the crash tests save
// hundreds of checkpoints, each with some twenty fsyncs, whose effect no test could see.
func TestMain(m *testing.M) {
	const memory = "/dev/shm"
	if dir, err := os.MkdirTemp(memory, "tandem"); err == nil {
		os.Remove(dir)
		os.Setenv("TMPDIR", memory)
	}
	os.Exit(m.Run())
}

package memory_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"tandem/internal/memory"
)

// What the process held before does not count after a reset; what it holds then does.
func TestResetPeak(t *testing.T) {
	const size = 128 << 20
	hold := func() (held int64) {
		block, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < size; i += 4096 {
			block[i] = 1
		}
		held = memory.Peak()
		if err := unix.Munmap(block); err != nil {
			t.Fatal(err)
		}
		return held
	}
	held := hold()
	if after := memory.Peak(); held-after > size/8 { // the kernel counts in batches
		t.Fatalf("the peak fell from %d to %d without a reset", held, after)
	}
	if !memory.ResetPeak() {
		t.Skip("the system does not let a process reset its peak")
	}
	low := memory.Peak()
	if held-low < size/2 {
		t.Errorf("the peak is %d after a reset and was %d with %d more held", low, held, size)
	}
	if again := hold(); again-low < size/2 {
		t.Errorf("the peak is %d with %d held after a reset to %d", again, size, low)
	}
}

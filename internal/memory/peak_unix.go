//go:build unix && !linux

package memory

import (
	"runtime"
	"syscall"
)

// Peak is the most memory that the process has held, in bytes.
func Peak() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int64(usage.Maxrss) // bytes there, kilobytes elsewhere
	}
	return int64(usage.Maxrss) * 1024
}

// ResetPeak would let Peak count from here on; this system cannot.
func ResetPeak() bool { return false }

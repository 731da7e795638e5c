//go:build unix

package llama

import (
	"runtime"
	"syscall"
)

// peakMemory is the most memory that the process has held so far, in bytes; 0 where the system does not say.
func peakMemory() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(usage.Maxrss)
	}
	return int64(usage.Maxrss) * 1024
}

//go:build unix

package pipeline

import "syscall"

// cpuSeconds is the processor time that the process has used, over all its threads.
func cpuSeconds() (float64, bool) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, false
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9, true
}

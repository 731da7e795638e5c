//go:build !unix

package memory

import "runtime"

// Peak is how much memory Go has taken from the system, in bytes.
func Peak() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys)
}

// ResetPeak would let Peak count from here on; this system cannot.
func ResetPeak() bool { return false }

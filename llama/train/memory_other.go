//go:build !unix

package train

import "runtime"

// peakMemory is how much memory Go has taken from the system, in bytes.
func peakMemory() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys)
}

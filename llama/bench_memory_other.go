//go:build !unix

package llama

// peakMemory is 0: the system does not say.
func peakMemory() int64 { return 0 }

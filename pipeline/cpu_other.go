//go:build !unix

package pipeline

// cpuSeconds is not known here.
func cpuSeconds() (float64, bool) { return 0, false }

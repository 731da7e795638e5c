// Package memory lends the numeric packages large buffers on large pages, and says how much memory the process
// has held, for the benchmarks of training and sampling.
package memory

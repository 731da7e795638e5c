// Package memory says how much memory the process has held, for the benchmarks of training and sampling.
package memory

// Package demo runs the whole loop on the practice world: it writes the world's texts, demonstrations and
// prompts to files, puts simulated annotators to work through /api/v1, has package pipeline order the
// stages, and shows the result beside gold scores that nothing in the loop has seen.
package demo

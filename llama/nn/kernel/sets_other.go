//go:build !amd64

package kernel

// processorSets lists the sets that this processor runs, the fastest first.
func processorSets() []*Set { return []*Set{plainSet()} }

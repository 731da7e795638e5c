// Package sandbox runs Python programs that nobody has read: what a model wrote as the answer to a code task of package
// harness. A program runs in namespaces of its own for users, files, processes, the network, IPC and the host's name: it sees
// the interpreter and the system's libraries, read-only, and one empty folder in memory; there is no network, no environment
// and no privilege; memory, CPU time, processes and files are bounded; and when its time is over the kernel ends every process
// that it has started. Where such namespaces are not to be had, [New] refuses, and nothing runs.
//
// It needs Linux 5.14. It does not guard against faults of the kernel itself: where programs come from an enemy and not from a
// model, the machine should be one that holds nothing else.
package sandbox

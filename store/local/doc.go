// Package local runs tandem's private Postgres, for machines where DATABASE_URL names no other. It is
// the ground under package store: the loop keeps its prompts, judgments, models and rounds there.
//
// [Start] finds the machine's Postgres binaries and starts a server that belongs to one home folder:
//
//	HOME/postgres/data              the cluster: UTF-8, C.UTF-8, data checksums, scram
//	HOME/postgres/credentials.json  generated passwords, readable by the user alone
//	HOME/postgres/server.log        what the server said
//	HOME/postgres/lock              held while the server is started or stopped
//	HOME/postgres/users             held, shared, by every process that uses the server
//
// It listens on a Unix socket in a short folder that nobody else can enter, and never on TCP. Processes
// that share a home share the server. The kernel drops a process's hold on users however it ends, so the
// last to [Server.Close] stops the server, and what a killed process left running is adopted by the next.
//
// Postgres refuses to run as root; root's server runs as the user postgres, or nobody.
//
// Nothing here touches a server or a cluster that it did not make.
package local

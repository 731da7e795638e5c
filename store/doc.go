// Package store keeps the loop's state in Postgres: who annotates, what was asked and answered, what was
// judged, which models came of it, and how far every stage is.
//
// A [Store] speaks to one database as the role tandem_app, which may add judgments, labels and audit
// entries but never change them. [Migrate] brings the schema up as its owner. Package store/local runs a
// private server for machines without one.
//
// The nouns, a file each:
//
//	key.go         keys of programs, with scopes
//	annotator.go   people, their erasable identities, the audit
//	prompt.go      prompts, and the one train / held-out split
//	response.go    answers and the reward models' scores of them
//	import.go      comparisons from files
//	comparison.go  comparisons, streamed;  snapshot.go  frozen sets of them
//	project.go     projects and tasks
//	claim.go       a person's turn at a task;  draft.go  what they have not submitted yet
//	judgment.go    what they said of it;  verdict.go  whether that fits the task
//	decision.go    whether a round's version was promoted
//	model.go  round.go  run.go  unit.go   what is made of it all, and how far it is
//	delivery.go    which units want a worker
//
// Every time that decides something (a lease, an expiry) is Postgres's clock_timestamp(): the clocks of
// the machines that share a database need not agree. Errors are tandem's, with a code; SQLSTATEs stop here.
package store

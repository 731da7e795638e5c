// Package annotation is where people compare answers: the collecting end of the loop (Llama 2, section
// 3.2.1). Here are its operations under /api/v1, which programs and simulated annotators use; the pages
// that people use stand on the same ones.
//
// An annotator claims a task of a project and holds it for a while, judges it or skips it, and goes on.
// What holds for every operation:
//
//   - A judgment is never lost. Submitting is safe to repeat, by the Idempotency-Key that the client
//     draws once a judgment; a judgment that comes after its lease ran out is kept, as surplus if
//     somebody else has the place.
//   - An annotator is blind: which model wrote an answer is in no answer to the scope annotate.
//   - What is chosen is an answer, by its id, never a side.
//
// A file each: project.go and prompt.go and task.go for those who set the work up, claim.go, draft.go
// and judgment.go for those who do it. [Client] speaks to them all.
//
// Comparisons are prepared, or live: live.go is where annotators write prompts and watch them answered, sampling.go
// the queue of those answers ([Live]), variant.go what may give them.
package annotation

// Package pipeline orders the loop: a round's stages from a durable queue, one after another, each in
// shards that any number of workers share (Llama 2, section 3.2.3: RLHF-V1 … V5).
//
// A stage is units of work keyed (round, stage, shard), rows of tandem's own with a lease, a heartbeat and
// a fencing number; River only delivers them. A unit may be delivered twice, its worker may die or wake up
// too late: what counts is written in one transaction under the lease, so a result exists once or not yet.
package pipeline

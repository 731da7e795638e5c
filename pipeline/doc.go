// Package pipeline orders the loop: a round's stages from a durable queue, one after another, each in
// shards that any number of workers share (Llama 2, section 3.2.3: RLHF-V1 … V5).
//
// A stage is units of work keyed (round, stage, shard), rows of tandem's own with a lease, a heartbeat and
// a fencing number; River only delivers them. A unit may be delivered twice, its worker may die or wake up
// too late: what counts is written in one transaction under the lease, so a result exists once or not yet, and
// the folder of a model is taken away from whoever had the unit before (checkpoint.WithRight).
//
// A stage that makes a model works in the model's folder: run.json says what is being made, so that another
// run is refused; metrics.jsonl has every step's figures once, events.out.tfevents.tandem the same for
// TensorBoard; states holds what a run is resumed from.
package pipeline

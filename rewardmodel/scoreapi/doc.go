// Package scoreapi serves the combined score of a pair of reward models over HTTP (Llama 2, section 3.2.3):
// POST /v1/score for programs of one's own, and POST /get_reward, OpenRLHF's protocol for a remote reward.
//
// Its place in the loop is behind rewardmodel, whose [rewardmodel.Combiner] makes every number here, and beside
// trainers that run elsewhere and want rewards from these models.
//
// A request goes through four hands. It is rendered and cut into tokens where it arrives ([Pair]); a [Batcher]
// gathers what waits, takes the oldest item with those nearest to it in length, and runs both models over them; the
// resolver says whether the prompt probes safety ([PromptJudge]); and the combiner makes the score and its
// explanation. What a text scores depends on the text and the pair alone, to the bit, whatever it was batched with.
//
// [Serving] holds the pair that answers. When another model is promoted, [Serving.Watch] opens it and lets it take
// over; requests under way end with the pair that they began with.
package scoreapi

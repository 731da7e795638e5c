// Package rejection improves a policy by rejection sampling (Llama 2, section 3.2.3): sample K answers
// for each prompt from the newest policy, score them with the reward models, keep the best one as the new
// target. The targets go to supervised fine-tuning, which starts from the base model again; what is kept
// here is what ppo later starts from.
//
// The package sees a policy as a tandem.Generator and the reward models as a tandem.Scorer, and returns
// dialogues; it trains nothing itself.
package rejection

// Package tandem names the domain of Llama 2's reinforcement learning from human feedback
// (https://arxiv.org/abs/2307.09288): people compare two answers, two reward models learn from the
// comparisons, and rejection sampling and PPO tune a chat policy against their combined score.
//
// The folders beside this file are the loop:
//
//	annotation   collect: the service where people compare two answers
//	dataset      exchange: every file format in and out, the one train / held-out split
//	rewardmodel  learn: the helpfulness and the safety reward model and their combined score
//	rejection    improve: sample K answers, keep the best
//	ppo          improve: PPO against the combined score, near a reference policy
//	pretrain,sft fit a model to text and to dialogues
//	evaluation   measure: accuracy, win rates, drift
//	pipeline     order: the stages of a round, from a durable queue
//	llama        the model: weights, training graph, sampler
//	store        Postgres
//
// This package imports the standard library alone; everything else imports it.
package tandem

// Package ppo improves a policy against the combined score of the reward models by proximal policy
// optimisation (Llama 2, section 3.2.3; https://arxiv.org/abs/1707.06347):
//
//	max over π of E[R(g|p)],  R(g|p) = R̃_c(g|p) − β · D_KL(π_θ(g|p) ‖ π_0(g|p)),
//
// with R̃_c = whiten(logit(R_c)) and π_0 the checkpoint that PPO starts from. It is the last improvement
// of a round: it starts from the rejection-sampling model and hands its policy to evaluation.
//
// One iteration, in order (trainer.go): sample a batch of answers, with the policy's log-probabilities of their
// tokens; score them; take the reference's log-probabilities and the critic's values from the training graphs; turn scores and
// KL into per-token rewards (reward.go) and those into advantages (advantage.go); one gradient step of policy and
// critic for each minibatch (loss in llama/nn).
//
// Options beside the paper's objective, all off by default (Config): other estimators of the KL penalty, whitened
// rewards, a KL coefficient that holds a target, an end of an iteration's updates at a KL target, an entropy bonus,
// language modelling mixed in (ptx.go), low-rank adapters in place of the weights (models.go).
//
// What the paper leaves open and is decided here: whitening is over the batch; the KL penalty is k1, per
// token; advantages by GAE with γ = 1, λ = 0.95; the critic starts from the helpfulness model's trunk with
// a fresh head and is fitted alone for the first iterations; an answer that was cut at the token limit
// gets no bootstrapped value.
package ppo

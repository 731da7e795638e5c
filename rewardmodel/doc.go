// Package rewardmodel learns from comparisons: it trains the helpfulness and the safety reward model and
// combines their scores (Llama 2, sections 3.2.2 and 3.2.3).
//
// Its place in the loop is between annotation, whose comparisons it is fitted to, and rejection and ppo,
// which improve a policy against the score that a [Scorer] gives.
//
// A reward model is the chat model's own checkpoint with the next-token head replaced by a scalar head r,
// read at the last token of the dialogue. It is fitted by the ranking loss with a margin by degree,
//
//	L = −log σ(r(x, y_chosen) − r(x, y_rejected) − m(degree)),
//
// and the safety model also by binary cross-entropy of σ(r) with the answers' safe / unsafe labels. The
// ranking loss alone leaves the zero of r undefined; [Calibrate] says how r is to be read.
package rewardmodel

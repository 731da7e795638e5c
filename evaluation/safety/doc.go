// Package safety measures how safe a policy's texts are, by public sets of prompts (Llama 2, sections 4.1 and 4.4,
// appendices A.4.6 to A.4.8):
//
//   - BOLD (https://arxiv.org/abs/2101.11718): beginnings of texts about groups of people, and VADER's sentiment of what
//     the policy makes of them.
//   - ToxiGen (https://arxiv.org/abs/2203.09509): statements about minorities, hateful and neutral ones, and the share of
//     continuations that a [Classifier] finds toxic.
//   - AdvBench (https://arxiv.org/abs/2307.15043): requests for harm; XSTest (https://arxiv.org/abs/2308.01263): harmless
//     requests that sound dangerous, and dangerous ones like them; and prompts of one's own. Answers are judged by a safety
//     reward model and by package refusal: violations, refusals, false refusals.
//
// It stands beside package evaluation at the end of a round. [Answers] asks the policy and judges, [Measure] counts, each
// figure with its interval. Policies and reward models are seen through tandem.Generator and tandem.Scorer.
package safety

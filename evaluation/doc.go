// Package evaluation measures what the loop did to a policy: reward before and after, win rates by each
// reward model, drift from the reference policy, length, repetition and diversity (Llama 2, section 3.4);
// and how far its judges are to be trusted: where reward models are right, beside rules that understand
// nothing, and how they tell unsafe answers (section 3.2.2).
//
// Package harness beside it has the academic benchmarks of section 2.3.
//
// It stands at the end of a round, and its numbers decide nothing by themselves: promotion reads them in
// package pipeline. Reward models are seen through tandem.Scorer, so that this package never depends on
// how a score is made.
package evaluation

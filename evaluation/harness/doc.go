// Package harness measures what a policy knows and can do, by the academic benchmarks that Llama 2 reports (section 2.3 and
// tables 19 to 24): multiple-choice tasks by the log-likelihood of their answers, and code tasks by running what the
// policy writes. Files are read as their authors and Hugging Face publish them; prompts, the cut between a prompt's tokens
// and an answer's, and metrics are those of EleutherAI's lm-evaluation-harness
// (https://github.com/EleutherAI/lm-evaluation-harness, version 0.4.13), so that figures compare with published ones.
//
// It stands beside package evaluation at the end of a round: rounds change what a policy prefers, and these tasks tell whether
// it forgot something on the way. A policy is seen through tandem.LogProber and tandem.Generator, and its tokenizer through
// [Encoder]; code runs in package sandbox alone.
package harness

// Package ghost makes dialogues for Ghost Attention (Llama 2, section 3.3), by which a policy learns to hold on to an
// instruction that stands in the first message alone. It stands between a policy and its next fine-tuning: what it
// makes are dialogues for package sft.
//
//  1. An instruction is put before every user message of a dialogue, and the policy answers message by message
//     (Sample).
//  2. To train on, the instruction stays before the first message alone, and the loss of every token of earlier turns,
//     the assistant's included, is zero: the last answer is trained on (Sampled.Ghost).
//
// Instructions combine hobbies, languages and public figures, and are said in fewer words half of the time ("Always act
// as Napoleon from now." → "Figure: Napoleon."). Sampled.Plain is the control: the same dialogue and answer with the
// instruction where it was when it was sampled.
//
// Hold measures what came of it (table 30): the share of answers that keep the instruction, turn by turn.
package ghost

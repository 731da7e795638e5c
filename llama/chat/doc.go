// Package chat joins a model's weights, its tokenizer and its chat template into what the loop's stages
// ask for: a [Policy] that answers dialogues (tandem.Generator, tandem.LogProber), a [Classifier] that
// gives a dialogue its raw scalar, and a [Template] that renders dialogues into ids for generation,
// training and scoring. Training and scoring render by the same functions, so they cannot disagree about
// a role marker or a final EOS.
//
// # Where one piece of text ends
//
// A rendered dialogue is cut at every special token, and where each assistant message's prompt ends: what
// the template renders of the dialogue before it, with the generation prompt. The pieces are encoded one
// by one, so no token straddles a cut, the loss covers exactly the tokens that a policy would have to
// generate, and the prompt of a generation is, id for id, the beginning of the training example that
// continues it. transformers' apply_chat_template encodes text between special tokens as a whole, which
// gives other ids where a template puts no special token before the answer (Llama 2's does not) and the
// tokenizer would merge across the place.
//
// # Text that nobody vouches for
//
// A message that spells a special token is rendered with that spelling disguised, and encoded as ordinary
// text: nothing that a person or a model wrote becomes a special token. Templates themselves are run by
// package jinja within limits of time and memory.
package chat

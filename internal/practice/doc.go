// Package practice is a small world with a known truth, for the demo, for tests and for load: prompts in
// nine families about an invented town, answers of every quality, demonstrations to fine-tune on and
// text to pretrain on. It stands at the loop's start, in the place of people who write prompts and
// demonstrations (Llama 2, sections 3.1 and 3.2.1).
//
// # What is asked
//
// One fact about a person or an animal; two to four things of a kind; a chore in three steps; which of
// two animals is bigger, smaller, faster or slower; a sentence as a question, in the past or denied; a
// polite note; and, over two to four turns, facts and comparisons under an instruction in the first turn
// ("Always act as a pirate."). Borderline prompts sound dangerous and are not ("How do I kill a
// weed?"). Unsafe prompts ask for one of eighteen mild and abstract misdeeds in the three risk
// categories of section 4.2.1, half of them pressed by an attack vector. Only unsafe prompts are marked
// as safety prompts: they alone are for the safety model to judge whatever the answer.
//
// # What is a good answer
//
// The right content, complete, in the asked form, and nothing else: "Anna is a baker. She works at the
// bakery." A right but bare, hedged, miscounted or out-of-persona answer is middling; a false one, a
// refusal, another question's answer, half a sentence or a repeated one is bad. An unsafe prompt wants a
// refusal with the reason and a better idea. Package practice/gold puts numbers on all this, for any
// text whatever; nothing here knows them.
//
// # How a reward model can be fooled
//
// Polite openings ("Thank you for asking!") and closings that only add length are worth nothing. In
// demonstrations, and so in what a freshly tuned model says, they go with quality (Config.Cue); in
// answers from [World.Answer] they do not. A reward model that takes them for quality is hacked as soon
// as a policy learns to write them everywhere.
//
// # How it is drawn
//
// Everything is keyed by (seed, purpose, index), never by a stream: prompt 7 is the same whether or not
// prompt 6 was drawn. Which side of the train / held-out split a prompt stands on is tandem.HeldOut's to
// say, by its opening. Vocabulary and sentences are few and regular (about 900 words, dialogues of some
// 150 characters), so that a model of less than a million parameters learns them in minutes.
package practice

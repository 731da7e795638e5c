// Package corpus makes the text that a base model is fitted to: several sources, cleaned and mixed, the factual ones
// more than once (Llama 2, section 2.1). It stands before package pretrain, at the loop's very start.
//
// Documents pass four filters, in this order, source by source as the mixture lists them:
//
//   - length: in characters, see Clean;
//   - language: the likeliest of a document by its trigrams, where that is reliable;
//   - exact duplicates: the text in lower case with its white space folded, wherever it stood first;
//   - near duplicates: at least Clean.Near of the five-word sequences of two documents in common (the Jaccard index),
//     wherever the other stood first. Candidates are found by MinHash (Broder 1997) and then compared exactly.
//
// What is kept comes out in an order that is drawn once, each document as often as its source's Repeat says. Nothing here
// depends on how the work is divided or on the machine.
package corpus

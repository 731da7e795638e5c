// Package vader says how positive or negative a text is by VADER's lexicon and rules (Hutto & Gilbert 2014, "VADER: A
// Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text", ICWSM-14). Llama 2 measures bias with it
// (appendix A.4.7: BOLD).
//
// It follows the authors' implementation, vaderSentiment 3.3.2, figure for figure, its quirks included, since published
// figures are made with it; the tests hold what it says of some thousand texts. The lexicon and the emoji's
// descriptions are that package's, whose licence stands in LICENSE.vaderSentiment.
package vader

// Package statistics says how sure tandem may be of what it measures: intervals by bootstrap and in
// closed form, rank correlation, agreement between annotators (Llama 2, appendix A.3.1, reports Gwet's
// AC1 and AC2; beside them stand Krippendorff's α and Cohen's κ), ranking curves and calibration. It stands beside the loop: collection, reward models
// and evaluation call it, and it knows none of them.
//
// A statistic that a sample does not define is never NaN and never a silent zero: it comes back as an
// [Undefined] error that says why, in words that may stand in a report.
//
// Bootstrap intervals are the plain percentiles, and somewhat too narrow where a sample has few items;
// [Bootstrap] says how much.
//
// Randomness is keyed by (seed, replicate), so that an interval depends on its inputs alone.
package statistics

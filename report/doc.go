// Package report writes what a run found as one self-contained HTML file with plots, and the same data
// as JSON. It stands at the loop's end: evaluation measures, pipeline collects, report shows.
//
// A [Report] is plain data. [Report.WriteHTML] renders it without scripts and without loading anything
// from elsewhere: plots are inline SVG made by gonum.org/v1/plot, each with a caption and a table of its
// numbers for those who cannot see it. [Report.WriteJSON] writes the twin, and
// [Report.WriteMarkdown] words, tables and the charts' numbers. Text from models and people
// is escaped; a number that is not finite is refused by name, since neither form could show it. Estimates carry their interval, and charts draw it.
package report

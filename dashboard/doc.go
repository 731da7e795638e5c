// Package dashboard is where people watch the loop and look after it: rounds and their stages, runs with live curves of
// their metrics, events and cost, models with their lineage, what they answered and how they compare; how annotation goes
// (throughput, agreement, position bias, shares by batch, gold, remarks, disagreements; Llama 2, sections 3.2.1 and
// A.3.1); people, keys and the audit log. Here are its operations under /api/v1 and its pages.
package dashboard

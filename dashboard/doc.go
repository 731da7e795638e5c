// Package dashboard is where engineers watch the loop: models and their lineage, rounds, runs with their
// metrics and events. Here are its operations under /api/v1; nothing in it changes anything.
package dashboard

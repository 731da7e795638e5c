// Package migrations holds the database's schema as tern files, embedded in the binary. They only go
// forward. Package store runs them; its doc says which table keeps what.
//
// The schema repeats every rule of the domain that a row can break as a constraint, and every enum of
// the root package as a CHECK; a test in package store compares the two.
package migrations

import "embed"

// Files holds NNNN_name.sql, numbered from 0001 without gaps.
//
//go:embed *.sql
var Files embed.FS

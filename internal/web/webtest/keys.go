// Package webtest stands in for what the APIs have around them, in their tests.
package webtest

import (
	"context"

	"tandem"
	"tandem/store"
)

// Keys are secrets of programs and the scope that each has; others are not known.
type Keys map[string]store.Scope

// VerifyKey returns the key of a secret.
func (k Keys) VerifyKey(_ context.Context, secret string) (store.Key, error) {
	scope, ok := k[secret]
	if !ok {
		return store.Key{}, tandem.Errorf(tandem.Unauthorized, "test", "the key is not valid")
	}
	return store.Key{ID: secret, Name: "test", Scopes: []store.Scope{scope}}, nil
}

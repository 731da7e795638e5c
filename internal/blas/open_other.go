//go:build !((darwin || linux) && (amd64 || arm64)) || android || ios

package blas

import "errors"

type candidate struct{ kind, path string }

func candidates() []candidate { return nil }

func open(path, coreType string) (*Library, error) {
	return nil, errors.New("shared libraries are not loaded on this platform")
}

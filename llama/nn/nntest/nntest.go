// Package nntest gives tests a device to compute with.
package nntest

import (
	"testing"

	"tandem/internal/blas"
	"tandem/internal/parallel"
	"tandem/llama/nn"
	"tandem/llama/nn/kernel"
)

// Plain is a device of what every machine has, gonum where the vector kernels do not multiply, on two workers.
func Plain(t testing.TB) *nn.CPU { return device(t, blas.Options{Name: "gonum"}) }

// Fast is a device with the fastest library installed, on two workers.
func Fast(t testing.TB) *nn.CPU { return device(t, blas.Options{}) }

func device(t testing.TB, o blas.Options) *nn.CPU {
	t.Helper()
	library, err := blas.Load(o)
	if err != nil {
		t.Fatal(err)
	}
	kernels, err := kernel.Select("")
	if err != nil {
		t.Fatal(err)
	}
	return nn.NewCPU(library, kernels, parallel.New(2))
}

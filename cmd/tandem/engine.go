package main

import (
	"log/slog"
	"os"
	"runtime/debug"

	"tandem/internal/blas"
	"tandem/internal/parallel"
	"tandem/llama"
	"tandem/llama/chat"
	"tandem/llama/nn"
	"tandem/llama/nn/kernel"
	"tandem/pipeline"
)

// engineFlags choose what computes; every command that runs a model has them.
type engineFlags struct {
	BLAS string `name:"blas" help:"Matrix products where the vector kernels are plain: openblas, accelerate, gonum or a library's path (default: the fastest installed)." placeholder:"NAME" group:"engine"`
	inferenceFlags
}

// inferenceFlags choose what computes where nothing is trained: sampling and scoring have one product of
// their own, whose rows do not depend on their batch, and no BLAS.
type inferenceFlags struct {
	Kernel  string `enum:",avx512,avx2,plain" default:"" help:"Vector kernels: avx512, avx2 or plain (default: the fastest of this processor)." placeholder:"NAME" group:"engine"`
	Workers int    `help:"Goroutines that compute (default: one for each core)." placeholder:"N" group:"engine"`
}

// engine is what computes.
type engine struct {
	library *blas.Library
	kernels *kernel.Set
	workers parallel.Workers
	device  nn.Device
}

// open finds the BLAS and the kernels, and says once when the machine could do much better.
func (f engineFlags) open(w *world) (*engine, error) {
	library, err := blas.Load(blas.Options{Name: f.BLAS})
	if err != nil {
		return nil, err
	}
	kernels, err := f.kernels()
	if err != nil {
		return nil, err
	}
	switch {
	case library.Fast() || f.BLAS != "":
	case kernels.Vectorized():
		w.log.Info("OpenBLAS is not installed: tandem's own kernels multiply", "kernels", kernels.Name())
	default:
		w.log.Warn("OpenBLAS is not installed: training works, several times slower", "products", library.Name())
	}
	if os.Getenv("GOGC") == "" {
		// Nearly all memory is weights, moments and activations, which hold no pointers. Garbage that gathers until it is as
		// much again would double them, and to collect it sooner costs next to nothing.
		debug.SetGCPercent(25)
	}
	e := &engine{library: library, kernels: kernels, workers: parallel.New(f.Workers)}
	e.device = nn.NewCPU(library, kernels, e.workers)
	return e, nil
}

// identity names what multiplies and the kernels, for which results are promised to be the same to the bit.
func (e *engine) identity() string { return e.device.String() }

// kernels are the vector kernels that the flags or the environment choose.
func (f inferenceFlags) kernels() (*kernel.Set, error) {
	name := f.Kernel
	if name == "" { // OpenBLAS held to AVX2 means a fair comparison by AVX2 throughout
		name = kernel.NameForCoreType(os.Getenv("OPENBLAS_CORETYPE"))
	}
	return kernel.Select(name)
}

// config is how policies and classifiers run.
func (f inferenceFlags) config() (chat.Config, error) {
	kernels, err := f.kernels()
	return chat.Config{
		Sampler: llama.SamplerConfig{Workers: f.Workers, Kernel: kernels},
		Forward: llama.ForwardConfig{Workers: f.Workers, Kernel: kernels},
	}, err
}

// studio computes the stages with the engine.
func (e *engine) studio(log *slog.Logger) *pipeline.Studio {
	return &pipeline.Studio{Device: e.device, Kernels: e.kernels, Workers: e.workers.Count(), Kernel: e.identity(), Log: log}
}

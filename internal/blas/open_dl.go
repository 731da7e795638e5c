//go:build (darwin || linux) && (amd64 || arm64) && !android && !ios

package blas

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/ebitengine/purego"
)

// candidate is a library that may be installed.
type candidate struct{ kind, path string }

// candidates lists where the libraries are, the best first. Bare names go through the system's search
// path, LD_LIBRARY_PATH included.
func candidates() []candidate {
	if runtime.GOOS == "darwin" {
		return []candidate{
			{"accelerate", "/System/Library/Frameworks/Accelerate.framework/Accelerate"},
			{"openblas", "/opt/homebrew/opt/openblas/lib/libopenblas.dylib"},
			{"openblas", "/usr/local/opt/openblas/lib/libopenblas.dylib"},
			{"openblas", "libopenblas.dylib"},
		}
	}
	paths := []string{
		"libopenblas.so.0", // Debian's alternative, Fedora's serial build, Arch
		"libopenblasp.so.0",
		"libopenblaso.so.0",
		"libopenblas.so",
	}
	for _, pattern := range []string{ // for when an alternative was not set up
		"/usr/lib/*-linux-gnu/openblas-*/libopenblas.so.0",
		"/usr/lib64/libopenblas*.so.0",
		"/opt/OpenBLAS/lib/libopenblas.so.0",
		"/home/linuxbrew/.linuxbrew/opt/openblas/lib/libopenblas.so.0",
	} {
		found, _ := filepath.Glob(pattern) // the patterns are well-formed
		paths = append(paths, found...)
	}
	var all []candidate
	for _, p := range paths {
		all = append(all, candidate{"openblas", p})
	}
	return all
}

// CBLAS's enumerations (cblas.h).
const (
	rowMajor     = 101
	noTransposed = 111
	transposed   = 112
)

// open loads the library at path and turns its own threads off.
func open(path, coreType string) (*Library, error) {
	// The library reads its environment while it is loaded. Go's os.Setenv does not reach C's environment
	// without cgo, so the C function is called. OPENBLAS_NUM_THREADS keeps OpenBLAS from starting threads
	// that would never be used; Accelerate's name for the same is VECLIB_MAXIMUM_THREADS.
	setenv("OPENBLAS_NUM_THREADS", "1")
	setenv("VECLIB_MAXIMUM_THREADS", "1")
	if coreType != "" {
		setenv("OPENBLAS_CORETYPE", coreType)
	}
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, err
	}
	address, err := purego.Dlsym(handle, "cblas_sgemm")
	if err != nil {
		return nil, fmt.Errorf("%s has no cblas_sgemm: %w", path, err)
	}
	l := &Library{name: libraryName(path), path: path, gemm: cblas(address)}
	if setThreads, err := purego.Dlsym(handle, "openblas_set_num_threads"); err == nil {
		var set func(n int32)
		purego.RegisterFunc(&set, setThreads)
		set(1)
	}
	l.detail = call(handle, "openblas_get_config")
	l.kernel = call(handle, "openblas_get_corename")
	// The configuration ends with the kernel and the threads that it was built for: "… SkylakeX MAX_THREADS=64".
	if before, _, found := strings.Cut(l.detail, " "+l.kernel+" "); found && l.kernel != "" {
		l.detail = before
	}
	return l, nil
}

// libraryName tells the libraries apart by file name.
func libraryName(path string) string {
	switch base := strings.ToLower(filepath.Base(path)); {
	case strings.Contains(base, "openblas"):
		return "OpenBLAS"
	case base == "accelerate":
		return "Accelerate"
	}
	return path
}

// cblas wraps the C function cblas_sgemm at address.
func cblas(address uintptr) gemmFunc {
	var sgemm func(order, transA, transB, m, n, k int32, alpha float32, a *float32, lda int32, b *float32, ldb int32, beta float32, c *float32, ldc int32)
	purego.RegisterFunc(&sgemm, address)
	trans := func(t bool) int32 {
		if t {
			return transposed
		}
		return noTransposed
	}
	return func(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
		sgemm(rowMajor, trans(transA), trans(transB), int32(m), int32(n), int32(k),
			alpha, &a[0], int32(lda), &b[0], int32(ldb), beta, &c[0], int32(ldc))
	}
}

// call returns the text that a C function without arguments gives, or "" where the library has none.
func call(handle uintptr, name string) string {
	address, err := purego.Dlsym(handle, name)
	if err != nil {
		return ""
	}
	var text func() string
	purego.RegisterFunc(&text, address)
	return strings.TrimSpace(text())
}

// setenv sets a variable in C's environment.
func setenv(name, value string) {
	address, err := purego.Dlsym(purego.RTLD_DEFAULT, "setenv")
	if err != nil {
		return // the library then starts threads, and they are told to rest below
	}
	var set func(name, value string, overwrite int32) int32
	purego.RegisterFunc(&set, address)
	set(name, value, 1)
}

// Package sharedtest finds the public data that some tests use. It lies outside the project and nothing of
// it is copied in: without it those tests skip and say so.
package sharedtest

import (
	"os"
	"path/filepath"
	"testing"
)

// Path joins elements to the folder of the data: TANDEM_SHARED_DATA, or the folder shared/data of the
// package's folder or one above it. Without such a folder the test is skipped.
func Path(t testing.TB, elements ...string) string {
	t.Helper()
	folder := os.Getenv("TANDEM_SHARED_DATA")
	at, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; folder == "" && at != filepath.Dir(at); at = filepath.Dir(at) {
		if info, err := os.Stat(filepath.Join(at, "shared", "data")); err == nil && info.IsDir() {
			folder = filepath.Join(at, "shared", "data")
		}
	}
	if folder == "" {
		t.Skip("there is no folder shared/data above the package, and TANDEM_SHARED_DATA is not set")
	}
	return filepath.Join(append([]string{folder}, elements...)...)
}

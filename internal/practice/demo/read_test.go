package demo

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"
)

// read reads the JSON lines of a file.
func read[T any](t *testing.T, path string) []T {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var items []T
	decoder := json.NewDecoder(bufio.NewReader(f))
	for decoder.More() {
		var item T
		if err := decoder.Decode(&item); err != nil {
			t.Fatal(err)
		}
		items = append(items, item)
	}
	return items
}

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// modelPath is the model that a path names: the path itself, or for a folder with no more than llama2.c's
// files that model's .bin.
func modelPath(path string) string {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return path
	}
	if _, err := os.Stat(filepath.Join(path, "config.json")); err == nil {
		return path
	}
	found, _ := filepath.Glob(filepath.Join(path, "*.bin")) // fails on a malformed pattern alone
	found = slices.DeleteFunc(found, func(file string) bool { return strings.HasPrefix(filepath.Base(file), "tok") })
	if len(found) == 1 {
		return found[0]
	}
	return path
}

// tokenizerPath is where a model's tokenizer lies: in its folder, or beside llama2.c's .bin.
func tokenizerPath(model string) string {
	if info, err := os.Stat(model); err == nil && !info.IsDir() && filepath.Ext(model) == ".bin" && !strings.HasPrefix(filepath.Base(model), "tok") {
		return filepath.Dir(model)
	}
	return model
}

package sandbox

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"

	"tandem"
)

// runnerProgram is what the interpreter is started with: it takes the limits on itself and runs the program that comes on
// standard input.
//
//go:embed runner.py
var runnerProgram string

// python is an interpreter of the machine.
type python struct {
	Executable string   `json:"executable"`
	Folders    []string `json:"folders"` // that it lies in
	Version    string   `json:"version"`
}

// findPython asks an interpreter where it lies. It may be a script that chooses one.
func findPython(ctx context.Context, name string) (p python, err error) {
	if name == "" {
		name = "python3"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return p, tandem.Errorf(tandem.NotFound, op, "code tasks are run by Python, and there is no %s: install it, or name another", name)
	}
	out, err := exec.CommandContext(ctx, path, "-I", "-c", `import json, os, platform, sys
folders = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, os.path.dirname(sys.executable)}
folders |= {os.path.realpath(f) for f in folders | {os.path.dirname(os.path.realpath(sys.executable))}}
print(json.dumps({"executable": sys.executable, "folders": sorted(folders), "version": platform.python_version()}))`).Output()
	if err == nil {
		err = json.Unmarshal(out, &p)
	}
	if err == nil && p.Executable == "" {
		err = errors.New("it does not know where it lies")
	}
	if err != nil {
		if ctx.Err() != nil {
			return p, ctx.Err()
		}
		return p, tandem.Errorf(tandem.NotFound, op, "%s is no Python that works: %w", path, err)
	}
	return p, nil
}

// within says whether a path is a folder or lies in it.
func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/")
}

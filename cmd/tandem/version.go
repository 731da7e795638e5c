package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
)

// versionCommand prints what is running and what computes.
type versionCommand struct {
	engineFlags
}

// versionReport is version's JSON.
type versionReport struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	BLAS     string `json:"blas"`
	Library  string `json:"blas_path,omitempty"`
	Kernels  string `json:"kernels"`
	Workers  int    `json:"workers"`
}

func (c *versionCommand) Run(w *world) error {
	e, err := c.open(w)
	if err != nil {
		return err
	}
	r := versionReport{
		Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		BLAS: e.library.String(), Library: e.library.Path(), Kernels: e.kernels.Name(), Workers: e.workers.Count(),
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		r.Version = info.Main.Version
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				r.Commit = s.Value
			case "vcs.modified":
				r.Modified = s.Value == "true"
			}
		}
	}
	if w.json {
		return json.NewEncoder(w.out).Encode(r)
	}
	_, err = fmt.Fprintf(w.out, "tandem %s (%s, %s)\nmatrix products: %s\nvector kernels:  %s\nworkers:         %d\n",
		r.Version, r.Go, r.Platform, r.BLAS, r.Kernels, r.Workers)
	return err
}

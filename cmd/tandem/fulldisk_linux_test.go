package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A disk that is full where a stage writes: the command names the file and fails, and with room again it
// goes on to the weights of an undisturbed run.
func TestStagesOnAFullDisk(t *testing.T) {
	f := makeStageFiles(t)
	for _, stage := range []string{"sft", "ppo"} {
		t.Run(stage, func(t *testing.T) {
			whole := filepath.Join(t.TempDir(), "whole")
			tandemRun(t, "", append(f.command(stage, 20), "--out", whole)...).ok(t)
			disk := smallDisk(t, "8m")
			filler := filepath.Join(disk, "filler")
			fill(t, filler)
			out := filepath.Join(disk, "out")
			args := append(f.command(stage, 20), "--out", out)
			r := tandemRun(t, "", args...)
			if r.code != exitFailed || !strings.Contains(r.stderr, disk) || !strings.Contains(r.stderr, "no space left on device") {
				t.Errorf("on a full disk: exit %d, %s", r.code, r.stderr)
			}
			if _, err := os.Stat(filepath.Join(out, "model.safetensors")); err == nil {
				t.Error("a model lies on the full disk")
			}
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
			tandemRun(t, "", append(args, "--resume")...).ok(t)
			var weights [2][]byte
			for i, folder := range []string{whole, out} {
				var err error
				if weights[i], err = os.ReadFile(filepath.Join(folder, "model.safetensors")); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(weights[0], weights[1]) {
				t.Error("the weights differ from an undisturbed run's")
			}
		})
	}
}

// smallDisk mounts a file system of its own, which takes a user who may.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	disk := t.TempDir()
	if err := syscall.Mount("tandem-test", disk, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	return disk
}

// fill writes until the disk takes no more but a page or two, so that folders and short files still can be.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size := int64(0)
	for {
		n, err := f.Write(make([]byte, 1<<12))
		size += int64(n)
		if err != nil {
			break
		}
	}
	if err := f.Truncate(size - 2<<12); err != nil {
		t.Fatal(err)
	}
}

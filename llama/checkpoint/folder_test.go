package checkpoint

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"tandem"
)

// version is the seed of the tiny model that dir holds, 0 if it holds none. A model of mixed parts fails
// the test.
func version(t *testing.T, dir string) uint64 {
	t.Helper()
	m, err := Load(context.Background(), dir)
	if tandem.CodeOf(err) == tandem.NotFound {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(context.Background(), dir); err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(10) {
		want := tinyModel(tiny(), false, seed)
		if slices.Equal(want.Weights.Embed, m.Weights.Embed) {
			equalWeights(t, m.Weights, want.Weights)
			if string(m.Files["tokenizer.json"]) != string(want.Files["tokenizer.json"]) {
				t.Fatalf("version %d has the tokenizer %s", seed, m.Files["tokenizer.json"])
			}
			return seed
		}
	}
	t.Fatal("the weights are of no version")
	return 0
}

func isStaging(name string) bool { return strings.HasPrefix(name, stagingPrefix) }

// options differ from version to version in the number of shards, so that files come and go.
func options(seed uint64) SaveOptions {
	return SaveOptions{MaxShardBytes: int64(4000 * (4*(seed%2) + 1))}
}

func save(t *testing.T, dir string, seed uint64) {
	t.Helper()
	if err := Save(context.Background(), dir, tinyModel(tiny(), false, seed), options(seed)); err != nil {
		t.Fatal(err)
	}
}

// copies returns a function that makes new folders which hold version old, or nothing if it is 0.
func copies(t *testing.T, old uint64) func() string {
	t.Helper()
	original := filepath.Join(t.TempDir(), "m")
	if old != 0 {
		save(t, original, old)
	}
	return func() string {
		dir := filepath.Join(t.TempDir(), "m")
		if old != 0 {
			if err := os.CopyFS(dir, os.DirFS(original)); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
}

// saveFailing saves version seed to a folder whose k-th change fails, and every later one too unless once.
// It reports false when the save ended before.
func saveFailing(dir string, seed uint64, k int, once bool, fail func(path string) error) (error, bool) {
	changes := -1
	s := &folder{root: dir, fault: func(path string) error {
		if changes++; changes == k || changes > k && !once {
			return fail(path)
		}
		return nil
	}}
	err := SaveTo(context.Background(), s, ".", tinyModel(tiny(), false, seed), options(seed))
	return err, changes >= k
}

// TestDyingDisk stops a save for good before each of its changes to the disk. Whatever the moment, the
// folder then holds the old version or the new one, whole, and can be saved to again.
func TestDyingDisk(t *testing.T) {
	for _, old := range []uint64{0, 1} {
		var seen []uint64
		folder := copies(t, old)
		for k := 0; ; k++ {
			dir := folder()
			err, failed := saveFailing(dir, 2, k, false, func(string) error { return syscall.EIO })
			if failed != (err != nil) {
				t.Fatalf("change %d: %v", k, err)
			}
			seen = append(seen, version(t, dir))
			if k%3 != 0 && failed {
				continue
			}
			save(t, dir, 3)
			if v := version(t, dir); v != 3 {
				t.Fatalf("change %d: version %d after another save", k, v)
			}
			if names := list(t, dir); slices.ContainsFunc(names, isStaging) {
				t.Fatalf("change %d: another save leaves %v", k, names)
			}
			if !failed {
				break
			}
		}
		if !slices.IsSorted(seen) || seen[0] != old || seen[len(seen)-1] != 2 || len(seen) < 20 {
			t.Errorf("from version %d the crashes gave %v", old, seen)
		}
	}
}

// TestFullDisk: one change fails, as writing to a full disk does, and the clean-up succeeds.
func TestFullDisk(t *testing.T) {
	folder := copies(t, 1)
	for k := 0; ; k++ {
		dir := folder()
		before := list(t, dir)
		var path string
		err, failed := saveFailing(dir, 2, k, true, func(p string) error { path = p; return syscall.ENOSPC })
		if !failed {
			if k < 20 {
				t.Errorf("a save makes only %d changes", k)
			}
			return
		}
		if tandem.CodeOf(err) != tandem.Unavailable || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path) {
			t.Errorf("change %d to %s: %v", k, path, err)
		}
		left := slices.DeleteFunc(list(t, dir), func(name string) bool { return slices.Contains(before, name) })
		if v := version(t, dir); v == 1 && len(left) > 0 {
			t.Errorf("change %d to %s: %v is left", k, path, left)
		} else if v != 1 && v != 2 {
			t.Errorf("change %d to %s: version %d", k, path, v)
		}
	}
}

// TestKill kills another process in the middle of a save.
func TestKill(t *testing.T) {
	if at := os.Getenv("TANDEM_TEST_KILL_AT"); at != "" {
		k, _ := strconv.Atoi(at)
		_, _ = saveFailing(os.Getenv("TANDEM_TEST_DIR"), 2, k, false, func(string) error {
			return errors.Join(syscall.Kill(os.Getpid(), syscall.SIGKILL), errors.New("still alive"))
		})
		return
	}
	var seen []uint64
	folder := copies(t, 1)
	for k := 5; ; k += 9 {
		dir := folder()
		child := exec.Command(os.Args[0], "-test.run=^TestKill$")
		child.Env = append(os.Environ(), "TANDEM_TEST_KILL_AT="+strconv.Itoa(k), "TANDEM_TEST_DIR="+dir)
		err := child.Run()
		seen = append(seen, version(t, dir))
		if err == nil {
			break
		}
		save(t, dir, 3)
		if v := version(t, dir); v != 3 {
			t.Fatalf("killed at change %d: version %d after another save", k, v)
		}
	}
	if !slices.IsSorted(seen) || seen[0] != 1 || seen[len(seen)-1] != 2 {
		t.Errorf("the kills gave the versions %v", seen)
	}
}

// TestReadersAndWriters: while versions follow one another, every reader sees one of them whole, and of
// two writers at once one is told of the other.
func TestReadersAndWriters(t *testing.T) {
	ctx, dir := context.Background(), filepath.Join(t.TempDir(), "m")
	save(t, dir, 1)
	done := make(chan struct{})
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				m, err := Load(ctx, dir)
				if err != nil {
					t.Error(err)
					return
				}
				seed := uint64(m.Files["tokenizer.json"][8] - '0')
				if !slices.Equal(m.Weights.Params()[3].Data, tinyModel(tiny(), false, seed).Weights.Params()[3].Data) {
					t.Errorf("weights and tokenizer of different versions")
					return
				}
			}
		})
	}
	for i := range uint64(20) {
		save(t, dir, i%9+1)
	}
	close(done)
	wait.Wait()

	w, err := Folder(dir).Create(ctx, ".")
	if err != nil {
		t.Fatal(err)
	}
	if err := Save(ctx, dir, tinyModel(tiny(), false, 1), SaveOptions{}); tandem.CodeOf(err) != tandem.Conflict || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second writer: %v", err)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	save(t, dir, 5)
}

// TestCancelled: a save whose context ends leaves the old version.
func TestCancelled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	save(t, dir, 1)
	ctx, cancel := context.WithCancel(context.Background())
	s := &folder{root: dir, fault: func(path string) error {
		if strings.HasSuffix(path, ".safetensors") {
			cancel()
		}
		return nil
	}}
	if err := SaveTo(ctx, s, ".", tinyModel(tiny(), false, 2), SaveOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("saving with a cancelled context: %v", err)
	}
	if v := version(t, dir); v != 1 {
		t.Errorf("version %d", v)
	}
	if names := list(t, dir); slices.ContainsFunc(names, isStaging) {
		t.Errorf("%v is left", names)
	}
	if _, err := Load(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("loading with a cancelled context: %v", err)
	}
}

func TestFolderNames(t *testing.T) {
	ctx, s := context.Background(), Folder(t.TempDir())
	for _, name := range []string{"", "..", "../x", "/x", "x/../y", ".staging", "x/.y", "x//y"} {
		if _, err := s.Create(ctx, name); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("checkpoint %q: %v", name, err)
		}
	}
	w, err := s.Create(ctx, "a/b")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", ".", "..", "../x", "/x", "x/y", ".x", lockName, manifestName, draftName, `x\y`, "c:x"} {
		if _, err := w.Create(name); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("file %q: %v", name, err)
		}
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if names, err := s.List(ctx, "a"); err != nil || len(names) != 0 {
		t.Errorf("after an abort there is %v, %v", names, err)
	}
}

// TestRemove deletes a checkpoint and leaves what lies beside it.
func TestRemove(t *testing.T) {
	ctx, root := context.Background(), t.TempDir()
	s := Folder(root)
	save(t, filepath.Join(root, "a"), 1)
	save(t, filepath.Join(root, "b"), 2)
	put(t, filepath.Join(root, "b", "notes.txt"), []byte("mine"))
	if names, err := s.List(ctx, "."); err != nil || !slices.Equal(names, []string{"a", "b"}) {
		t.Fatalf("%v, %v", names, err)
	}
	for _, name := range []string{"a", "b"} {
		if err := s.Remove(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	if names := list(t, root); !slices.Equal(names, []string{"b"}) {
		t.Errorf("%v is left", names)
	}
	if names := list(t, filepath.Join(root, "b")); !slices.Equal(names, []string{"notes.txt"}) {
		t.Errorf("%v is left", names)
	}
}

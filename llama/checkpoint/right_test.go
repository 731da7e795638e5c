package checkpoint

import (
	"context"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"tandem"
)

// rights are of two workers, of which one at a time may write.
type rights struct{ holder atomic.Int32 }

func (r *rights) of(worker int32) context.Context {
	return WithRight(context.Background(), func(context.Context) error {
		if r.holder.Load() != worker {
			return tandem.Errorf(tandem.Stale, "test", "worker %d has lost its right", worker)
		}
		return nil
	})
}

// TestLateWriter stops a writer before each of its changes to the disk, lets another take the folder over,
// and then lets the first go on, all its locks in its hands. The second waits for nothing, and the first
// changes nothing any more, though it asked for its right before.
func TestLateWriter(t *testing.T) {
	for name, second := range map[string]func(*testing.T, context.Context, string){
		"takes over": func(t *testing.T, ctx context.Context, dir string) {},
		"writes": func(t *testing.T, ctx context.Context, dir string) {
			if err := Save(ctx, dir, tinyModel(tiny(), false, 3), options(3)); err != nil {
				t.Fatal(err)
			}
		},
		"reads": func(t *testing.T, ctx context.Context, dir string) {
			if _, err := Load(ctx, dir); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			fresh := copies(t, 1)
			var seen []uint64
			step := 1
			if name == "reads" { // waits a while for a commit to be finished
				step = 5
			}
			for k := 0; ; k += step {
				dir := fresh()
				var r rights
				stopped, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
				go func() {
					changes := -1
					s := &folder{root: dir, fault: func(string) error {
						if changes++; changes == k {
							close(stopped)
							<-goOn
						}
						return nil
					}}
					ended <- SaveTo(r.of(0), s, ".", tinyModel(tiny(), false, 2), options(2))
				}()
				select {
				case <-stopped:
				case err := <-ended:
					if err != nil || k < 20 || seen[0] == seen[len(seen)-1] && name != "writes" {
						t.Errorf("%d changes, ending in the versions %v: %v", k, seen, err)
					}
					return
				}
				r.holder.Store(1)
				if name != "reads" { // whoever only reads finishes what is committed, and waits for nobody
					if err := TakeOver(r.of(1), dir); err != nil {
						t.Fatalf("change %d: %v", k, err)
					}
				}
				second(t, r.of(1), dir)
				before := list(t, dir)
				v := version(t, dir)
				close(goOn)
				err := <-ended
				if now := version(t, dir); now != v && !(name == "reads" && v == 1 && now == 2) {
					t.Fatalf("change %d: version %d became %d (%v)", k, v, now, err)
				}
				if after := list(t, dir); name != "reads" && !slices.Equal(before, after) {
					t.Fatalf("change %d: %v became %v", k, before, after)
				}
				seen = append(seen, v)
			}
		})
	}
}

// TestNoRight: who has lost the right begins nothing, and leaves nothing behind.
func TestNoRight(t *testing.T) {
	var r rights
	dir := filepath.Join(t.TempDir(), "m")
	save(t, dir, 1)
	before := list(t, dir)
	for name, write := range map[string]func() error{
		"a save":    func() error { return Save(r.of(1), dir, tinyModel(tiny(), false, 2), SaveOptions{}) },
		"a lineage": func() error { return WriteLineage(r.of(1), dir, tandem.Model{ID: "late"}) },
		"a state":   func() error { return NewStates(Folder(dir), "states", 1).Save(r.of(1), 1, nil, nil) },
		"a removal": func() error { return Folder(dir).Remove(r.of(1), ".") },
	} {
		if err := write(); tandem.CodeOf(err) != tandem.Stale {
			t.Errorf("%s without the right: %v", name, err)
		}
		if names := list(t, dir); !slices.Equal(names, before) || version(t, dir) != 1 {
			t.Errorf("%s without the right left %v", name, names)
		}
	}
}

// TestManyWriters: of writers that begin at once each writes in the end or is told of another, and none
// finds a mixture.
func TestManyWriters(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	ended := make(chan error)
	for seed := range uint64(8) {
		go func() {
			for range 5 {
				err := Save(context.Background(), dir, tinyModel(tiny(), false, seed+1), options(seed))
				if tandem.CodeOf(err) == tandem.Conflict {
					err = nil
				}
				ended <- err
			}
		}()
	}
	for range 40 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if v := version(t, dir); v == 0 {
		t.Error("nobody wrote")
	}
	if names := list(t, dir); slices.ContainsFunc(names, isStaging) {
		t.Errorf("%v is left", names)
	}
}

package checkpoint

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tandem"
)

func TestStates(t *testing.T) {
	type meta struct {
		Seed uint64
		Loss float64
	}
	ctx, dir := context.Background(), t.TempDir()
	s := NewStates(Folder(dir), "states", 2)
	if steps, err := s.Steps(ctx); err != nil || len(steps) != 0 {
		t.Fatalf("a run without states has %v, %v", steps, err)
	}
	tensors := []Tensor{{"b", []int{2, 2}, []float32{1, 2, 3, -0.1}}, {"a", []int{1}, []float32{1e-42}}, {"empty", []int{0}, []float32{}}}
	for step := range int64(4) {
		tensors[0].Data[0] = float32(step)
		if err := s.Save(ctx, step*1000, meta{1<<63 + uint64(step), 0.1}, tensors); err != nil {
			t.Fatal(err)
		}
	}
	if steps, err := s.Steps(ctx); err != nil || !slices.Equal(steps, []int64{2000, 3000}) {
		t.Fatalf("kept %v, %v", steps, err)
	}
	var m meta
	got, err := s.Load(ctx, 3000, &m)
	if err != nil {
		t.Fatal(err)
	}
	if m.Seed != 1<<63+3 || m.Loss != 0.1 {
		t.Errorf("meta %+v", m)
	}
	for i, want := range tensors {
		if got[i].Name != want.Name || !slices.Equal(got[i].Shape, want.Shape) || !slices.Equal(got[i].Data, want.Data) {
			t.Errorf("tensor %+v, want %+v", got[i], want)
		}
	}
	into := []Tensor{{"a", []int{1}, make([]float32, 1)}, {"empty", []int{0}, nil}, {"b", []int{2, 2}, make([]float32, 4)}}
	if err := s.Restore(ctx, 2000, &m, into); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(into[2].Data, []float32{2, 2, 3, -0.1}) {
		t.Errorf("restored %v", into[2].Data)
	}
	for name, wrong := range map[string][]Tensor{
		"missing": append(into[:3:3], Tensor{"c", []int{1}, make([]float32, 1)}),
		"extra":   into[:2],
		"shape":   {into[0], into[1], {"b", []int{4}, make([]float32, 4)}},
	} {
		if err := s.Restore(ctx, 2000, &m, wrong); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Load(ctx, 1000, &m); tandem.CodeOf(err) != tandem.NotFound {
		t.Errorf("a state that was removed: %v", err)
	}
	path := filepath.Join(dir, "states", "step-000003000", tensorsFile)
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(ctx, 3000, &m); tandem.CodeOf(err) != tandem.Corrupt {
		t.Errorf("a truncated state: %v", err)
	}
}

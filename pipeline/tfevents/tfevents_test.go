package tfevents

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// at is a moment in seconds.
func at(s float64) time.Time {
	whole, part := math.Modf(s)
	return time.Unix(int64(whole), int64(part*1e9))
}

// The bytes are those that TensorBoard's own classes write of the same figures (testdata/golden.py).
func TestBytesAreTensorBoards(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("testdata", "golden.tfevents.tandem"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), Name)
	w := open(t, path, 0, at(1.7e9))
	for _, e := range []struct {
		at      float64
		step    int64
		scalars map[string]float64
	}{
		{1700000001.5, 0, map[string]float64{"loss": 3.5}},
		{1700000002.25, 1, map[string]float64{"objective/kl": -0.125, "loss": 2.25}},
		{1700000003, 300, map[string]float64{"loss": math.NaN(), "objective/kl": 1e30}},
	} {
		if err := w.Add(at(e.at), e.step, e.scalars); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); !bytes.Equal(got, want) {
		t.Errorf("got\n% x\nwant\n% x", got, want)
	}
}

func open(t *testing.T, path string, after int64, now time.Time) *Writer {
	t.Helper()
	f, err := os.Create(path + ".new")
	if err != nil {
		t.Fatal(err)
	}
	w, err := Continue(f, path, after, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		t.Fatal(err)
	}
	return w
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A run that is resumed from an earlier state, or after its last one, has each step once.
func TestResumed(t *testing.T) {
	folder := t.TempDir()
	write := func(name string, after, from, to int64) []byte {
		t.Helper()
		path := filepath.Join(folder, name)
		w := open(t, path, after, at(1))
		for step := from; step <= to; step++ {
			if err := w.Add(at(2), step, map[string]float64{"loss": float64(step)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return read(t, path)
	}
	want := write("straight", 0, 1, 9)
	write("resumed", 0, 1, 6)
	write("resumed", 4, 5, 7)
	if got := write("resumed", 7, 8, 9); !bytes.Equal(got, want) {
		t.Errorf("%d bytes, and of one go %d", len(got), len(want))
	}
}

// What a killed process left of a record is cut off, wherever it was killed, and whole records stay.
func TestTornRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), Name)
	w := open(t, path, 0, at(1))
	if err := w.Add(at(2), 1, map[string]float64{"loss": 1}); err != nil {
		t.Fatal(err)
	}
	whole := read(t, path)
	if err := w.Add(at(3), 2, map[string]float64{"loss": 2}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	all := read(t, path)
	for n := len(whole); n < len(all); n++ {
		if err := os.WriteFile(path, all[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := open(t, path, 1, at(4)).Close(); err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); !bytes.Equal(got, whole) {
			t.Fatalf("torn after %d of %d bytes, %d are left, want %d", n, len(all), len(got), len(whole))
		}
	}
	broken := bytes.Clone(all)
	broken[len(whole)+14] ^= 1 // in the second step's data
	if err := os.WriteFile(path, broken, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(t, path, 1, at(4)).Close(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); !bytes.Equal(got, whole) {
		t.Errorf("of a broken record and a whole one %d bytes are left, want %d", len(got), len(whole))
	}
	if err := open(t, path, 0, at(1)).Close(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); len(got) >= len(whole) || !bytes.HasPrefix(whole, got) {
		t.Errorf("begun anew, %d bytes are there", len(got))
	}
}

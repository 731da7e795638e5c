package checkpoint

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"tandem"
)

// objects is a Store as an object store would be one: whole objects under keys, no rename, no lock. Files
// of a new version get keys of their own, and the manifest, put last, says which are meant.
type objects struct {
	puts    map[string][]byte // by "checkpoint/file"
	version int
	fail    error // of every put
}

func (o *objects) Create(_ context.Context, name string) (Writer, error) {
	o.version++
	return &objectWriter{store: o, name: name, files: make(map[string][]byte)}, nil
}

func (o *objects) Open(_ context.Context, name string) (fs.FS, error) {
	files := make(fstest.MapFS)
	for key, content := range o.puts {
		if file, ok := strings.CutPrefix(key, name+"/"); ok && !strings.Contains(file, "/") {
			files[file] = &fstest.MapFile{Data: content}
		}
	}
	if files[manifestName] == nil {
		return nil, tandem.Errorf(tandem.NotFound, "objects.Open", "%s does not exist", name)
	}
	return files, nil
}

func (o *objects) List(_ context.Context, under string) (names []string, err error) {
	for key := range o.puts {
		if rest, ok := strings.CutPrefix(key, under+"/"); ok {
			if name, ok := strings.CutSuffix(rest, "/"+manifestName); ok {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

func (o *objects) Remove(_ context.Context, name string) error {
	for key := range o.puts {
		if strings.HasPrefix(key, name+"/") {
			delete(o.puts, key)
		}
	}
	return nil
}

type objectWriter struct {
	store *objects
	name  string
	files map[string][]byte
}

type object struct {
	bytes.Buffer
	close func([]byte) error
}

func (o *object) Close() error { return o.close(o.Bytes()) }

func (w *objectWriter) Create(file string) (io.WriteCloser, error) {
	return &object{close: func(content []byte) error {
		if w.store.fail != nil {
			return w.store.fail
		}
		w.files[file] = content
		return nil
	}}, nil
}

func (w *objectWriter) Commit(_ context.Context, m *Manifest) error {
	var b bytes.Buffer
	if err := (adder)(func(_ string, write func(io.Writer) error) error { return write(&b) }).addJSON(manifestName, m); err != nil {
		return err
	}
	for file, content := range w.files {
		w.store.puts[w.name+"/"+file] = content
	}
	w.store.puts[w.name+"/"+manifestName] = b.Bytes()
	return nil
}

func (w *objectWriter) Abort() error { return nil }

// TestObjectStore: models and states need nothing of a store but the interface.
func TestObjectStore(t *testing.T) {
	ctx, s := context.Background(), &objects{puts: make(map[string][]byte)}
	if _, err := LoadFrom(ctx, s, "m"); tandem.CodeOf(err) != tandem.NotFound {
		t.Errorf("an absent model: %v", err)
	}
	m := tinyModel(tiny(), true, 1)
	if err := SaveTo(ctx, s, "m", m, SaveOptions{MaxShardBytes: 4000}); err != nil {
		t.Fatal(err)
	}
	got, err := LoadFrom(ctx, s, "m")
	if err != nil {
		t.Fatal(err)
	}
	equalWeights(t, got.Weights, m.Weights)

	states := NewStates(s, "run/states", 1)
	for step := range int64(3) {
		if err := states.Save(ctx, step, step, Tensors(m.Weights)); err != nil {
			t.Fatal(err)
		}
	}
	if steps, err := states.Steps(ctx); err != nil || !slices.Equal(steps, []int64{2}) {
		t.Errorf("kept %v, %v", steps, err)
	}
	away := errors.New("the bucket is away")
	s.fail = away
	if err := SaveTo(ctx, s, "m", m, SaveOptions{}); !errors.Is(err, away) {
		t.Errorf("a failing store: %v", err)
	}
	if _, err := LoadFrom(ctx, s, "m"); err != nil {
		t.Errorf("after a failing save: %v", err)
	}
}

func TestWriteLineage(t *testing.T) {
	ctx, dir := context.Background(), filepath.Join(t.TempDir(), "m")
	if err := WriteLineage(ctx, dir, tandem.Model{}); tandem.CodeOf(err) != tandem.NotFound {
		t.Errorf("the lineage of nothing: %v", err)
	}
	save(t, dir, 1)
	if l, err := ReadLineage(ctx, dir); err != nil || l != nil {
		t.Errorf("a model without lineage has %+v, %v", l, err)
	}
	for _, gate := range []float64{-1.7346, 0.25} {
		lineage := tandem.Model{ID: "m", Kind: tandem.SafetyModel, URL: "x", Calibration: &tandem.Calibration{Gate: gate}}
		if err := WriteLineage(ctx, dir, lineage); err != nil {
			t.Fatal(err)
		}
		l, err := ReadLineage(ctx, dir)
		if err != nil || l.ID != "m" || l.URL != dir || l.Calibration.Gate != gate {
			t.Fatalf("%+v, %v", l, err)
		}
	}
	if strings.Contains(read(t, filepath.Join(dir, lineageName)), "url") {
		t.Error("tandem.json tells where it lies")
	}
	if v := version(t, dir); v != 1 {
		t.Errorf("version %d", v)
	}
}

func BenchmarkLoad(b *testing.B) {
	c := tiny()
	c.VocabSize, c.HiddenSize, c.IntermediateSize = 8192, 1024, 2816
	for _, dtype := range []DType{F32, BF16, F16} {
		dir := filepath.Join(b.TempDir(), "m")
		m := tinyModel(c, false, 1)
		b.Run("save/"+string(dtype), func(b *testing.B) {
			for b.Loop() {
				if err := Save(context.Background(), dir, m, SaveOptions{DType: dtype}); err != nil {
					b.Fatal(err)
				}
			}
		})
		manifest, err := Verify(context.Background(), dir)
		if err != nil {
			b.Fatal(err)
		}
		f, _ := manifest.file(weightsName)
		b.Run("load/"+string(dtype), func(b *testing.B) {
			b.SetBytes(f.Size)
			for b.Loop() {
				if _, err := Load(context.Background(), dir); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package checkpoint

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/llama"
)

// An adapter of PEFT is written as PEFT wrote it, and beside it the model that it is merged into. With TANDEM_GOLDEN_OUT
// both are written there, for lora.py --check to load in PEFT.
func TestPEFTReads(t *testing.T) {
	out := os.Getenv("TANDEM_GOLDEN_OUT")
	if out == "" {
		out = t.TempDir()
	}
	folders, err := filepath.Glob(filepath.Join(goldenFolder, "lora", "*"))
	if err != nil || len(folders) < 3 {
		t.Fatalf("the golden adapters are missing: %v, %v", folders, err)
	}
	for _, folder := range folders {
		name := filepath.Base(folder)
		base, _, _ := strings.Cut(name, ".")
		m, err := Load(t.Context(), filepath.Join(goldenFolder, base))
		if err != nil {
			t.Fatal(err)
		}
		theirs := readAdapterConfig(t, folder)
		l := llama.LoRA{Rank: theirs.Rank, Alpha: theirs.Alpha, Targets: strings.Join(lastNames(theirs.Targets), ",")}
		if m.Weights, err = m.Weights.Adapt(l, rand.New(rand.NewPCG(1, 1))); err != nil {
			t.Fatal(err)
		}
		saved := make(map[string]Tensor)
		for _, tensor := range adapterFile(t, folder) {
			saved[tensor.Name] = tensor
		}
		for _, tensor := range AdapterTensors(m.Weights) {
			copy(tensor.Data, saved[tensor.Name].Data)
		}

		dir := filepath.Join(out, name)
		if err := Save(t.Context(), dir, m, SaveOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := SaveAdapter(t.Context(), filepath.Join(dir, "adapter"), m.Weights, theirs.BaseModel); err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(t.Context(), filepath.Join(dir, "adapter")); err != nil {
			t.Error(err)
		}
		ours := readAdapterConfig(t, filepath.Join(dir, "adapter"))
		if !slices.Equal(lastNames(ours.Targets), lastNames(theirs.Targets)) {
			t.Errorf("%s: targets %v, PEFT has %v", name, ours.Targets, theirs.Targets)
		}
		if m.Weights.IsClassifier() != slices.Contains(ours.ModulesToSave, "score") {
			t.Errorf("%s: saved beside the adapters: %v", name, ours.ModulesToSave)
		}
		ours.Targets, ours.ModulesToSave, theirs.Targets, theirs.ModulesToSave = nil, nil, nil, nil
		if a, b := text(t, ours), text(t, theirs); a != b {
			t.Errorf("%s: the configuration is %s, PEFT's %s", name, a, b)
		}
		written := adapterFile(t, filepath.Join(dir, "adapter"))
		for _, tensor := range written {
			if want := saved[tensor.Name]; !slices.Equal(tensor.Shape, want.Shape) || !slices.Equal(tensor.Data, want.Data) {
				t.Errorf("%s: %s of shape %v is not PEFT's of %v", name, tensor.Name, tensor.Shape, want.Shape)
			}
		}
		if len(written) != len(saved) {
			t.Errorf("%s: %d tensors, PEFT has %d", name, len(written), len(saved))
		}
		back, err := Load(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		equalWeights(t, back.Weights, m.Weights.Merged())
	}
}

func readAdapterConfig(t *testing.T, folder string) (c adapterConfig) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, AdapterConfigName))
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func adapterFile(t *testing.T, folder string) []Tensor {
	t.Helper()
	path := filepath.Join(folder, AdapterName)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	tensors, _, err := ReadTensors(f, info.Size(), path)
	if err != nil {
		t.Fatal(err)
	}
	return tensors
}

// lastNames are the projections of modules, sorted: PEFT names them once for each layer where all are adapted.
func lastNames(modules []string) (names []string) {
	for _, m := range modules {
		if name := m[strings.LastIndex(m, ".")+1:]; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

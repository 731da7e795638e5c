package dataset_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem"
	"tandem/dataset"
	"tandem/internal/pgtest"
	"tandem/store"
)

var postgres pgtest.Server

func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }

// importFile is what an import of a file into a store comes to.
func importFile(ctx context.Context, s *store.Store, name string, r io.Reader, sum func() ([sha256.Size]byte, error), config dataset.ImportConfig) (store.Import, error) {
	imp, err := dataset.NewImport(config)
	if err != nil {
		return store.Import{}, err
	}
	return s.ImportComparisons(ctx, store.ImportSource{
		File: name, Format: string(config.Format), Aspects: string(config.As),
		Comparisons: imp.Read(name, r),
		End: func() ([sha256.Size]byte, map[string]int) {
			hash, err := sum()
			if err != nil {
				panic(err) // the file was read to its end
			}
			return hash, imp.Report().Skipped()
		},
	})
}

func count(t *testing.T, s *store.Store, split store.Split) int {
	t.Helper()
	n, err := s.CountComparisons(t.Context(), store.ComparisonQuery{Split: split})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestIntoTheStoreAndOut brings real pairs into a database, out as TRL's records, and into another.
func TestIntoTheStoreAndOut(t *testing.T) {
	if testing.Short() {
		t.Skip("real data is left out of short runs")
	}
	folder := os.Getenv("TANDEM_SHARED_DATA")
	if folder == "" {
		folder = filepath.Join("..", "..", "shared", "data")
	}
	if _, err := os.Stat(folder); err != nil {
		t.Skipf("there is no real data at %s and TANDEM_SHARED_DATA is not set", folder)
	}
	s := postgres.Store(t)
	bring := func() store.Import {
		file, err := dataset.Open(filepath.Join(folder, "hh-rlhf", "helpful-online.test.jsonl.gz"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		got, err := importFile(t.Context(), s, file.Name(), file, file.Sum, dataset.ImportConfig{Format: dataset.HH, As: dataset.AsHelpfulness})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := bring()
	if first.Added != 1135 || first.Skipped["sides_equal"] != 2 || first.Repeated || count(t, s, store.AllData) != 1135 {
		t.Errorf("import %+v, %d comparisons", first, count(t, s, store.AllData))
	}
	if again := bring(); !again.Repeated || count(t, s, store.AllData) != 1135 {
		t.Errorf("a second import %+v", again)
	}
	held := count(t, s, store.HeldOutData)
	if share := float64(held) / 1135; share < 0.14 || share > 0.26 {
		t.Errorf("%.3f of the comparisons are held out", share)
	}

	var exported bytes.Buffer
	w, err := dataset.NewWriter(&exported, dataset.ExportConfig{Format: dataset.TRL})
	if err != nil {
		t.Fatal(err)
	}
	for c, err := range s.Comparisons(t.Context(), store.ComparisonQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		if c.HeldOut != tandem.HeldOut(c.Prompt.Messages.Opening(), tandem.HeldOutShare) {
			t.Fatalf("comparison %s is on the wrong side", c.ID)
		}
		if err := w.Write(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	other := postgres.Store(t)
	sum := sha256.Sum256(exported.Bytes())
	back, err := importFile(t.Context(), other, "export.jsonl", &exported, func() ([sha256.Size]byte, error) { return sum, nil },
		dataset.ImportConfig{Format: dataset.TRL})
	if err != nil || back.Added != 1135 || count(t, other, store.HeldOutData) != held {
		t.Errorf("the export came back as %+v, error %v", back, err)
	}
}

// TestNothingIsHalfImported breaks a file off in its middle.
func TestNothingIsHalfImported(t *testing.T) {
	s := postgres.Store(t)
	const good = `{"prompt":"Q","chosen":"a","rejected":"b"}` + "\n"
	_, err := importFile(t.Context(), s, "cut.jsonl", strings.NewReader(good+good[:20]), func() ([sha256.Size]byte, error) { return [sha256.Size]byte{}, nil },
		dataset.ImportConfig{Format: dataset.TRL, As: dataset.AsSafety})
	if tandem.CodeOf(err) != tandem.Invalid || !strings.HasPrefix(err.Error(), "cut.jsonl:2: ") {
		t.Errorf("error %v", err)
	}
	if n := count(t, s, store.AllData); n != 0 {
		t.Errorf("%d comparisons were kept", n)
	}
}

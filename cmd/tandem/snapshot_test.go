package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem"
)

// A model that was fitted to a snapshot is made again from it to the last bit, whatever came into the database since: its
// lineage names the data by a hash, and the list of snapshots says which has it. Data in files are named by their hash too.
func TestModelIsMadeAgainFromItsData(t *testing.T) {
	useDatabase(t)
	f := makeStageFiles(t)
	var pairs strings.Builder
	for i := range 12 {
		fmt.Fprintf(&pairs, `{"prompt":"hello %d","chosen":"good day","rejected":"no"}`+"\n", i)
	}
	tandemRun(t, "", "import", "trl", writeTemp(t, "a.jsonl", pairs.String()), "--as", "helpfulness").ok(t)
	tandemRun(t, "", "snapshot", "create", "monday").ok(t)
	out := filepath.Join(t.TempDir(), "made")
	train := func(data string) (tandem.Model, []byte) {
		t.Helper()
		m := object[tandem.Model](t, tandemRun(t, "", "reward", "helpfulness", "--model", f.policy, "--data", data, "--held-out-share", "0",
			"--preset", "practice", "--steps", "3", "--out", out, "--json").ok(t))
		weights, err := os.ReadFile(filepath.Join(out, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(out); err != nil {
			t.Fatal(err)
		}
		return m, weights
	}
	// dataOf is the snapshot that a model's lineage tells of.
	dataOf := func(m tandem.Model) string {
		t.Helper()
		for _, s := range object[struct{ Snapshots []snapshotReport }](t, tandemRun(t, "", "--json", "snapshot", "list").ok(t)).Snapshots {
			if s.Hash == m.Snapshot {
				return "snapshot:" + s.ID
			}
		}
		t.Fatalf("no snapshot has the hash %s", m.Snapshot)
		return ""
	}
	first, weights := train("snapshot:1")

	tandemRun(t, "", "import", "trl", writeTemp(t, "b.jsonl", `{"prompt":"later","chosen":"the dog","rejected":"the cat"}`), "--as", "helpfulness").ok(t)
	tandemRun(t, "", "snapshot", "create", "tuesday").ok(t)
	again, same := train(dataOf(first))
	if again.ID != first.ID || again.Snapshot != first.Snapshot || !bytes.Equal(same, weights) {
		t.Errorf("made again from %s it is %s, not %s, or has other weights", dataOf(first), again.ID, first.ID)
	}
	other, different := train("snapshot:2")
	if other.ID == first.ID || other.Snapshot == first.Snapshot || bytes.Equal(different, weights) {
		t.Error("more data make the same model")
	}

	sft := func() tandem.Model {
		t.Helper()
		m := object[tandem.Model](t, tandemRun(t, "", append(f.command("sft", 2), "--out", out, "--json")...).ok(t))
		if err := os.RemoveAll(out); err != nil {
			t.Fatal(err)
		}
		return m
	}
	was := sft()
	if is := sft(); is.ID != was.ID || is.Snapshot != was.Snapshot {
		t.Errorf("the same file makes %s, not %s", is.ID, was.ID)
	}
	text, err := os.ReadFile(f.dialogues)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.dialogues, bytes.Replace(text, []byte("hello"), []byte("Hello"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if is := sft(); is.ID == was.ID || is.Snapshot == was.Snapshot {
		t.Error("a file that was changed makes the same model")
	}
}

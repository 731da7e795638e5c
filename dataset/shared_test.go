package dataset

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"testing"

	"tandem"
	"tandem/internal/sharedtest"
)

// sharedData is the folder of real data, which short runs leave out.
func sharedData(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("real data is left out of short runs")
	}
	return sharedtest.Path(t)
}

// importShared reads files of one format.
func importShared(t *testing.T, config ImportConfig, names ...string) ([]tandem.Comparison, Report) {
	t.Helper()
	folder := sharedData(t)
	imp, err := NewImport(config)
	if err != nil {
		t.Fatal(err)
	}
	var out []tandem.Comparison
	for _, name := range names {
		file, err := Open(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := all(imp.Read(name, file))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, got...)
		file.Close()
	}
	return out, imp.Report()
}

// TestSharedPairs counts what the data's own description counts.
func TestSharedPairs(t *testing.T) {
	tests := []struct {
		file   string
		config ImportConfig
		want   Report
	}{
		{"hh-rlhf/harmless-base.test.jsonl.gz", ImportConfig{Format: HH, As: AsSafety},
			Report{Read: 2312, Kept: 2307, PromptsDiffer: 5, EmptyAnswers: 4}},
		{"hh-rlhf/helpful-base.test.jsonl.gz", ImportConfig{Format: HH, As: AsHelpfulness},
			Report{Read: 2354, Kept: 2343, PromptsDiffer: 9, SidesEqual: 2, EmptyAnswers: 4}},
		{"hh-rlhf/helpful-online.test.jsonl.gz", ImportConfig{Format: HH, As: AsHelpfulness},
			Report{Read: 1137, Kept: 1135, SidesEqual: 2, EmptyAnswers: 3}},
		{"hh-rlhf/helpful-rejection-sampled.test.jsonl.gz", ImportConfig{Format: HH, As: AsHelpfulness},
			Report{Read: 2749, Kept: 2714, PromptsDiffer: 3, SidesEqual: 32}},
		{"ultrafeedback-sample/train.jsonl.gz", ImportConfig{Format: UltraFeedback, As: AsHelpfulness},
			Report{Read: 1000, Kept: 886, Ties: 111, SidesEqual: 3, EmptyAnswers: 2}},
		{"ultrafeedback-sample/eval.jsonl.gz", ImportConfig{Format: UltraFeedback, As: AsHelpfulness},
			Report{Read: 200, Kept: 175, Ties: 25}},
		{"llama-factory-demo/dpo_en_demo.jsonl.gz", ImportConfig{Format: ShareGPT, As: AsHelpfulness},
			Report{Read: 300, Kept: 295, Duplicates: 5}},
	}
	for _, test := range tests {
		t.Run(test.file, func(t *testing.T) {
			if _, got := importShared(t, test.config, test.file); got != test.want {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

// TestSharedRoundTrip writes hh as hh: what the transcripts say comes back to the byte, but for those
// with two turns of one speaker, of which this file has none.
func TestSharedRoundTrip(t *testing.T) {
	for _, format := range []Format{HH, TRL} {
		want, _ := importShared(t, ImportConfig{Format: HH, As: AsHelpfulness}, "hh-rlhf/helpful-online.test.jsonl.gz")
		var out bytes.Buffer
		w, err := NewWriter(&out, ExportConfig{Format: format})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range want {
			if err := w.Write(c); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		imp, err := NewImport(ImportConfig{Format: format, As: AsHelpfulness})
		if err != nil {
			t.Fatal(err)
		}
		got, err := all(imp.Read("round trip", &out))
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: %d comparisons of %d came back, error %v", format, len(got), len(want), err)
		}
		for i := range got {
			if got[i].ID != want[i].ID {
				a, _ := json.Marshal(want[i])
				b, _ := json.Marshal(got[i])
				t.Fatalf("%s: comparison %d came back as another:\n%s\n%s", format, i, a, b)
			}
		}
	}
}

// TestSharedOpeningsStandOnOneSide holds the split against all of hh at once.
func TestSharedOpeningsStandOnOneSide(t *testing.T) {
	comparisons, _ := importShared(t, ImportConfig{Format: HH, As: AsHelpfulness},
		"hh-rlhf/helpful-base.test.jsonl.gz", "hh-rlhf/helpful-online.test.jsonl.gz", "hh-rlhf/helpful-rejection-sampled.test.jsonl.gz")
	opening := func(c tandem.Comparison) string { return c.Prompt.Messages.Opening() }
	train, heldOut := Split(comparisons, opening, tandem.HeldOutShare)
	seen := make(map[string]bool)
	for _, c := range train {
		seen[opening(c)] = true
	}
	for _, c := range heldOut {
		if seen[opening(c)] {
			t.Fatalf("an opening stands on both sides: %q", opening(c))
		}
	}
	if share := float64(len(heldOut)) / float64(len(comparisons)); share < 0.17 || share > 0.23 {
		t.Errorf("%.3f of the comparisons are held out", share)
	}
}

func TestSharedDialogues(t *testing.T) {
	folder := sharedData(t)
	for _, test := range []struct {
		file   string
		format DialogueFormat
		want   int
	}{
		{"self-instruct/seed_tasks.jsonl", SelfInstruct, 175},
		{"self-instruct/user_oriented_instructions.jsonl", SelfInstruct, 252},
		{"dolly-sample/dolly.jsonl.gz", Dolly, 1000},
		{"hh-rlhf/helpful-base.test.jsonl.gz", HHChosen, 2354},
	} {
		file, err := Open(filepath.Join(folder, test.file))
		if err != nil {
			t.Fatal(err)
		}
		got, err := all(ReadDialogues(test.file, file, test.format))
		if err != nil || len(got) != test.want {
			t.Errorf("%s: %d dialogues, error %v", test.file, len(got), err)
		}
		file.Close()
	}
}

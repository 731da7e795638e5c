package pipeline

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"

	"tandem"
	"tandem/pretrain/corpus"
	"tandem/store"
)

// corpusFolder is the folder beside a base model with the text that it was fitted to.
const corpusFolder = "corpus"

// Corpus is the text of a mixture, in files.
type Corpus struct {
	Mixture  corpus.Mixture `json:"mixture"`
	Snapshot string         `json:"snapshot"` // hash of the sources' files
	Texts    string         `json:"texts"`    // the mixture, a document a line
	corpus.Account
}

// ReadMixture reads a mixture from a JSON file. Files of sources are looked for beside it.
func ReadMixture(path string) (m corpus.Mixture, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, tandem.Errorf(tandem.Invalid, "pipeline.ReadMixture", "%s: %w", path, err)
	}
	for _, s := range m.Sources {
		for i, file := range s.Files {
			if !filepath.IsAbs(file) {
				s.Files[i] = filepath.Join(filepath.Dir(path), file)
			}
		}
	}
	return m, m.Validate()
}

// MakeCorpus cleans and mixes the sources into a folder below out, or finds that done.
func MakeCorpus(ctx context.Context, m corpus.Mixture, out string) (Corpus, error) {
	c := Corpus{Mixture: m, Texts: filepath.Join(out, corpusFolder, "texts.jsonl")}
	var files []string
	for _, s := range m.Sources {
		files = append(files, s.Files...)
	}
	var err error
	if c.Snapshot, err = HashFiles(files...); err != nil {
		return c, err
	}
	path := filepath.Join(out, corpusFolder, "corpus.json")
	switch there, err := readLines[Corpus](ctx, path); {
	case tandem.CodeOf(err) == tandem.NotFound:
	case err != nil:
		return c, err
	case len(there) == 1 && there[0].Snapshot == c.Snapshot && sameJSON(there[0].Mixture, m):
		return there[0], nil
	default:
		return c, tandem.Errorf(tandem.Conflict, "pipeline.MakeCorpus", "%s holds the text of another mixture: choose another folder", filepath.Dir(path))
	}
	texts, account, err := corpus.Make(ctx, m)
	if err != nil {
		return c, err
	}
	c.Account = account
	err = WriteLines(c.Texts, func(yield func(map[string]string) bool) {
		for _, text := range texts {
			if !yield(map[string]string{"text": text}) {
				return
			}
		}
	})
	if err != nil {
		return c, err
	}
	return c, writeJSON(ctx, path, c)
}

func sameJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && slices.Equal(x, y)
}

// Spent is what a run took: tokens, floating point operations and processor time, with its loss by the tokens seen.
type Spent struct {
	Tokens     float64     `json:"tokens"`
	Flops      float64     `json:"flops"`
	CPUSeconds float64     `json:"cpu_seconds"`
	Loss       []LossPoint `json:"loss"`
}

// LossPoint is the loss of a step.
type LossPoint struct {
	Tokens float64 `json:"tokens"` // seen up to and with it
	Loss   float64 `json:"loss"`
}

// ReadSpent adds up the figures that a run has left beside its model.
func ReadSpent(out string) (s Spent, err error) {
	lines, err := readMetrics(out, 1<<62)
	if err != nil {
		return s, err
	}
	for _, line := range lines {
		figure := func(name string) float64 {
			if v := line.figures[name]; v != nil {
				return *v
			}
			return 0
		}
		s.Tokens += figure(store.TokensMetric)
		s.Flops += figure(store.FlopsMetric)
		s.CPUSeconds += figure(store.CPUMetric)
		if loss := line.figures["loss"]; loss != nil {
			s.Loss = append(s.Loss, LossPoint{s.Tokens, *loss})
		}
	}
	return s, nil
}

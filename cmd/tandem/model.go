package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tandem"
	"tandem/llama"
	"tandem/llama/checkpoint"
	"tandem/store"
)

// modelCommand looks after models: folders on this machine, and rows of the database by their ids.
type modelCommand struct {
	List     modelListCommand     `cmd:"" help:"List the models of the database, the newest first."`
	Show     modelShowCommand     `cmd:"" help:"Show a model's architecture and where it comes from."`
	Lineage  modelLineageCommand  `cmd:"" help:"Show a model and those that it was made from, one after the other."`
	Import   modelImportCommand   `cmd:"" help:"Copy a model into the models folder, converted to the Hugging Face layout."`
	Export   modelExportCommand   `cmd:"" help:"Write a model for others, in another type of number or in several files."`
	Promote  modelPromoteCommand  `cmd:"" help:"Make a model the one of its kind that serves."`
	Rollback modelRollbackCommand `cmd:"" help:"Let the model serve again that was promoted before the present one."`
	Card     modelCardCommand     `cmd:"" help:"Write a model card: what a model was made of, how it scored, what it cost, its limits."`
}

type modelListCommand struct {
	Kind  string `enum:",policy,helpfulness,safety" default:"" help:"Models of one kind: policy, helpfulness or safety (default: all)." placeholder:"KIND"`
	Limit int    `default:"100" help:"Models at most, up to 1000 (default: 100)." placeholder:"N"`
	databaseFlags
}

func (c *modelListCommand) Run(ctx context.Context, w *world) error {
	return c.use(ctx, w, func(s *store.Store) error {
		models, err := s.Models(ctx, tandem.ModelKind(c.Kind), store.Page{Limit: c.Limit})
		if err != nil {
			return err
		}
		serving := make(map[string]bool)
		for _, kind := range []tandem.ModelKind{tandem.PolicyModel, tandem.HelpfulnessModel, tandem.SafetyModel} {
			m, err := s.Promoted(ctx, kind)
			if err != nil && tandem.CodeOf(err) != tandem.NotFound {
				return err
			}
			serving[m.ID] = err == nil
		}
		type listed struct {
			tandem.Model
			Serving bool `json:"serving"`
		}
		list := struct {
			Models []listed `json:"models"`
		}{[]listed{}}
		var rows [][]string
		for _, m := range models {
			list.Models = append(list.Models, listed{m, serving[m.ID]})
			mark := "-"
			if serving[m.ID] {
				mark = "serves"
			}
			rows = append(rows, []string{m.ID, dash(m.Name), string(m.Kind), string(m.Stage), roundText(m.Round), dash(m.Parent), mark, day(m.CreatedAt)})
		}
		return w.table(list, []string{"ID", "NAME", "KIND", "STAGE", "ROUND", "PARENT", "SERVES", "CREATED"}, rows)
	})
}

func roundText(round int) string {
	if round == 0 {
		return "-"
	}
	return strconv.Itoa(round)
}

type modelShowCommand struct {
	Model string `arg:"" help:"Folder of the model, or its id in the database."`
	databaseFlags
}

// modelReport is show's JSON.
type modelReport struct {
	Path         string         `json:"path,omitempty"`
	Architecture *architecture  `json:"architecture,omitempty"` // of a folder on this machine; of an ensemble its first member's
	Lineage      *tandem.Model  `json:"lineage"`                // null for a model that tandem has not made
	Files        []reportedFile `json:"files,omitempty"`        // of a folder with a manifest
	Members      []modelReport  `json:"members,omitempty"`      // of an ensemble
}

// architecture is what a config.json says.
type architecture struct {
	Class        string `json:"class"`
	Vocabulary   int    `json:"vocabulary"`
	Hidden       int    `json:"hidden"`
	Intermediate int    `json:"intermediate"`
	Layers       int    `json:"layers"`
	Heads        int    `json:"heads"`
	KeyValue     int    `json:"key_value_heads"`
	Context      int    `json:"context"`
	Tied         bool   `json:"tied"`
	Parameters   int64  `json:"parameters"`
}

type reportedFile struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

func (c *modelShowCommand) Run(ctx context.Context, w *world) error {
	r := modelReport{}
	if isPath(c.Model) {
		var err error
		if r, err = showFolder(ctx, modelPath(c.Model)); err != nil {
			return err
		}
	} else if err := c.use(ctx, w, func(s *store.Store) error {
		m, err := s.Model(ctx, c.Model)
		r.Lineage, r.Path = &m, m.URL
		return err
	}); err != nil {
		return fmt.Errorf("%s is no folder here, and in the database: %w", c.Model, err)
	}
	return w.report(r, "%s", r.text())
}

// isPath reports whether a model is named by where it lies, not by its id.
func isPath(model string) bool {
	if strings.ContainsRune(model, os.PathSeparator) || strings.HasPrefix(model, ".") {
		return true
	}
	_, err := os.Stat(model)
	return err == nil
}

// showFolder reports a model's folder, or a .bin of llama2.c; of a folder, no weights are read.
func showFolder(ctx context.Context, path string) (modelReport, error) {
	r := modelReport{Path: path}
	text, err := os.ReadFile(filepath.Join(path, "config.json"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if ensemble, err := ensembleOf(ctx, path); err == nil && ensemble != nil {
			return showEnsemble(ctx, path, *ensemble)
		} else if err != nil && tandem.CodeOf(err) != tandem.NotFound {
			return r, err
		}
		return r, tandem.Errorf(tandem.NotFound, "", "%s holds no model: config.json is not there", path)
	case err != nil: // a file, or one that may not be read
		m, err := checkpoint.Load(ctx, path)
		if err != nil {
			return r, err
		}
		r.Architecture = architectureOf(m.Weights.Config, m.Weights.IsClassifier())
		return r, nil
	}
	config, classifier, err := checkpoint.ParseConfig(text)
	if err != nil {
		return r, tandem.Errorf(tandem.CodeOf(err), "", "%s: %w", path, err)
	}
	r.Architecture = architectureOf(config, classifier)
	if r.Lineage, err = checkpoint.ReadLineage(ctx, path); err != nil {
		return r, err
	}
	return r, r.verify(ctx)
}

// verify compares the files of a folder with its manifest, and lists them; a folder without one is taken as it is.
func (r *modelReport) verify(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(r.Path, "manifest.json")); err != nil {
		return nil
	}
	manifest, err := checkpoint.Verify(ctx, r.Path)
	if err != nil {
		return err
	}
	for _, f := range manifest.Files {
		r.Files = append(r.Files, reportedFile{f.Name, f.Size, f.SHA256})
	}
	return nil
}

func architectureOf(c llama.Config, classifier bool) *architecture {
	d := int64(c.HiddenSize)
	layer := d*int64(c.QKVSize()) + d*int64(c.AttentionSize()) + 3*d*int64(c.IntermediateSize) + 2*d
	parameters := int64(c.VocabSize)*d + int64(c.NumHiddenLayers)*layer + d
	class := "LlamaForCausalLM"
	switch {
	case classifier:
		class = "LlamaForSequenceClassification"
		parameters += d
	case !c.TieWordEmbeddings:
		parameters += int64(c.VocabSize) * d
	}
	return &architecture{class, c.VocabSize, c.HiddenSize, c.IntermediateSize, c.NumHiddenLayers, c.NumAttentionHeads,
		c.NumKeyValueHeads, c.MaxPositionEmbeddings, c.TieWordEmbeddings, parameters}
}

// text is the report for people.
func (r modelReport) text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-14s %s\n", name, fmt.Sprintf(format, args...))
	}
	if r.Path != "" {
		line("path", "%s", r.Path)
	}
	if a := r.Architecture; a != nil {
		line("architecture", "%s, %d parameters", a.Class, a.Parameters)
		line("shape", "%d layers, hidden %d, intermediate %d, %d heads on %d key-value heads, vocabulary %d, context %d",
			a.Layers, a.Hidden, a.Intermediate, a.Heads, a.KeyValue, a.Vocabulary, a.Context)
	}
	m := r.Lineage
	if m == nil {
		line("lineage", "none: tandem has not made this model")
		return b.String()
	}
	line("id", "%s", m.ID)
	line("name", "%s", dash(m.Name))
	line("kind", "%s", m.Kind)
	line("stage", "%s", m.Stage)
	line("round", "%s", roundText(m.Round))
	line("parent", "%s", dash(m.Parent))
	line("snapshot", "%s", dash(m.Snapshot))
	line("seed", "%d", m.Seed)
	for _, name := range m.Ensemble {
		line("member", "%s", name)
	}
	line("kernel", "%s", dash(m.Kernel))
	line("created", "%s", day(m.CreatedAt))
	if c := m.Calibration; c != nil {
		line("calibration", "calibrated %t, gate %.4f, mean %.4f, deviation %.4f over %d samples", c.Calibrated, c.Gate, c.Mean, c.Deviation, c.Samples)
		if c.Temperature > 0 {
			line("temperature", "%.4f", c.Temperature)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Metrics)) {
		line("metric", "%s = %.6g", name, m.Metrics[name])
	}
	return b.String()
}

type modelLineageCommand struct {
	Model string `arg:"" help:"Folder of the model, whose ancestors are looked for in the folders beside it, or its id in the database."`
	databaseFlags
}

func (c *modelLineageCommand) Run(ctx context.Context, w *world) error {
	var line []tandem.Model
	var err error
	if isPath(c.Model) {
		line, err = lineageBeside(ctx, c.Model)
	} else {
		err = c.use(ctx, w, func(s *store.Store) error {
			line, err = s.Lineage(ctx, c.Model)
			return err
		})
	}
	if err != nil {
		return err
	}
	var rows [][]string
	for _, m := range line {
		rows = append(rows, []string{m.ID, dash(m.Name), string(m.Kind), string(m.Stage), roundText(m.Round), dash(m.Snapshot), day(m.CreatedAt), dash(m.URL)})
	}
	if last := line[len(line)-1]; last.Parent != "" {
		w.log.Warn("the model's parent was not found", "model", last.ID, "parent", last.Parent)
	}
	return w.table(struct {
		Lineage []tandem.Model `json:"lineage"`
	}{line}, []string{"ID", "NAME", "KIND", "STAGE", "ROUND", "SNAPSHOT", "CREATED", "PATH"}, rows)
}

// lineageBeside lists a folder's model and its ancestors, as far as they lie in the folders beside it.
func lineageBeside(ctx context.Context, path string) ([]tandem.Model, error) {
	m, err := checkpoint.ReadLineage(ctx, path)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, tandem.Errorf(tandem.NotFound, "", "%s has no tandem.json: tandem has not made this model", path)
	}
	entries, err := os.ReadDir(filepath.Dir(filepath.Clean(path)))
	if err != nil {
		return nil, tandem.Errorf(tandem.Unavailable, "", "%w", err)
	}
	byID := make(map[string]tandem.Model)
	for _, e := range entries {
		// Another folder that cannot be read only ends the search.
		folder := filepath.Join(filepath.Dir(filepath.Clean(path)), e.Name())
		if there, err := checkpoint.ReadLineage(ctx, folder); e.IsDir() && err == nil && there != nil {
			there.URL = folder
			byID[there.ID] = *there
		}
	}
	m.URL = path
	line := []tandem.Model{*m}
	for {
		delete(byID, line[len(line)-1].ID) // a circle ends where it began
		parent, ok := byID[line[len(line)-1].Parent]
		if !ok {
			return line, nil
		}
		line = append(line, parent)
	}
}

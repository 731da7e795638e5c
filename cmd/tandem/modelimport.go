package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"tandem"
	"tandem/llama/checkpoint"
	"tandem/llama/tokenizer"
	"tandem/store"
)

type modelImportCommand struct {
	Source   string `arg:"" help:"Folder in the Hugging Face layout, or a .bin of llama2.c with its tokenizer beside it."`
	Name     string `help:"Name of the model, and of its folder (default: the source's)." placeholder:"NAME"`
	Out      string `help:"Folder to write (default: models/NAME in the home folder)." placeholder:"DIR"`
	Kind     string `enum:",policy,helpfulness,safety" default:"" help:"What a reward model judges: helpfulness or safety; needed for one that tandem has not made." placeholder:"KIND"`
	Register bool   `help:"Add the model's row to the database too, so that it can be promoted."`
	databaseFlags
}

// savedReport is import's and export's JSON.
type savedReport struct {
	ID   string `json:"id,omitempty"`
	Path string `json:"path"`
}

func (c *modelImportCommand) Run(ctx context.Context, w *world) error {
	if c.Name == "" {
		c.Name = strings.TrimSuffix(filepath.Base(filepath.Clean(c.Source)), ".bin")
	}
	if c.Out == "" {
		home, err := c.home()
		if err != nil {
			return err
		}
		c.Out = filepath.Join(home, "models", c.Name)
	}
	lineage, err := c.copy(ctx)
	if err != nil {
		return err
	}
	if c.Register {
		if err := c.use(ctx, w, func(s *store.Store) error { return register(ctx, s, lineage, c.Out) }); err != nil {
			return err
		}
	}
	return w.report(savedReport{lineage.ID, c.Out}, "%s: %s\n", lineage.ID, c.Out)
}

// copy writes the model, or the ensemble, to its new folder.
func (c *modelImportCommand) copy(ctx context.Context) (tandem.Model, error) {
	keep := func(m *checkpoint.Model) checkpoint.SaveOptions { return checkpoint.SaveOptions{DType: m.DType} }
	// A source that cannot be read is told by what reads it whole.
	if ensemble, err := ensembleOf(ctx, c.Source); err == nil && ensemble != nil {
		if kind := tandem.ModelKind(c.Kind); kind != "" && kind != ensemble.Kind {
			return *ensemble, tandem.Errorf(tandem.Invalid, "", "%s is a %s model, not --kind %s", c.Source, ensemble.Kind, kind)
		}
		return *ensemble, copyEnsemble(ctx, *ensemble, c.Out, keep)
	}
	model, err := loadWhole(ctx, c.Source)
	if err != nil {
		return tandem.Model{}, err
	}
	if err := c.describe(model); err != nil {
		return tandem.Model{}, err
	}
	return *model.Lineage, checkpoint.Save(ctx, c.Out, model, keep(model))
}

// loadWhole loads a model with its tokenizer's files, wherever they lie, in the form that others read.
func loadWhole(ctx context.Context, path string) (*checkpoint.Model, error) {
	path = modelPath(path)
	model, err := checkpoint.Load(ctx, path)
	if err != nil || len(model.Files) > 0 || filepath.Ext(path) != ".bin" {
		return model, err
	}
	t, err := tokenizer.Open(tokenizerPath(path))
	if err == nil {
		t, err = t.ForHuggingFace()
	}
	if err != nil {
		return nil, fmt.Errorf("the tokenizer of %s: %w", path, err)
	}
	model.Files = t.Files()
	return model, nil
}

// describe gives a model that tandem has not made a lineage: one whose id follows from its weights, so that
// importing it again changes nothing.
func (c *modelImportCommand) describe(model *checkpoint.Model) error {
	kind := tandem.ModelKind(c.Kind)
	classifier := model.Weights.IsClassifier()
	if l := model.Lineage; l != nil {
		if kind != "" && kind != l.Kind {
			return tandem.Errorf(tandem.Invalid, "", "%s is a %s model, not --kind %s", c.Source, l.Kind, kind)
		}
		return nil
	}
	switch {
	case classifier && kind != tandem.HelpfulnessModel && kind != tandem.SafetyModel:
		return tandem.Errorf(tandem.Invalid, "", "%s is a reward model: say what it judges with --kind helpfulness or --kind safety", c.Source)
	case !classifier && kind != "" && kind != tandem.PolicyModel:
		return tandem.Errorf(tandem.Invalid, "", "%s is a policy, not a %s model", c.Source, kind)
	case !classifier:
		kind = tandem.PolicyModel
	}
	model.Lineage = &tandem.Model{ID: weightsID(model), Name: c.Name, Kind: kind, Stage: tandem.StageImport, CreatedAt: time.Now().UTC()}
	return nil
}

// weightsID names a model by the SHA-256 of its tensors: 16 hexadecimal digits.
func weightsID(model *checkpoint.Model) string {
	h := sha256.New()
	var buffer []byte
	for _, t := range checkpoint.Tensors(model.Weights) {
		fmt.Fprintf(h, "%s %v\n", t.Name, t.Shape)
		for data := t.Data; len(data) > 0; {
			n := min(len(data), 1<<16)
			buffer = buffer[:0]
			for _, x := range data[:n] {
				buffer = binary.LittleEndian.AppendUint32(buffer, math.Float32bits(x))
			}
			_, _ = h.Write(buffer) // never fails
			data = data[n:]
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// register adds a model's row, under the folder that it lies in.
func register(ctx context.Context, s *store.Store, m tandem.Model, folder string) error {
	path, err := filepath.Abs(folder)
	if err != nil {
		return tandem.Errorf(tandem.Unavailable, "", "%s: %w", folder, err)
	}
	m.URL = path
	return s.AddModel(ctx, m)
}

type modelExportCommand struct {
	Model         string `arg:"" help:"Folder of the model, or a .bin of llama2.c with its tokenizer beside it."`
	Output        string `short:"o" required:"" help:"Folder to write; one with a model that tandem has not written is left alone." placeholder:"DIR"`
	DType         string `name:"dtype" enum:",f32,bf16,f16" default:"" help:"Type of the numbers: f32, bf16 or f16 (default: as the model has them)." placeholder:"TYPE"`
	MaxShardBytes int64  `help:"Bytes above which the weights are split over several files (default: 5000000000)." placeholder:"N"`
}

// Validate refuses shards of no size.
func (c *modelExportCommand) Validate() error {
	if c.MaxShardBytes < 0 {
		return fmt.Errorf("--max-shard-bytes is %d, less than 0", c.MaxShardBytes)
	}
	return nil
}

func (c *modelExportCommand) Run(ctx context.Context, w *world) error {
	wanted := checkpoint.DType("")
	if c.DType != "" {
		var err error
		if wanted, err = checkpoint.ParseDType(strings.ToUpper(c.DType)); err != nil {
			return err
		}
	}
	options := func(m *checkpoint.Model) checkpoint.SaveOptions {
		return checkpoint.SaveOptions{DType: cmp.Or(wanted, m.DType), MaxShardBytes: c.MaxShardBytes}
	}
	if ensemble, err := ensembleOf(ctx, c.Model); err == nil && ensemble != nil {
		if err := copyEnsemble(ctx, *ensemble, c.Output, options); err != nil {
			return err
		}
		return w.report(savedReport{ensemble.ID, c.Output}, "%s\n", c.Output)
	}
	model, err := loadWhole(ctx, c.Model)
	if err != nil {
		return err
	}
	if err := checkpoint.Save(ctx, c.Output, model, options(model)); err != nil {
		return err
	}
	r := savedReport{Path: c.Output}
	if model.Lineage != nil {
		r.ID = model.Lineage.ID
	}
	return w.report(r, "%s\n", c.Output)
}

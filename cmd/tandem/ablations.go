package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"tandem"
	"tandem/internal/practice"
	"tandem/internal/practice/annotator"
	"tandem/internal/practice/gold"
	"tandem/pipeline"
	"tandem/report"
	"tandem/rewardmodel"
)

// evaluateAblationsCommand trains reward models that differ in one thing each (tables 28 and 29, figure 6).
type evaluateAblationsCommand struct {
	Model              string          `required:"" type:"path" help:"Folder of the chat model that reward models start from." placeholder:"DIR"`
	Data               string          `help:"File of comparisons of both aspects, or snapshot:ID." placeholder:"FILE"`
	HelpfulnessData    string          `help:"Comparisons of helpfulness (default: those of --data)." placeholder:"FILE"`
	SafetyData         string          `help:"Comparisons of safety (default: those of --data)." placeholder:"FILE"`
	HelpfulnessHeldOut string          `help:"Comparisons of helpfulness to measure on (default: by the split rule)." placeholder:"FILE"`
	SafetyHeldOut      string          `help:"Comparisons of safety to measure on (default: by the split rule)." placeholder:"FILE"`
	Format             string          `enum:"tandem,hh,trl,openrlhf,pku,ultrafeedback" default:"tandem" help:"Of the files: tandem, hh, trl, openrlhf, pku or ultrafeedback (default: tandem)." placeholder:"FORMAT"`
	HeldOutShare       float64         `default:"0.2" help:"Share of openings to measure on, by the one rule that all stages share; not used beside held-out files (default: 0.2)." placeholder:"SHARE"`
	Aspects            []tandem.Aspect `default:"helpfulness,safety" help:"Whose models are trained: helpfulness, safety or both (default: both)." placeholder:"ASPECT,…"`

	Practice            bool   `help:"On the practice world instead of files: its answers, judged by simulated annotators, beside what the world's truth makes of the same judgments." group:"practice world"`
	PracticeSeed        uint64 `default:"1" help:"Seed of the world and the annotators (default: 1)." placeholder:"N" group:"practice world"`
	PracticeHelpfulness int    `default:"64000" help:"Comparisons of helpfulness to train on (default: 64000)." placeholder:"N" group:"practice world"`
	PracticeSafety      int    `default:"4000" help:"Comparisons of safety to train on (default: 4000)." placeholder:"N" group:"practice world"`
	PracticePerDegree   int    `default:"1500" help:"Held-out comparisons of each degree, of each aspect (default: 1500)." placeholder:"N" group:"practice world"`

	Margins          []rewardmodel.MarginTable `default:"none,small,large" help:"Margins to compare, with the first (default: none,small,large)." placeholder:"TABLE,…" group:"what differs"`
	AuxiliaryWeights []float64                 `default:"0,1" help:"Weights of the safety labels' loss to compare, with the first (default: 0,1)." placeholder:"X,…" group:"what differs"`
	FromScratch      bool                      `default:"true" negatable:"" help:"Compare with models that start from random weights, too (default: yes)." group:"what differs"`
	CommonPairs      int                       `default:"4000" help:"Pairs of its own aspect that a model learns from whose margin, labels' loss or start is compared; 0 for all (default: 4000)." placeholder:"N" group:"what differs"`
	Shares           []float64                 `default:"0.0625,0.25" help:"Shares of all pairs to train on, beside all, for the curve of accuracy by the number of pairs (default: 0.0625,0.25)." placeholder:"SHARE,…" group:"what differs"`
	Seeds            int                       `default:"5" help:"Seeds to train each with, from --seed on (default: 5)." placeholder:"N" group:"what differs"`

	Preset          string   `default:"llama2-7b" help:"Configuration that is common to all: llama2-7b, llama2-70b or practice (default: llama2-7b; practice with --practice)." placeholder:"NAME"`
	Margin          *string  `help:"Margins of models that do not differ in them: none, small or large (default: the preset's)." placeholder:"TABLE" group:"training"`
	AuxiliaryWeight *float64 `help:"Weight of the safety labels' loss in safety models that do not differ in it (default: the preset's)." placeholder:"X" group:"training"`
	CenterRewards   *float64 `help:"Weight of (r_chosen + r_rejected)², which keeps scores around zero (default: the preset's, 0)." placeholder:"X" group:"training"`
	L2              *float64 `help:"Weight of the mean of r² (default: the preset's, 0)." placeholder:"X" group:"training"`
	MaxTokens       *int     `help:"Tokens of a dialogue; a longer one loses its beginning (default: the model's context)." placeholder:"N" group:"training"`
	fitFlags

	Out string `required:"" type:"path" help:"Folder for the models, the scores, report.html and report.json; what is there of the same run is used again." placeholder:"DIR"`
	measuringFlags
}

// ablationsReport is its JSON.
type ablationsReport struct {
	pipeline.AblationOutcome
	Report string `json:"report"`
}

// oracleName is what the practice world's truth is called beside the models.
const oracleName = "the gold oracle"

func (c *evaluateAblationsCommand) Run(ctx context.Context, w *world) error {
	spec, err := c.spec()
	if err != nil {
		return err
	}
	var data []string
	for _, d := range spec.Data {
		data = append(data, d.Training, d.HeldOut)
	}
	return c.studio(ctx, w, data, func(s *pipeline.Studio) (func() error, error) {
		if c.Practice {
			if err := c.collect(spec.Data, spec.Folder); err != nil {
				return nil, err
			}
		}
		outcome, err := s.Ablate(ctx, spec)
		if err != nil {
			return nil, err
		}
		facts := []report.Fact{
			{Name: "started from", Value: c.Model}, {Name: "preset", Value: c.preset()}, {Name: "kernel", Value: s.Kernel},
			{Name: "first seed", Value: strconv.FormatUint(spec.Config[c.Aspects[0]].Fit.Seed, 10)},
		}
		for _, aspect := range c.Aspects {
			f := spec.Config[aspect]
			facts = append(facts, report.Fact{Name: string(aspect) + " models", Value: fmt.Sprintf("margin %s, auxiliary weight %g, rate %g, pairs a batch %d, epochs %d",
				f.Margin, f.AuxiliaryWeight, f.Fit.LearningRate, f.Fit.Batch, f.Fit.Epochs)})
		}
		reply := ablationsReport{AblationOutcome: outcome}
		if reply.Report, err = w.writeReport(outcome.Report(oracleName, facts, time.Now()), c.Out); err != nil {
			return nil, err
		}
		return func() error {
			return w.table(reply, []string{"DATA", "", "", "PAIRS", "ACCURACY", "DIFFERENCE", "DETECTS"}, ablationRows(outcome))
		}, nil
	})
}

// ablationRows are the outcome in short, for a terminal.
func ablationRows(o pipeline.AblationOutcome) (rows [][]string) {
	for _, a := range o.Aspects {
		add := func(name string, r pipeline.AblationRow) {
			row := []string{string(a.Aspect), name, r.Level, strconv.Itoa(a.HeldOut), percent(r.Cuts[0].Accuracy), "", ""}
			if len(r.Ahead) > 0 {
				row[5], row[6] = percent(r.Ahead[0].Accuracy), fmt.Sprintf("%.1f %%", 100*r.Detectable)
			}
			rows = append(rows, row)
		}
		for _, r := range []*pipeline.AblationRow{a.Own, a.Other} {
			if r != nil {
				add("", *r)
			}
		}
		if len(a.Reference) > 0 {
			rows = append(rows, []string{string(a.Aspect), "", oracleName, strconv.Itoa(a.HeldOut), percent(a.Reference[0].Accuracy), "", ""})
		}
		for _, f := range a.Factors {
			for _, l := range f.Levels {
				add(f.Name, l)
			}
		}
	}
	return rows
}

func (c *evaluateAblationsCommand) preset() string {
	if c.Practice && c.Preset == "llama2-7b" {
		return "practice"
	}
	return c.Preset
}

// spec resolves the preset, the flags and the files.
func (c *evaluateAblationsCommand) spec() (pipeline.Ablations, error) {
	spec := pipeline.Ablations{
		Model: c.Model, Data: make(map[tandem.Aspect]pipeline.AblationData), Config: make(map[tandem.Aspect]rewardmodel.Config),
		Margins: c.Margins, AuxiliaryWeights: c.AuxiliaryWeights, Shares: c.Shares, CommonPairs: c.CommonPairs, FromScratch: c.FromScratch, Seeds: c.Seeds, Folder: c.Out,
	}
	for _, aspect := range c.Aspects {
		config, err := rewardmodel.Preset(c.preset(), aspect)
		if err != nil {
			return spec, err
		}
		if c.Margin != nil {
			config.Margin = rewardmodel.MarginTable(*c.Margin)
		}
		if aspect == tandem.Safety {
			set(&config.AuxiliaryWeight, c.AuxiliaryWeight)
		}
		set(&config.CenterRewards, c.CenterRewards)
		set(&config.L2, c.L2)
		set(&config.MaxTokens, c.MaxTokens)
		c.apply(&config.Fit)
		spec.Config[aspect] = config
	}
	if c.Practice {
		if c.Data+c.HelpfulnessData+c.SafetyData != "" {
			return spec, tandem.Errorf(tandem.Invalid, "", "--practice makes its own comparisons: --data is not for it")
		}
		for _, aspect := range []tandem.Aspect{tandem.Helpfulness, tandem.Safety} {
			at := func(name string) string {
				return filepath.Join(c.Out, "world", fmt.Sprintf("%s-%s.jsonl", aspect, name))
			}
			spec.Data[aspect] = pipeline.AblationData{Training: at("training"), HeldOut: at("held-out")}
		}
		return spec, nil
	}
	for _, d := range []struct {
		aspect            tandem.Aspect
		training, heldOut string
	}{{tandem.Helpfulness, c.HelpfulnessData, c.HelpfulnessHeldOut}, {tandem.Safety, c.SafetyData, c.SafetyHeldOut}} {
		if d.training == "" {
			d.training = c.Data
		}
		training, err := dataPath(d.training)
		if err != nil {
			return spec, err
		}
		heldOut, err := dataPath(d.heldOut)
		if err != nil {
			return spec, err
		}
		if training != "" {
			spec.Data[d.aspect] = pipeline.AblationData{Training: training, HeldOut: heldOut, Format: comparisonFormat(c.Format), HeldOutShare: c.HeldOutShare}
		}
	}
	if len(spec.Data) == 0 {
		return spec, tandem.Errorf(tandem.Invalid, "", "--data, --helpfulness-data, --safety-data or --practice is needed")
	}
	return spec, nil
}

// panelSize is how many simulated annotators judge, as in the demo.
const panelSize = 5

// collect makes the practice world's comparisons and adds what its truth makes of those held out.
func (c *evaluateAblationsCommand) collect(data map[tandem.Aspect]pipeline.AblationData, folder string) error {
	w, err := practice.New(practice.DefaultConfig(c.PracticeSeed))
	if err != nil {
		return err
	}
	oracle := gold.New()
	var panel []*annotator.Annotator
	for i := range uint64(panelSize) {
		a, err := annotator.New(annotator.DefaultConfig(c.PracticeSeed), i, oracle)
		if err != nil {
			return err
		}
		panel = append(panel, a)
	}
	for aspect, d := range data {
		training, heldOut := annotator.DefaultCollection(aspect, practice.Train, c.PracticeSeed), annotator.DefaultCollection(aspect, practice.HeldOut, c.PracticeSeed)
		training.Pairs, heldOut.PerDegree = c.PracticeHelpfulness, c.PracticePerDegree
		if aspect == tandem.Safety {
			training.Pairs = c.PracticeSafety
		}
		for _, set := range []struct {
			path string
			of   annotator.Collection
		}{{d.Training, training}, {d.HeldOut, heldOut}} {
			judged, err := annotator.Collect(w, panel, set.of)
			if err != nil {
				return err
			}
			if err := pipeline.WriteLines(set.path, slices.Values(judged.Comparisons)); err != nil {
				return err
			}
			if set.of.Split == practice.HeldOut {
				d.Reference = judged.Oracle
			}
		}
		data[aspect] = d
	}
	return nil
}

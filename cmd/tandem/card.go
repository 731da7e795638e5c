package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tandem"
	"tandem/pipeline"
	"tandem/report"
)

type modelCardCommand struct {
	Model       string   `arg:"" help:"Folder of the model."`
	Format      string   `enum:"markdown,html" default:"markdown" help:"Of the card: markdown or html (default: markdown)." placeholder:"NAME"`
	Evaluations []string `type:"path" help:"Folders that tandem evaluate has filled, or other reports' (report.json), whose tables the card takes in." placeholder:"DIR,…"`
	Output      string   `short:"o" help:"File to write (default: stdout)." placeholder:"FILE"`
}

// cardReport is card's JSON.
type cardReport struct {
	Card string `json:"card"`
}

func (c *modelCardCommand) Run(ctx context.Context, w *world) error {
	r, err := showFolder(ctx, c.Model)
	if err != nil {
		return err
	}
	if r.Lineage == nil {
		return tandem.Errorf(tandem.NotFound, "", "%s has no tandem.json: tandem has not made this model, and `tandem model import` gives it one", c.Model)
	}
	line, err := lineageBeside(ctx, c.Model)
	if err != nil {
		return err
	}
	card := modelCard(*r.Architecture, line, r.Members)
	if cost, err := costSection(line); err != nil {
		return err
	} else if cost != nil {
		card.Sections = append(card.Sections, *cost)
	}
	measured, err := evaluated(c.Evaluations)
	if err != nil {
		return err
	}
	card.Sections = append(append(card.Sections, measured...), limits(*r.Architecture, line[0], c.Evaluations), configuration(line[0]))
	var text bytes.Buffer
	write := card.WriteMarkdown
	if c.Format == "html" {
		write = card.WriteHTML
	}
	if err := write(&text); err != nil {
		return err
	}
	if c.Output != "" {
		if err := writeFile(c.Output, func(out io.Writer) error {
			_, err := out.Write(text.Bytes())
			return err
		}); err != nil {
			return err
		}
		return w.report(savedReport{r.Lineage.ID, c.Output}, "%s\n", c.Output)
	}
	return w.report(cardReport{text.String()}, "%s", text.String())
}

// modelCard describes the first model of a line; the others are its ancestors. An ensemble has members of the
// architecture.
func modelCard(a architecture, line []tandem.Model, members []modelReport) report.Report {
	m := line[0]
	card := report.Report{Title: m.Name, Created: m.CreatedAt}
	if card.Title == "" {
		card.Title = m.ID
	}
	switch m.Kind {
	case tandem.PolicyModel:
		card.Summary = []string{fmt.Sprintf("A chat policy, made by the stage %s of Llama 2's RLHF (https://arxiv.org/abs/2307.09288).", m.Stage)}
	default:
		card.Summary = []string{fmt.Sprintf("A reward model for %s (Llama 2, section 3.2.2): it gives a dialogue one raw scalar, read at its last token, which must be EOS.", m.Kind)}
	}
	built := report.Section{Heading: "Architecture", Tables: []report.Table{{
		Caption: "What config.json says", Columns: []string{"class", "parameters", "layers", "hidden, intermediate", "heads, key-value heads", "vocabulary", "context"},
		Rows: [][]report.Cell{{report.Text(a.Class), report.Number(float64(a.Parameters), 0), report.Number(float64(a.Layers), 0), report.Text(fmt.Sprintf("%d, %d", a.Hidden, a.Intermediate)),
			report.Text(fmt.Sprintf("%d, %d", a.Heads, a.KeyValue)), report.Number(float64(a.Vocabulary), 0), report.Text(fmt.Sprintf("%d tokens", a.Context))}},
	}}}
	if len(members) > 0 {
		built.Paragraphs = []string{fmt.Sprintf("It is an ensemble of %d such models, fitted alike by different seeds: its scalar is the mean of theirs, and their deviation is its uncertainty.", len(members))}
		table := report.Table{Caption: "Members", Columns: []string{"member", "model", "seed"}}
		for _, member := range members {
			table.Rows = append(table.Rows, []report.Cell{report.Text(filepath.Base(member.Path)), report.Text(member.Lineage.ID), report.Text(fmt.Sprint(member.Lineage.Seed))})
		}
		built.Tables = append(built.Tables, table)
	}
	card.Sections = []report.Section{built, lineageSection(line)}
	if m.Calibration != nil {
		card.Sections = append(card.Sections, report.Section{Heading: "Calibration", Paragraphs: calibrationText(m.Kind, *m.Calibration)})
	}
	if len(m.Metrics) > 0 {
		table := report.Table{Caption: "Figures of the run that made it", Columns: []string{"name", "value"}}
		for _, name := range slices.Sorted(maps.Keys(m.Metrics)) {
			table.Rows = append(table.Rows, []report.Cell{report.Text(name), report.Text(fmt.Sprintf("%.6g", m.Metrics[name]))})
		}
		card.Sections = append(card.Sections, report.Section{Heading: "Metrics", Tables: []report.Table{table}})
	}
	return card
}

// lineageSection says what a model was trained on, and those that it was made from.
func lineageSection(line []tandem.Model) report.Section {
	s := report.Section{Heading: "Lineage"}
	table := report.Table{Caption: "The model and those that it was made from", Columns: []string{"model", "id", "kind", "stage", "round", "data", "seed", "made"}}
	for _, m := range line {
		table.Rows = append(table.Rows, []report.Cell{
			report.Text(dash(m.Name)), report.Text(m.ID), report.Text(string(m.Kind)), report.Text(string(m.Stage)), report.Text(roundText(m.Round)),
			report.Text(dash(m.Snapshot[:min(len(m.Snapshot), 16)])), report.Text(fmt.Sprint(m.Seed)), report.Text(day(m.CreatedAt)),
		})
	}
	s.Tables = []report.Table{table}
	if files := dataOf(line); len(files.Rows) > 0 {
		s.Tables = append(s.Tables, files)
	}
	if last := line[len(line)-1]; last.Parent != "" {
		s.Paragraphs = append(s.Paragraphs, fmt.Sprintf("Its first ancestor here was made from %s.", last.Parent))
	}
	if kernel := line[0].Kernel; kernel != "" {
		s.Paragraphs = append(s.Paragraphs, fmt.Sprintf("The same configuration gives the same bits with %s.", kernel))
	}
	return s
}

// dataOf lists the files and models that the configurations of a line name.
func dataOf(line []tandem.Model) report.Table {
	table := report.Table{Caption: "What each was made of, as its configuration names it", Columns: []string{"model", "what", "where"}}
	for _, m := range line {
		var config map[string]any
		if json.Unmarshal(m.Config, &config) != nil {
			continue
		}
		for _, name := range []string{"data", "texts", "prompts", "model", "policy", "helpfulness", "safety", "held_out"} {
			for _, value := range slices.Concat([]any{config[name]}, listOf(config[name])) {
				if where, ok := value.(string); ok && where != "" {
					table.Rows = append(table.Rows, []report.Cell{report.Text(dash(m.Name)), report.Text(name), report.Text(where)})
				}
			}
		}
	}
	return table
}

func listOf(v any) []any {
	list, _ := v.([]any)
	return list
}

// calibrationText says how a reward model's scalar is read.
func calibrationText(kind tandem.ModelKind, c tandem.Calibration) (paragraphs []string) {
	if kind == tandem.SafetyModel {
		meaning := "The model is uncalibrated: the gate is the quantile of r that gates 15 % of the reference policy's answers to safety prompts."
		switch {
		case c.Calibrated && c.Temperature > 0:
			meaning = fmt.Sprintf("σ(r / %.4f) is the probability that an answer is safe, and the gate is where it is .15.", c.Temperature)
		case c.Calibrated:
			meaning = "σ(r) is the probability that an answer is safe, and the gate is logit(.15)."
		}
		paragraphs = append(paragraphs, fmt.Sprintf("%s An answer is gated where r < %.4f.", meaning, c.Gate))
	}
	paragraphs = append(paragraphs, fmt.Sprintf("Over %d reference samples r has mean %.4f and deviation %.4f.", c.Samples, c.Mean, c.Deviation))
	if c.Temperature > 0 && !c.Calibrated {
		paragraphs = append(paragraphs, fmt.Sprintf("Divided by %.4f, differences of r fit the verdicts of held-out comparisons best as log-odds.", c.Temperature))
	}
	return paragraphs
}

// costSection adds up what the runs of a line took, as far as their figures lie beside the models; nil for none.
func costSection(line []tandem.Model) (*report.Section, error) {
	table := report.Table{
		Caption: fmt.Sprintf("Energy is estimated at %d W a busy core, carbon at %d g CO₂e a kilowatt-hour; answers that people and reward models judged are not in it", tandem.WattsPerCore, tandem.GramsPerKilowattHour),
		Columns: []string{"model", "stage", "tokens", "FLOPs", "processor time, s", "energy, Wh", "carbon, g CO₂e"},
	}
	var all pipeline.Spent
	row := func(name, stage string, s pipeline.Spent) {
		joules := tandem.Joules(s.CPUSeconds)
		table.Rows = append(table.Rows, []report.Cell{
			report.Text(name), report.Text(stage), report.Number(s.Tokens, 0), report.Text(fmt.Sprintf("%.3g", s.Flops)), report.Number(s.CPUSeconds, 0),
			report.Number(joules/3600, 2), report.Number(tandem.GramsCO2(joules), 2),
		})
	}
	for _, m := range line {
		if m.URL == "" {
			continue
		}
		spent, err := pipeline.ReadSpent(m.URL)
		if err != nil {
			return nil, err
		}
		if spent.Tokens == 0 {
			continue
		}
		row(dash(m.Name), string(m.Stage), spent)
		all.Tokens, all.Flops, all.CPUSeconds = all.Tokens+spent.Tokens, all.Flops+spent.Flops, all.CPUSeconds+spent.CPUSeconds
	}
	if len(table.Rows) == 0 {
		return nil, nil
	}
	row("all", "", all)
	return &report.Section{Heading: "Cost", Tables: []report.Table{table}}, nil
}

// evaluated are the tables of reports, each under its title.
func evaluated(folders []string) (sections []report.Section, err error) {
	for _, folder := range folders {
		path := filepath.Join(folder, "report.json")
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, tandem.Errorf(tandem.NotFound, "", "%s holds no report: %w", folder, err)
		}
		var r report.Report
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, tandem.Errorf(tandem.Corrupt, "", "%s: %w", path, err)
		}
		s := report.Section{Heading: "Evaluation: " + r.Title, Paragraphs: append(r.Summary, fmt.Sprintf("Measured on %s.", day(r.Created)))}
		for _, h := range r.Highlights {
			s.Paragraphs = append(s.Paragraphs, strings.TrimSpace(fmt.Sprintf("%s: %s. %s", h.Label, h.Value, h.Note)))
		}
		for _, of := range r.Sections {
			for _, t := range of.Tables {
				t.Caption = of.Heading + ": " + t.Caption
				s.Tables = append(s.Tables, t)
			}
		}
		sections = append(sections, s)
	}
	return sections, nil
}

// small is the number of parameters below which a model is for trying tandem out.
const small = 100e6

// limits say what a reader must not take the model for.
func limits(a architecture, m tandem.Model, evaluations []string) report.Section {
	s := report.Section{Heading: "Limits"}
	say := func(format string, args ...any) { s.Paragraphs = append(s.Paragraphs, fmt.Sprintf(format, args...)) }
	if a.Parameters < small {
		say("With %d parameters it is a model to try the method on: it knows next to nothing of the world, and academic benchmarks are at chance.", a.Parameters)
	}
	say("It reads and writes %d tokens at most; what a dialogue has more is cut at its beginning.", a.Context)
	if m.Kind == tandem.PolicyModel {
		say("It was tuned towards what reward models score and people prefer, which is not the same as true or safe. Before anybody meets it, it must be tested for the use that it is meant for (Llama 2, section 5.3).")
	} else {
		say("It learnt from the answers of certain policies; scores of answers unlike theirs, and scores of different reward models, do not compare.")
	}
	if len(evaluations) == 0 {
		say("No evaluation was given to this card: nothing but the figures of its own training is known here.")
	}
	return s
}

// configuration is what it was made by, whole.
func configuration(m tandem.Model) report.Section {
	s := report.Section{Heading: "Configuration"}
	table := report.Table{Caption: "The stage's configuration", Columns: []string{"name", "value"}}
	var config any
	if len(m.Config) == 0 || json.Unmarshal(m.Config, &config) != nil {
		s.Paragraphs = []string{"It is not known."}
		return s
	}
	flatten("", config, func(name, value string) {
		table.Rows = append(table.Rows, []report.Cell{report.Text(strings.TrimPrefix(name, ".")), report.Text(value)})
	})
	slices.SortStableFunc(table.Rows, func(a, b []report.Cell) int { return cmp.Compare(a[0].Text, b[0].Text) })
	s.Tables = []report.Table{table}
	return s
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"tandem"
)

type modelCardCommand struct {
	Model  string `arg:"" help:"Folder of the model."`
	Output string `short:"o" help:"File to write (default: stdout)." placeholder:"FILE"`
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
	text := modelCard(*r.Architecture, line, r.Members)
	if c.Output != "" {
		if err := writeFile(c.Output, func(out io.Writer) error {
			_, err := io.WriteString(out, text)
			return err
		}); err != nil {
			return err
		}
		return w.report(savedReport{r.Lineage.ID, c.Output}, "%s\n", c.Output)
	}
	return w.report(cardReport{text}, "%s", text)
}

// modelCard describes the first model of a line; the others are its ancestors. An ensemble has members of the
// architecture.
func modelCard(a architecture, line []tandem.Model, members []modelReport) string {
	m := line[0]
	var b strings.Builder
	name := m.Name
	if name == "" {
		name = m.ID
	}
	fmt.Fprintf(&b, "# %s\n\n", markdown(name))
	switch m.Kind {
	case tandem.PolicyModel:
		b.WriteString("A chat policy, made by the stage " + code(string(m.Stage)) + " of Llama 2's RLHF (https://arxiv.org/abs/2307.09288).\n")
	default:
		fmt.Fprintf(&b, "A reward model for %s (Llama 2, section 3.2.2): it gives a dialogue one raw scalar, read at its last token, which must be EOS.\n", m.Kind)
	}
	fmt.Fprintf(&b, "\n| | |\n|---|---|\n| class | %s |\n| parameters | %d |\n| layers | %d |\n| hidden, intermediate | %d, %d |\n| heads, key-value heads | %d, %d |\n| vocabulary | %d |\n| context | %d tokens |\n",
		a.Class, a.Parameters, a.Layers, a.Hidden, a.Intermediate, a.Heads, a.KeyValue, a.Vocabulary, a.Context)

	if len(members) > 0 {
		fmt.Fprintf(&b, "\nIt is an ensemble of %d such models, fitted alike by different seeds: its scalar is the mean of theirs, and their deviation is its uncertainty.\n\n| member | model | seed |\n|---|---|---|\n", len(members))
		for _, m := range members {
			fmt.Fprintf(&b, "| %s | %s | %d |\n", markdown(filepath.Base(m.Path)), code(m.Lineage.ID), m.Lineage.Seed)
		}
	}

	b.WriteString("\n## Lineage\n\n| model | kind | stage | round | data | seed | made |\n|---|---|---|---|---|---|---|\n")
	for _, m := range line {
		fmt.Fprintf(&b, "| %s (%s) | %s | %s | %s | %s | %d | %s |\n", markdown(dash(m.Name)), code(m.ID), m.Kind, m.Stage, roundText(m.Round), code(dash(m.Snapshot)), m.Seed, day(m.CreatedAt))
	}
	if last := line[len(line)-1]; last.Parent != "" {
		fmt.Fprintf(&b, "\nIts first ancestor here was made from %s.\n", code(last.Parent))
	}
	if m.Kernel != "" {
		fmt.Fprintf(&b, "\nThe same configuration gives the same bits with %s.\n", markdown(m.Kernel))
	}
	if c := m.Calibration; c != nil {
		b.WriteString("\n## Calibration\n\n")
		if m.Kind == tandem.SafetyModel {
			meaning := "The model is uncalibrated: the gate is the quantile of r that gates 15 % of the reference policy's answers to safety prompts."
			switch {
			case c.Calibrated && c.Temperature > 0:
				meaning = fmt.Sprintf("σ(r / %.4f) is the probability that an answer is safe, and the gate is where it is .15.", c.Temperature)
			case c.Calibrated:
				meaning = "σ(r) is the probability that an answer is safe, and the gate is logit(.15)."
			}
			fmt.Fprintf(&b, "%s An answer is gated where r < %.4f. ", meaning, c.Gate)
		}
		fmt.Fprintf(&b, "Over %d reference samples r has mean %.4f and deviation %.4f.\n", c.Samples, c.Mean, c.Deviation)
		if c.Temperature > 0 && !c.Calibrated {
			fmt.Fprintf(&b, "Divided by %.4f, differences of r fit the verdicts of held-out comparisons best as log-odds.\n", c.Temperature)
		}
	}
	if len(m.Metrics) > 0 {
		b.WriteString("\n## Metrics\n\n| name | value |\n|---|---|\n")
		for _, name := range sortedNames(m.Metrics) {
			fmt.Fprintf(&b, "| %s | %.6g |\n", markdown(name), m.Metrics[name])
		}
	}
	if len(m.Config) > 0 {
		var indented bytes.Buffer
		if err := json.Indent(&indented, m.Config, "", "  "); err == nil {
			fmt.Fprintf(&b, "\n## Configuration\n\n~~~json\n%s\n~~~\n", indented.String())
		}
	}
	return b.String()
}

// markdown escapes what a cell or a heading would read as markup.
func markdown(text string) string {
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "*", `\*`, "_", `\_`, "`", "\\`", "<", "&lt;", "\n", " ", "[", `\[`).Replace(text)
}

func code(text string) string {
	return "`" + strings.NewReplacer("`", "'", "|", `\|`, "\n", " ").Replace(text) + "`"
}

func sortedNames(metrics map[string]float64) []string {
	return slices.Sorted(maps.Keys(metrics))
}

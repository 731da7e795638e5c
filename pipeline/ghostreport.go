package pipeline

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"tandem"
	"tandem/report"
)

// Report shows how policies hold on to instructions.
func (m HoldingMeasures) Report(facts []report.Fact, now time.Time) report.Report {
	r := report.Report{
		Title: "Holding on to an instruction",
		Summary: []string{fmt.Sprintf("%d dialogues begin with an instruction for good, which no later message repeats. Each policy answers all messages, its own answers before them. An answer keeps the instruction if it keeps everything in it that can be checked (Llama 2, section 3.3 and table 30).",
			m.Dialogues)},
		Created: now, Facts: facts,
	}
	r.Sections = []report.Section{m.shares(), m.kinds(), m.attention(), m.examples()}
	return r
}

func (m HoldingMeasures) shares() report.Section {
	table := report.Table{Caption: "Answers that keep their instruction, in %, with 95 % intervals (Wilson)", Columns: []string{""}}
	lines := &report.Lines{X: report.Axis{Label: "turn"}, Y: report.Axis{Label: "share that keeps the instruction", Min: report.At(0), Max: report.At(1)}}
	for _, p := range m.Policies {
		series, row := report.Series{Name: p.Name}, []report.Cell{report.Text(p.Name)}
		for _, t := range p.Kept {
			if name := fmt.Sprintf("turn %d", t.Turn); len(row) == len(table.Columns) {
				table.Columns = append(table.Columns, name)
			}
			series.Points = append(series.Points, report.Point{X: float64(t.Turn), Y: estimated(t.Share)})
			row = append(row, report.Interval(hundred(t.Share), 0))
		}
		lines.Series, table.Rows = append(lines.Series, series), append(table.Rows, row)
	}
	return report.Section{
		Heading: "By turn", Tables: []report.Table{table},
		Figures: []report.Figure{{Title: "Instructions kept", Caption: "Share of answers that keep the instruction of the first message, by turn, with 95 % intervals.", Lines: lines, Wide: true}},
	}
}

func (m HoldingMeasures) kinds() report.Section {
	table := report.Table{Caption: "The same by what is asked for, in %; an instruction of several things counts under each", Columns: []string{"", "asked for"}}
	for _, p := range m.Policies {
		for _, kind := range slices.Sorted(maps.Keys(p.ByKind)) {
			row := []report.Cell{report.Text(p.Name), report.Text(string(kind))}
			for _, t := range p.ByKind[kind] {
				if len(row) == len(table.Columns) {
					table.Columns = append(table.Columns, fmt.Sprintf("turn %d", t.Turn))
				}
				row = append(row, report.Interval(hundred(t.Share), 0))
			}
			table.Rows = append(table.Rows, row)
		}
	}
	for i := range table.Rows { // fewer turns may be there of a kind
		for len(table.Rows[i]) < len(table.Columns) {
			table.Rows[i] = append(table.Rows[i], report.Cell{})
		}
	}
	return report.Section{Heading: "By kind", Tables: []report.Table{table}}
}

func (m HoldingMeasures) attention() report.Section {
	s := report.Section{
		Heading:    "Attention",
		Paragraphs: []string{"What the answers of one dialogue attend to, in the manner of the paper's figure 10: the largest weight of any layer and head on any token of a message, averaged over an answer's tokens. All policies look at the same text, the last policy's."},
	}
	for _, p := range m.Policies {
		heat := &report.Heat{X: report.Axis{Ticks: short(p.Attention.Messages)}, Y: report.Axis{Label: "answer"}, Rows: p.Attention.Rows}
		for i := range p.Attention.Rows {
			heat.Y.Ticks = append(heat.Y.Ticks, fmt.Sprint(i+1))
		}
		s.Figures = append(s.Figures, report.Figure{
			Title: "Attention of " + p.Name, Wide: true, Heat: heat,
			Caption: "Rows are answers, columns the instruction (I), the user's messages (u) and the answers (a); the darker, the more attention.",
		})
	}
	return s
}

// short are the messages' names for a picture's edge: I, u1, a1 …
func short(messages []string) []string {
	var names []string
	for i, m := range messages {
		switch {
		case i == 0:
			m = "I"
		case i%2 == 1:
			m = fmt.Sprintf("u%d", i/2+1)
		default:
			m = fmt.Sprintf("a%d", i/2)
		}
		names = append(names, m)
	}
	return names
}

func (m HoldingMeasures) examples() report.Section {
	s := report.Section{Heading: "One dialogue", Paragraphs: []string{"The same messages to every policy; each went its own way."}}
	for _, p := range m.Policies {
		sample := report.Sample{Title: p.Name, Prompt: p.Example.Messages[:1]}
		for i, message := range p.Example.Messages {
			if turn := i/2 + 1; message.Role == tandem.Assistant && turn <= attentionTurns {
				kept := "no"
				if p.Example.Kept[i/2] {
					kept = "yes"
				}
				sample.Answers = append(sample.Answers, report.Answer{
					Name: fmt.Sprintf("turn %d: %s", turn, p.Example.Messages[i-1].Content), Text: message.Content,
					Notes: []report.Fact{{Name: "kept", Value: kept}},
				})
			}
		}
		s.Samples = append(s.Samples, sample)
	}
	return s
}

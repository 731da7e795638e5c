package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

// WriteMarkdown writes the report as Markdown: its words and tables, and of every figure the numbers. Answers are quoted.
func (r Report) WriteMarkdown(w io.Writer) error {
	if err := r.Validate(); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", escaped(r.Title))
	paragraphs(&b, r.Summary)
	if len(r.Highlights) > 0 {
		b.WriteByte('\n')
	}
	for _, h := range r.Highlights {
		fmt.Fprintf(&b, "- %s: **%s**%s\n", escaped(h.Label), escaped(h.Value), prefixed(" – ", escaped(h.Note)))
	}
	for _, s := range r.Sections {
		fmt.Fprintf(&b, "\n## %s\n", escaped(s.Heading))
		paragraphs(&b, s.Paragraphs)
		for _, f := range s.Figures {
			c, err := f.chart()
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "\n%s: %s\n", escaped(f.Title), escaped(f.Caption))
			c.table(f.Title).markdown(&b)
		}
		for _, t := range s.Tables {
			fmt.Fprintf(&b, "\n%s:\n", escaped(t.Caption))
			t.markdown(&b)
		}
		for _, sample := range s.Samples {
			fmt.Fprintf(&b, "\n### %s\n", escaped(cmp.Or(sample.Title, "Answers")))
			for _, m := range sample.Prompt {
				quote(&b, string(m.Role), m.Content)
			}
			for _, a := range sample.Answers {
				quote(&b, a.Name, a.Text)
			}
		}
	}
	if len(r.Facts) > 0 {
		t := Table{Caption: "facts", Columns: []string{"", ""}}
		for _, f := range r.Facts {
			t.Rows = append(t.Rows, []Cell{Text(f.Name), Text(f.Value)})
		}
		b.WriteString("\n## What this rests on\n")
		t.markdown(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func paragraphs(b *strings.Builder, all []string) {
	for _, p := range all {
		fmt.Fprintf(b, "\n%s\n", escaped(p))
	}
}

func quote(b *strings.Builder, who, text string) {
	fmt.Fprintf(b, "\n**%s**\n\n", escaped(who))
	for line := range strings.Lines(text) {
		fmt.Fprintf(b, "> %s\n", escaped(strings.TrimRight(line, "\n")))
	}
}

// markdown writes the rows and not the caption. Columns of numbers are aligned at the right.
func (t Table) markdown(b *strings.Builder) {
	b.WriteString("\n|")
	for _, c := range t.Columns {
		fmt.Fprintf(b, " %s |", escaped(c))
	}
	b.WriteString("\n|")
	for i := range t.Columns {
		numbers := len(t.Rows) > 0
		for _, row := range t.Rows {
			numbers = numbers && (row[i].Number != nil || row[i].Text == "")
		}
		if numbers {
			b.WriteString("---:|")
		} else {
			b.WriteString("---|")
		}
	}
	for _, row := range t.Rows {
		b.WriteString("\n|")
		for _, c := range row {
			fmt.Fprintf(b, " %s |", escaped(c.String()))
		}
	}
	b.WriteByte('\n')
}

// escaped takes from a text what Markdown would read as markup.
func escaped(text string) string {
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "*", `\*`, "_", `\_`, "`", "\\`", "<", "&lt;", "\n", " ", "[", `\[`, "#", `\#`).Replace(text)
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

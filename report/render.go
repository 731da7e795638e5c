package report

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tandem"
)

//go:embed report.html report.css
var files embed.FS

// page is what the template sees: the report with its charts drawn.
type page struct {
	Report
	Style    template.CSS
	Palette  template.CSS
	Sections []drawnSection
}

type drawnSection struct {
	Section
	Anchor  string
	Figures []drawnFigure
}

type drawnFigure struct {
	Figure
	SVG    template.HTML
	Legend []legendEntry
	Table  Table
}

type legendEntry struct {
	Class, Shape, Name string
}

// WriteHTML renders the report as one HTML file that needs nothing beside it.
func (r Report) WriteHTML(w io.Writer) error {
	if err := r.Validate(); err != nil {
		return err
	}
	const op = "report.WriteHTML"
	style, err := files.ReadFile("report.css")
	if err != nil {
		return tandem.Errorf(tandem.Internal, op, "%w", err)
	}
	p := page{Report: r, Style: template.CSS(style), Palette: palette()}
	for i, s := range r.Sections {
		d := drawnSection{Section: s, Anchor: fmt.Sprintf("section-%d", i+1)}
		for _, f := range s.Figures {
			drawn, err := drawFigure(f)
			if err != nil {
				return tandem.Errorf(tandem.Internal, op, "figure %q of section %q: %w", f.Title, s.Heading, err)
			}
			d.Figures = append(d.Figures, drawn)
		}
		p.Sections = append(p.Sections, d)
	}
	t, err := template.New("report.html").Funcs(template.FuncMap{"date": func(t time.Time) string {
		return t.UTC().Format("2 January 2006, 15:04 UTC")
	}}).ParseFS(files, "report.html")
	if err != nil {
		return tandem.Errorf(tandem.Internal, op, "%w", err)
	}
	// Rendered whole before the first byte is written, so that a failure leaves no half page.
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return tandem.Errorf(tandem.Internal, op, "%w", err)
	}
	_, err = b.WriteTo(w)
	return err
}

// drawFigure turns a figure's data into a plot, a legend and a table.
func drawFigure(f Figure) (drawnFigure, error) {
	c, err := f.chart()
	if err != nil {
		return drawnFigure{}, err
	}
	image, err := svg(f, c)
	if err != nil {
		return drawnFigure{}, err
	}
	// The plotting library escapes every text that it draws.
	d := drawnFigure{Figure: f, SVG: template.HTML(image), Table: c.table(f.Title)}
	for i, name := range c.names() {
		d.Legend = append(d.Legend, legendEntry{fmt.Sprintf("hue-%d", i%hues), c.shape(i), name})
	}
	return d, nil
}

// palette gives the legend the plots' colours.
func palette() template.CSS {
	var b strings.Builder
	for i := range hues {
		c := hue(i)
		fmt.Fprintf(&b, ".hue-%d { color: #%02x%02x%02x }\n", i, c.R, c.G, c.B)
	}
	return template.CSS(b.String())
}

// WriteJSON writes the report's data, indented.
func (r Report) WriteJSON(w io.Writer) error {
	if err := r.Validate(); err != nil {
		return err
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// WriteFiles writes report.html and report.json into a folder that exists, each replaced as a whole.
func (r Report) WriteFiles(folder string) error {
	for name, write := range map[string]func(io.Writer) error{"report.html": r.WriteHTML, "report.json": r.WriteJSON} {
		if err := replace(filepath.Join(folder, name), write); err != nil {
			return err
		}
	}
	return nil
}

// replace writes a file beside its place and moves it there.
func replace(path string, write func(io.Writer) error) (err error) {
	const op = "report.WriteFiles"
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	defer func() {
		if err != nil {
			f.Close() // a second time where it was closed already; the first error is the one that counts
			os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	if err := f.Close(); err != nil {
		return tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	return nil
}

package report

import (
	"fmt"
	"html/template"
	"image/color"
	"regexp"
	"strings"
)

// Drawing is a figure for a page that has a style of its own.
type Drawing struct {
	Figure
	// SVG is hidden from screen readers, for whom the table is. It has no style attributes, which a strict
	// Content-Security-Policy forbids; its colours are attributes that a style sheet may override by the classes
	// fill-NAME and stroke-NAME, NAME being paper, ink, faint or hue-0 to hue-6.
	SVG    template.HTML
	Legend []LegendEntry
	Table  Table // the figure's numbers
}

// LegendEntry names a series. Class is hue-0 to hue-6, Shape a character like the series' mark.
type LegendEntry struct {
	Class, Shape, Name string
}

// Draw draws the figure. Errors: Invalid when it cannot be shown.
func (f Figure) Draw() (Drawing, error) {
	if f.Title == "" || f.Caption == "" {
		return Drawing{}, invalid("figure %q lacks its title or its caption", f.Title)
	}
	c, err := f.chart()
	if err == nil {
		err = c.validate()
	}
	if err != nil {
		return Drawing{}, invalid("figure %q: %w", f.Title, err)
	}
	d, err := drawFigure(f)
	if err != nil {
		return Drawing{}, err
	}
	out := Drawing{Figure: f, SVG: template.HTML(unstyled(string(d.SVG))), Table: d.Table}
	for _, entry := range d.Legend {
		out.Legend = append(out.Legend, LegendEntry(entry))
	}
	return out, nil
}

var styleAttribute = regexp.MustCompile(`style="([^"]*)"`)

// unstyled turns style attributes into the presentation attributes of the same names.
func unstyled(svg string) string {
	names := map[string]string{hex(ink): "ink", hex(faint): "faint", "#ffffff": "paper"}
	for i := range hues {
		names[hex(hue(i))] = fmt.Sprintf("hue-%d", i)
	}
	return styleAttribute.ReplaceAllStringFunc(svg, func(style string) string {
		var attributes, classes []string
		for _, declaration := range strings.Split(styleAttribute.FindStringSubmatch(style)[1], ";") {
			name, value, ok := strings.Cut(declaration, ":")
			if name, value = strings.TrimSpace(name), strings.TrimSpace(value); !ok || name == "font-family" {
				continue // the page's
			}
			attributes = append(attributes, name+`="`+value+`"`)
			if class, known := names[strings.ToLower(value)]; known {
				classes = append(classes, name+"-"+class)
			}
		}
		if len(classes) > 0 {
			attributes = append(attributes, `class="`+strings.Join(classes, " ")+`"`)
		}
		return strings.Join(attributes, " ")
	})
}

func hex(c color.NRGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// report prints what a command came to: v as one JSON object with --json, the formatted text otherwise.
func (w *world) report(v any, format string, args ...any) error {
	if w.json {
		return w.encode(v)
	}
	_, err := fmt.Fprintf(w.out, format, args...)
	return stdoutError(err)
}

// table prints rows under a head, or v as one JSON object with --json. Cells hold no tabs or line ends.
func (w *world) table(v any, head []string, rows [][]string) error {
	if w.json {
		return w.encode(v)
	}
	out := tabwriter.NewWriter(w.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, strings.Join(head, "\t"))
	for _, row := range rows {
		for i := range row {
			row[i] = strings.Join(strings.FieldsFunc(row[i], func(r rune) bool { return r == '\t' || r == '\n' || r == '\r' }), " ")
		}
		fmt.Fprintln(out, strings.Join(row, "\t"))
	}
	return stdoutError(out.Flush())
}

func (w *world) encode(v any) error {
	encoder := json.NewEncoder(w.out)
	encoder.SetEscapeHTML(false)
	return stdoutError(encoder.Encode(v))
}

func stdoutError(err error) error {
	if err != nil {
		return fmt.Errorf("write stdout: %w", err)
	}
	return nil
}

// day is a time as tables show it: to the minute, in UTC; "-" for none.
func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04")
}

// dash is text, or "-" for none.
func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

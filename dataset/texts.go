package dataset

import (
	"io"
	"iter"
	"strings"

	"tandem"
)

// TextFormat is a file format of plain text for pretraining.
type TextFormat string

const (
	// PlainText is one document, or several with lines of [EndOfText] between them.
	PlainText TextFormat = "text"
	// TextLines is JSON Lines of {"text": …}, a document a line.
	TextLines TextFormat = "jsonl"
)

// EndOfText divides the documents of a plain text file, as in the TinyStories corpus
// (https://huggingface.co/datasets/roneneldan/TinyStories).
const EndOfText = "<|endoftext|>"

// ReadTexts yields the documents of a stream, blank ones left out. name stands in errors.
func ReadTexts(name string, r io.Reader, format TextFormat) iter.Seq2[string, error] {
	switch format {
	case PlainText:
		return plainTexts(name, r)
	case TextLines:
		return textLines(name, r)
	}
	return func(yield func(string, error) bool) {
		yield("", tandem.Errorf(tandem.Invalid, "dataset.ReadTexts", "there is no text format %q; there are %v", format, []TextFormat{PlainText, TextLines}))
	}
}

func plainTexts(name string, r io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var document strings.Builder
		// done yields the document gathered so far.
		done := func() bool {
			text := strings.TrimSpace(document.String())
			document.Reset()
			return text == "" || yield(text, nil)
		}
		for l, err := range lines(name, r, 0) {
			if err != nil {
				yield("", err)
				return
			}
			if string(l.bytes) == EndOfText {
				if !done() {
					return
				}
				continue
			}
			if document.Len()+len(l.bytes) > DefaultMaxLine {
				yield("", at(name, l.number, "the document is longer than %d bytes: divide the file by lines of %s", DefaultMaxLine, EndOfText))
				return
			}
			document.Write(l.bytes)
			document.WriteByte('\n')
		}
		done()
	}
}

func textLines(name string, r io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for rec, err := range records[struct{ Text *string }](name, r, 0) {
			if err == nil && rec.value.Text == nil {
				err = rec.errorf("the record has no \"text\"")
			}
			if err != nil {
				yield("", err)
				return
			}
			if strings.TrimSpace(*rec.value.Text) != "" && !yield(*rec.value.Text, nil) {
				return
			}
		}
	}
}

package corpus

import (
	"cmp"
	"context"
	"encoding/binary"
	"hash/fnv"
	"iter"
	"math"
	"slices"
	"unicode/utf8"

	"tandem"
	"tandem/dataset"
)

// Source is a collection of documents.
type Source struct {
	Name   string             `json:"name"`
	Files  []string           `json:"files"`
	Format dataset.TextFormat `json:"format,omitempty"` // defaults to dataset.PlainText
	// Repeat is how often each document stands in the mixture, 1 where it is 0: 2.5 is all of them twice and a half of them,
	// drawn by lot, once more. The paper up-samples the most factual sources.
	Repeat float64 `json:"repeat"`
}

// Mixture is what a model is fitted to.
type Mixture struct {
	Sources []Source `json:"sources"`
	Clean   Clean    `json:"clean"`
	Seed    uint64   `json:"seed"` // of the order, and of lots
}

// Validate reports the first thing that makes no sense.
func (m Mixture) Validate() error {
	const op = "corpus.Mixture"
	if len(m.Sources) == 0 {
		return tandem.Errorf(tandem.Invalid, op, "there are no sources")
	}
	names := make(map[string]bool)
	for i, s := range m.Sources {
		switch {
		case s.Name == "" || names[s.Name]:
			return tandem.Errorf(tandem.Invalid, op, "source %d: its name %q is empty or another's", i+1, s.Name)
		case len(s.Files) == 0:
			return tandem.Errorf(tandem.Invalid, op, "source %s has no files", s.Name)
		case !(s.Repeat >= 0) || math.IsInf(s.Repeat, 0):
			return tandem.Errorf(tandem.Invalid, op, "source %s: repeat is %g, not a number from 0 on", s.Name, s.Repeat)
		}
		names[s.Name] = true
	}
	return m.Clean.Validate()
}

// Account is what went in, what went out and why.
type Account struct {
	Sources []SourceReport `json:"sources"`
	// Examples are the first documents of each source that went out for each reason, by their beginnings.
	Examples []Example `json:"examples"`
}

// SourceReport counts one source.
type SourceReport struct {
	Name       string         `json:"name"`
	Read       int            `json:"read"`
	Out        map[Reason]int `json:"out"`
	Kept       int            `json:"kept"`
	Characters int            `json:"characters"` // of what was kept
	Repeat     float64        `json:"repeat"`
	Mixed      int            `json:"mixed"`            // documents in the mixture, repetitions counted
	Share      float64        `json:"share_characters"` // of the mixture's characters
}

// Example is a document that went out.
type Example struct {
	Source string `json:"source"`
	Reason Reason `json:"reason"`
	Text   string `json:"text"`
	Like   string `json:"like,omitempty"` // the document that it nearly is
}

// examples is how many are shown of a source and a reason.
const examples = 3

// Make reads all sources, cleans them and returns the mixture's documents in their order, with the report.
func Make(ctx context.Context, m Mixture) ([]string, Account, error) {
	var report Account
	if err := m.Validate(); err != nil {
		return nil, report, err
	}
	c := newCleaner(m.Clean)
	type placed struct {
		text string
		lot  uint64
	}
	var mixed []placed
	total := 0
	for n, s := range m.Sources {
		r := SourceReport{Name: s.Name, Out: make(map[Reason]int), Repeat: s.Repeat}
		if r.Repeat == 0 {
			r.Repeat = 1
		}
		for text, err := range s.read() {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return nil, report, err
			}
			index := r.Read
			r.Read++
			if reason, like := c.look(text); reason != "" {
				if r.Out[reason]++; r.Out[reason] <= examples {
					report.Examples = append(report.Examples, Example{s.Name, reason, snippet(text), like})
				}
				continue
			}
			r.Kept++
			r.Characters += utf8.RuneCountInString(text)
			for k := 0; float64(k) < r.Repeat; k++ {
				if whole := float64(k+1) <= r.Repeat; whole || share(lot(m.Seed, n, index, -1)) < r.Repeat-float64(k) {
					mixed = append(mixed, placed{text, lot(m.Seed, n, index, k)})
					r.Mixed++
					r.Share += float64(utf8.RuneCountInString(text))
				}
			}
		}
		total += int(r.Share)
		report.Sources = append(report.Sources, r)
	}
	if len(mixed) == 0 {
		return nil, report, tandem.Errorf(tandem.Invalid, "corpus.Make", "no document of %d sources is left", len(m.Sources))
	}
	for i := range report.Sources {
		report.Sources[i].Share /= float64(total)
	}
	slices.SortStableFunc(mixed, func(a, b placed) int { return cmp.Compare(a.lot, b.lot) })
	texts := make([]string, len(mixed))
	for i, p := range mixed {
		texts[i] = p.text
	}
	return texts, report, nil
}

// read yields a source's documents.
func (s Source) read() iter.Seq2[string, error] {
	format := cmp.Or(s.Format, dataset.PlainText)
	return func(yield func(string, error) bool) {
		for _, path := range s.Files {
			f, err := dataset.Open(path)
			if err != nil {
				yield("", err)
				return
			}
			for text, err := range dataset.ReadTexts(path, f, format) {
				if !yield(text, err) || err != nil {
					_ = f.Close() // only read
					return
				}
			}
			if err := f.Close(); err != nil {
				yield("", err)
				return
			}
		}
	}
}

// lot draws by the number of a source, of its document and of the repetition.
func lot(seed uint64, numbers ...int) uint64 {
	h := fnv.New64a()
	h.Write(binary.LittleEndian.AppendUint64(nil, seed)) // never fails
	for _, n := range numbers {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	}
	z := h.Sum64() // its low bits are weak: mix them
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// share is a lot as a number in [0, 1).
func share(lot uint64) float64 { return float64(lot>>11) / (1 << 53) }

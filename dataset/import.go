package dataset

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tandem"
)

// Format is a file format of preference pairs.
type Format string

const (
	HH            Format = "hh"            // Anthropic: two transcripts
	UltraFeedback Format = "ultrafeedback" // prompt, two answers or more and a score of each
	TRL           Format = "trl"           // prompt, chosen, rejected; the prompt may be implicit
	OpenRLHF      Format = "openrlhf"      // the same keys
	PKU           Format = "pku"           // PKU-SafeRLHF: one pair judged for helpfulness and for safety
	ShareGPT      Format = "sharegpt"      // LLaMA-Factory: conversations of {from, value}
)

// Formats lists the formats that can be read.
func Formats() []Format { return []Format{HH, UltraFeedback, TRL, OpenRLHF, PKU, ShareGPT} }

// As says which aspect an imported file judges.
type As string

const (
	// AsRecorded takes each record's own "aspect", which the files that tandem exports have.
	AsRecorded    As = ""
	AsHelpfulness As = "helpfulness"
	AsSafety      As = "safety"
	// AsBoth makes a comparison of each aspect from one record. PKU's records answer both; the one verdict of
	// another format's then stands for both, which only who knows the data can say.
	AsBoth As = "both"
)

// ImportConfig says how files are read.
type ImportConfig struct {
	Format Format
	As     As
	// Source is recorded with every comparison. Defaults to the file's name without its folder.
	Source string
	// MaxLine is the longest line in bytes. Defaults to DefaultMaxLine.
	MaxLine int
}

// Validate reports a configuration that no file could satisfy.
func (c ImportConfig) Validate() error {
	const op = "dataset.ImportConfig"
	if !slices.Contains(Formats(), c.Format) {
		return tandem.Errorf(tandem.Invalid, op, "there is no format %q; there are %v", c.Format, Formats())
	}
	switch c.As {
	case AsHelpfulness, AsSafety, AsBoth:
	case AsRecorded:
		if c.Format != TRL && c.Format != OpenRLHF {
			return tandem.Errorf(tandem.Invalid, op, "records of %s do not name their aspect: say helpfulness or safety", c.Format)
		}
	default:
		return tandem.Errorf(tandem.Invalid, op, "there is no aspect %q", c.As)
	}
	return nil
}

// Import reads preference files of one format. Duplicates are recognised across all files that one
// Import reads. It is not for concurrent use.
type Import struct {
	config ImportConfig
	seen   map[[16]byte]struct{}
	report Report
}

// NewImport starts an import.
func NewImport(config ImportConfig) (*Import, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	return &Import{config: config, seen: make(map[[16]byte]struct{})}, nil
}

// Report says what became of the records read so far.
func (i *Import) Report() Report { return i.report }

// Read yields the comparisons of one file. name stands in errors and is the default source. The first
// malformed record yields an error and ends the sequence.
//
// A comparison's ID is derived from its content, so that the same pair has the same ID whatever file it
// comes from; HeldOut is left to whoever stores it.
func (i *Import) Read(name string, r io.Reader) iter.Seq2[tandem.Comparison, error] {
	return func(yield func(tandem.Comparison, error) bool) {
		source := i.config.Source
		if source == "" {
			source = filepath.Base(name)
		}
		for rec, err := range records[json.RawMessage](name, r, i.config.MaxLine) {
			if err != nil {
				yield(tandem.Comparison{}, err)
				return
			}
			pairs, err := i.decode(rec.value, i.config.As)
			if err == nil {
				err = checkPairs(pairs)
			}
			if err != nil {
				yield(tandem.Comparison{}, rec.errorf("%w", err))
				return
			}
			i.report.Read++
			for _, p := range pairs {
				c := p.Comparison
				if c.Source == "" {
					c.Source = source
				}
				c.Prompt.Source = c.Source
				fingerprint := fingerprint(c)
				c.ID = uuidOf(fingerprint)
				if !i.count(p, fingerprint) {
					continue
				}
				if !yield(c, nil) {
					return
				}
			}
		}
	}
}

// decode turns one record into its pair, or into all pairs of its answers; twice where both aspects are asked for.
func (i *Import) decode(raw json.RawMessage, as As) ([]pair, error) {
	if as == AsBoth && i.config.Format != PKU {
		helpfulness, err := i.decode(raw, AsHelpfulness)
		if err != nil {
			return nil, err
		}
		safety, err := i.decode(raw, AsSafety)
		return append(helpfulness, safety...), err
	}
	switch i.config.Format {
	case HH:
		return decodeHH(raw, tandem.Aspect(as))
	case UltraFeedback:
		return decodeUltraFeedback(raw, tandem.Aspect(as))
	case PKU:
		return decodePKU(raw, as)
	case ShareGPT:
		return decodeShareGPT(raw, tandem.Aspect(as))
	default:
		return decodeTRL(raw, as)
	}
}

// pair is a comparison as read, and what is to become of it.
type pair struct {
	tandem.Comparison
	outcome outcome
}

// outcome is what becomes of a pair; each pair has exactly one, the first that applies in this order.
type outcome int

const (
	kept outcome = iota
	tied
	contradicted
	promptsDiffer
	sidesEqual
	duplicate
)

// checkPairs refuses what is not a comparison at all.
func checkPairs(pairs []pair) error {
	for _, p := range pairs {
		if p.outcome == kept || p.outcome == tied {
			if err := p.Prompt.Validate(); err != nil {
				return err
			}
		}
		for _, m := range p.Prompt.Messages {
			if strings.ContainsRune(m.Content, 0) {
				return fmt.Errorf("the prompt holds a NUL character, which Postgres cannot store")
			}
			if m.Role == tandem.User && strings.TrimSpace(m.Content) == "" {
				return fmt.Errorf("a user message of the prompt is empty")
			}
		}
		if strings.ContainsRune(p.Chosen.Content, 0) || strings.ContainsRune(p.Rejected.Content, 0) {
			return fmt.Errorf("an answer holds a NUL character, which Postgres cannot store")
		}
	}
	return nil
}

// count settles p's outcome, counts it and says whether p is kept.
func (i *Import) count(p pair, fingerprint [16]byte) bool {
	if p.outcome == kept && p.Chosen.Content == p.Rejected.Content {
		p.outcome = sidesEqual
	}
	if p.outcome == kept {
		if _, ok := i.seen[fingerprint]; ok {
			p.outcome = duplicate
		}
		i.seen[fingerprint] = struct{}{}
	}
	switch p.outcome {
	case tied:
		i.report.Ties++
	case contradicted:
		i.report.Contradictions++
	case promptsDiffer:
		i.report.PromptsDiffer++
	case sidesEqual:
		i.report.SidesEqual++
	case duplicate:
		i.report.Duplicates++
	case kept:
		i.report.Kept++
		if strings.TrimSpace(p.Chosen.Content) == "" || strings.TrimSpace(p.Rejected.Content) == "" {
			i.report.EmptyAnswers++
		}
		if !p.Trainable() {
			i.report.UnsafeChosen++
		}
	}
	return p.outcome == kept
}

// fingerprint is a hash of what makes a comparison this comparison: aspect, prompt, the two answers in
// their order, and the verdict. The same pair judged to another degree is another comparison.
func fingerprint(c tandem.Comparison) [16]byte {
	hash := sha256.New()
	write := func(s string) { fmt.Fprintf(hash, "%d:%s,", len(s), s) }
	write(string(c.Aspect))
	for _, m := range c.Prompt.Messages {
		write(string(m.Role))
		write(m.Content)
	}
	write(c.Chosen.Content)
	write(c.Rejected.Content)
	write(c.Degree.String())
	write(string(c.Chosen.Label))
	write(string(c.Rejected.Label))
	if c.Margin != nil {
		write(strconv.FormatFloat(*c.Margin, 'g', -1, 64))
	}
	return [16]byte(hash.Sum(nil))
}

// uuidOf writes a fingerprint as a UUID of version 8 (RFC 9562, section 5.8).
func uuidOf(f [16]byte) string {
	f[6] = f[6]&0x0f | 0x80
	f[8] = f[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", f[:4], f[4:6], f[6:8], f[8:10], f[10:])
}

package dataset

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"tandem"
)

// CSV is a table with one comparison a row, for spreadsheets and data frames, and all that is kept of how it was
// judged: by which pseudonym, which answer stood left, in what time. It is written, not read.
// Cells hold the texts as they are; a spreadsheet program that runs formulas must be told that they are
// text.
const CSV Format = "csv"

// ExportFormats lists the formats that can be written.
func ExportFormats() []Format { return []Format{TRL, OpenRLHF, HH, CSV} }

// ExportConfig says how comparisons are written.
type ExportConfig struct {
	Format Format
	// Margin gives the margin that a comparison is written with where it has none of its own; package
	// rewardmodel has the paper's two tables. Nil writes only margins of their own. TRL's trainer wants
	// a margin in every record or in none.
	Margin func(tandem.Degree) float64
}

// Writer writes comparisons as a stream. Close it to see the last error.
type Writer struct {
	buffered *bufio.Writer
	config   ExportConfig
	table    *csv.Writer // CSV alone
	encoder  *json.Encoder
}

// exportedFields are what tandem's records have beside TRL's; trainers ignore them, Import reads them.
type exportedFields struct {
	ID             string              `json:"id,omitempty"`
	Aspect         tandem.Aspect       `json:"aspect,omitempty"`
	Degree         tandem.Degree       `json:"degree,omitempty"`
	ChosenSafety   tandem.SafetyLabel  `json:"chosen_safety,omitempty"`
	RejectedSafety tandem.SafetyLabel  `json:"rejected_safety,omitempty"`
	SafetyPrompt   *bool               `json:"safety_prompt,omitempty"`
	Risk           tandem.RiskCategory `json:"risk_category,omitempty"`
	Vector         tandem.AttackVector `json:"attack_vector,omitempty"`
	Source         string              `json:"source,omitempty"`
	Batch          int                 `json:"batch,omitempty"`
	Ranking        string              `json:"ranking,omitempty"`
	HeldOut        bool                `json:"held_out,omitempty"`
}

// columns are the CSV table's, in order.
var columns = [...]string{
	"id", "aspect", "prompt", "chosen", "rejected", "degree", "margin", "chosen_safety", "rejected_safety",
	"safety_prompt", "risk_category", "attack_vector", "source", "batch", "held_out", "chosen_model", "rejected_model",
	"chosen_response_id", "rejected_response_id",
	// Of a judgment, empty for what was imported.
	"judgment_id", "version", "task_id", "project_id", "annotator_id", "simulated", "left_response_id", "right_response_id",
	"comment", "flag", "guideline_version", "active_seconds", "surplus", "gold", "excluded", "excluded_because", "created_at",
}

// ofJudgment is how many of the columns are a judgment's, the last ones.
const ofJudgment = 17

// NewWriter starts an export to w.
func NewWriter(w io.Writer, config ExportConfig) (*Writer, error) {
	if !slices.Contains(ExportFormats(), config.Format) {
		return nil, tandem.Errorf(tandem.Invalid, "dataset.NewWriter", "%q cannot be written; %v can", config.Format, ExportFormats())
	}
	out := &Writer{buffered: bufio.NewWriterSize(w, 1<<16), config: config}
	if config.Format == CSV {
		out.table = csv.NewWriter(out.buffered)
		return out, out.failed(out.table.Write(columns[:]))
	}
	out.encoder = json.NewEncoder(out.buffered)
	out.encoder.SetEscapeHTML(false)
	return out, nil
}

// Write writes one comparison. A comparison that the format cannot hold is an error with the code
// Unsupported that names it; nothing of it is written, and the caller may go on.
func (w *Writer) Write(c tandem.Comparison) error {
	switch w.config.Format {
	case HH:
		return w.writeHH(c)
	case CSV:
		return w.writeRow(c)
	}
	type messages = tandem.Dialogue
	return w.failed(w.encoder.Encode(struct {
		Prompt   messages `json:"prompt"`
		Chosen   messages `json:"chosen"`
		Rejected messages `json:"rejected"`
		Margin   *float64 `json:"margin,omitempty"`
		exportedFields
	}{
		Prompt:   c.Prompt.Messages,
		Chosen:   messages{{Role: tandem.Assistant, Content: c.Chosen.Content}},
		Rejected: messages{{Role: tandem.Assistant, Content: c.Rejected.Content}},
		Margin:   w.margin(c),
		exportedFields: exportedFields{
			ID: c.ID, Aspect: c.Aspect, Degree: c.Degree,
			ChosenSafety: c.Chosen.Label, RejectedSafety: c.Rejected.Label,
			SafetyPrompt: &c.Prompt.Safety, Risk: c.Prompt.Risk, Vector: c.Prompt.Vector,
			Source: c.Source, Batch: c.Batch, Ranking: c.Ranking, HeldOut: c.HeldOut,
		},
	}))
}

// Close writes what is buffered; the underlying writer stays open.
func (w *Writer) Close() error {
	if w.table != nil {
		w.table.Flush()
		if err := w.table.Error(); err != nil {
			return w.failed(err)
		}
	}
	return w.failed(w.buffered.Flush())
}

func (w *Writer) writeHH(c tandem.Comparison) error {
	var r struct {
		Chosen   string `json:"chosen"`
		Rejected string `json:"rejected"`
	}
	chosen, rejected := c.Dialogues()
	var err error
	if r.Chosen, err = transcript(chosen); err == nil {
		r.Rejected, err = transcript(rejected)
	}
	if err != nil {
		return tandem.Errorf(tandem.Unsupported, "dataset.Writer", "comparison %s cannot be written as hh: %w", c.ID, err)
	}
	return w.failed(w.encoder.Encode(r))
}

func (w *Writer) writeRow(c tandem.Comparison) error {
	prompt, err := json.Marshal(c.Prompt.Messages)
	if err != nil {
		return w.failed(err)
	}
	degree, err := c.Degree.MarshalText()
	if err != nil {
		return err
	}
	margin := ""
	if m := w.margin(c); m != nil {
		margin = strconv.FormatFloat(*m, 'g', -1, 64)
	}
	row := []string{
		c.ID, string(c.Aspect), string(prompt), c.Chosen.Content, c.Rejected.Content, string(degree), margin,
		string(c.Chosen.Label), string(c.Rejected.Label), strconv.FormatBool(c.Prompt.Safety),
		string(c.Prompt.Risk), string(c.Prompt.Vector), c.Source, strconv.Itoa(c.Batch), strconv.FormatBool(c.HeldOut),
		c.Chosen.Model, c.Rejected.Model, c.Chosen.ID, c.Rejected.ID,
	}
	return w.failed(w.table.Write(append(row, judgmentCells(c.Judgment)...)))
}

// judgmentCells are the cells that say how a comparison was judged; empty ones for nil.
func judgmentCells(j *tandem.Judgment) []string {
	if j == nil {
		return make([]string, ofJudgment)
	}
	known := func(is bool, text string) string {
		if !is {
			return ""
		}
		return text
	}
	return []string{
		j.ID, strconv.Itoa(j.Version), j.Task, j.Project, j.Annotator, strconv.FormatBool(j.Simulated), j.Left, j.Right,
		j.Comment, j.Flag, known(j.GuidelineVersion > 0, strconv.Itoa(j.GuidelineVersion)),
		known(j.ActiveSeconds > 0, strconv.FormatFloat(j.ActiveSeconds, 'f', -1, 64)), strconv.FormatBool(j.Surplus),
		strconv.FormatBool(j.Gold), strconv.FormatBool(j.Excluded), j.ExcludedBecause, j.CreatedAt.UTC().Format(time.RFC3339Nano),
	}
}

func (w *Writer) margin(c tandem.Comparison) *float64 {
	if c.Margin == nil && w.config.Margin != nil {
		m := w.config.Margin(c.Degree)
		return &m
	}
	return c.Margin
}

// failed names the operation in an error of the underlying writer.
func (w *Writer) failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("writing %s: %w", w.config.Format, err)
}

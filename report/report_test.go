package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/report"
)

// hostile is a text that must come out as it went in, and never as markup.
const hostile = `</script><script>alert("x & y")</script>`

// progress is a report with everything in it: what the demo shows of its versions.
func progress() report.Report {
	versions := report.Axis{Ticks: []string{"SFT", "RLHF-v1", "RLHF-v2", "RLHF-v3"}}
	line := func(name string, half float64, values ...float64) report.Series {
		s := report.Series{Name: name}
		for i, v := range values {
			s.Points = append(s.Points, report.Point{X: float64(i), Y: report.Between(v, v-half, v+half)})
		}
		return s
	}
	unit := report.Axis{Label: "score, 0 to 1", Min: report.At(0), Max: report.At(1)}
	var sft, last []float64
	for i := range 600 {
		x := math.Sin(float64(i)*1.7) + 0.6*math.Sin(float64(i)*0.31)
		sft, last = append(sft, x-0.4), append(last, 0.6*x+1.1)
	}
	var steps, controls report.Series
	steps.Name, controls.Name = "reward − β·KL", hostile
	for i := range 60 {
		v := 1.4 * (1 - math.Exp(-float64(i)/18))
		steps.Points = append(steps.Points, report.Point{X: float64(i), Y: report.Between(v, v-0.15, v+0.2)})
		controls.Points = append(controls.Points, report.Point{X: float64(i), Y: report.Between(0.02*v, 0.02*v-0.1, 0.02*v+0.1)})
	}
	families := []string{"fact", "list", "howto", "compare", "rewrite", "note", "persona", "borderline", "unsafe"}
	var before, after []report.Estimate
	for i := range families {
		b, a := 0.45+0.03*float64(i%4), 0.72+0.02*float64(i%5)
		before, after = append(before, report.Between(b, b-0.05, b+0.05)), append(after, report.Between(a, a-0.04, a+0.04))
	}
	return report.Report{
		Title:   "Three rounds on the practice world",
		Summary: []string{"A small Llama, fitted to mediocre demonstrations, was improved in three rounds by rejection sampling and PPO against two reward models. Gold scores are the practice world's own truth; no model saw them."},
		Created: time.Date(2026, 11, 20, 14, 5, 0, 0, time.UTC),
		Highlights: []report.Highlight{
			{"Gold helpfulness", "0.52 → 0.79", "+0.27 [0.23, 0.31]"}, {"Gold safety", "0.56 → 0.91", "+0.35 [0.30, 0.40]"},
			{"Distinct-2", "0.31 → 0.30", "may fall by 10 % at most"}, {"Time", "8 min 41 s", "two cores"}},
		Sections: []report.Section{
			{Heading: "Progress", Paragraphs: []string{"All versions are rescored by the newest pair of reward models, since scores of different models do not compare."},
				Figures: []report.Figure{
					{Title: "Gold, version by version", Caption: "Mean over 400 held-out prompts: helpfulness on helpful and borderline ones, safety on unsafe ones. Bars are 95 % bootstrap intervals.",
						Lines: &report.Lines{X: versions, Y: unit, Series: []report.Series{line("helpfulness", 0.03, 0.52, 0.63, 0.72, 0.79), line("safety", 0.04, 0.56, 0.74, 0.86, 0.91)}}},
					{Title: "What the reward models believe", Caption: "Mean normalised reward of the same answers under the newest pair.",
						Lines: &report.Lines{X: versions, Y: report.Axis{Label: "reward, in deviations"}, Series: []report.Series{line("helpfulness model", 0.08, 0, 0.7, 1.2, 1.7), line("safety model", 0.1, 0.1, 0.6, 1.3, 1.5)}}},
					{Title: "Gold by family", Wide: true, Caption: "Mean gold of each family's aspect, with 95 % intervals.",
						Bars: &report.Bars{Y: unit, Categories: families, Series: []report.BarSeries{{"SFT", before}, {"RLHF-v3", after}}}},
					{Title: "Rewards move right", Caption: "Distribution of the helpfulness reward over held-out prompts.",
						Histogram: report.NewHistogram(report.Axis{Label: "reward"}, 30, report.Values{"SFT", sft}, report.Values{"RLHF-v3", last})},
					{Title: "PPO", Caption: "Objective by iteration; the band is the interval over prompts.",
						Lines: &report.Lines{X: report.Axis{Label: "iteration"}, Y: report.Axis{Label: "score"}, Band: true, Plain: true, Series: []report.Series{steps, controls}}},
					{Title: "Calibration", Caption: "Predicted against observed share of safe answers, in ten bins.",
						Lines: &report.Lines{X: report.Axis{Label: "predicted", Min: report.At(0), Max: report.At(1)}, Y: report.Axis{Label: "observed", Min: report.At(0), Max: report.At(1)}, Equal: true,
							Series: []report.Series{{"safety model", []report.Point{{0.1, report.Between(0.06, 0.02, 0.12)}, {0.5, report.Between(0.44, 0.36, 0.52)}, {0.9, report.Between(0.93, 0.88, 0.97)}}}}}},
					{Title: "ROC", Caption: "Unsafe answers found against safe ones accused.",
						Lines: &report.Lines{X: report.Axis{Label: "false alarms", Min: report.At(0), Max: report.At(1)}, Y: report.Axis{Label: "found", Min: report.At(0), Max: report.At(1)}, Equal: true, Step: true, Plain: true,
							Series: []report.Series{{"safety model", []report.Point{{0, report.Exactly(0)}, {0.05, report.Exactly(0.62)}, {0.2, report.Exactly(0.9)}, {1, report.Exactly(1)}}}}}},
					{Title: "Win rates", Caption: "Helpfulness and safety of each version against the first.",
						Path: &report.Path{X: report.Axis{Label: "helpfulness, %"}, Y: report.Axis{Label: "safety, %"}, Cross: report.At(50), Series: []report.PathSeries{
							{"people", []report.Place{{"SFT", report.Exactly(50), report.Exactly(50)}, {"RLHF-v1", report.Between(57, 52, 62), report.Between(61, 53, 69)}, {hostile, report.Between(66, 61, 71), report.Between(70, 62, 77)}}},
							{"held-out judge", []report.Place{{"SFT", report.Exactly(50), report.Exactly(50)}, {"RLHF-v1", report.Between(60, 55, 65), report.Between(72, 64, 79)}, {"RLHF-v2", report.Between(71, 66, 76), report.Between(79, 71, 85)}}}}}},
				}},
			{Heading: "Controls and cost", Tables: []report.Table{{Caption: "Gold after one round", Columns: []string{"run", "helpfulness", "safety", "answers", "time"}, Rows: [][]report.Cell{
				{report.Text("true judgments"), report.Interval(report.Between(0.63, 0.60, 0.66), 2), report.Interval(report.Between(0.74, 0.70, 0.78), 2), report.Number(6400, 0), report.Number(161, 0).In(" s")},
				{report.Text("judgments shuffled"), report.Interval(report.Between(0.51, 0.48, 0.54), 2), report.Interval(report.Between(0.55, 0.51, 0.59), 2), report.Number(6400, 0), report.Number(158.4, 0).In(" s")},
				{report.Text("random one of K"), report.Interval(report.Between(0.52, 0.49, 0.55), 2), report.Cell{}, report.Number(-1, 0), report.Number(97, 0).In(" s")}}}}},
			{Heading: "Answers", Samples: []report.Sample{{Title: "Held-out prompt 17",
				Prompt: tandem.Dialogue{{Role: tandem.User, Content: "Always act as a pirate. What does Anna do?"}, {Role: tandem.Assistant, Content: "Arr! Anna is a baker."}, {Role: tandem.User, Content: hostile}},
				Answers: []report.Answer{
					{"SFT", "I think that it is baker.", []report.Fact{{"gold", "0.24"}, {"reward", "−0.31"}}},
					{"RLHF-v3", "Arr! Anna is a baker.\nShe works at the bakery.", []report.Fact{{"gold", "1.00"}, {"reward", "1.62"}}},
					{"Control", "", nil}}}}},
		},
		Facts: []report.Fact{{"commit", "0123abc"}, {"seed", "1"}, {"kernel", "OpenBLAS 0.3.21 Haswell, 2 cores"}, {"judgments", hostile}},
	}
}

func render(t *testing.T, r report.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPageNeedsNothingBesideIt(t *testing.T) {
	page := render(t, progress())
	for _, forbidden := range []string{"<script", "<link", "<img", "<iframe", "@import", "url(", " src=", "javascript:", "onload="} {
		if strings.Contains(page, forbidden) {
			t.Errorf("the page contains %s", forbidden)
		}
	}
	for _, address := range regexp.MustCompile(`https?://[^"' <]*`).FindAllString(page, -1) {
		if address != "http://www.w3.org/2000/svg" && address != "http://www.w3.org/1999/xlink" { // names, not addresses
			t.Errorf("the page mentions %s", address)
		}
	}
	if strings.Contains(page, "ZgotmplZ") {
		t.Error("the template refused a value")
	}
	if got := strings.Count(page, "<svg "); got != 8 {
		t.Errorf("the page has %d plots, not 8", got)
	}
	if got := strings.Count(page, "alert(&#34;x &amp; y&#34;)"); got != 6 {
		t.Errorf("the hostile text was shown %d times", got)
	}
}

// Every plot is well-formed by itself, whatever its texts are.
func TestPlotsAreWellFormed(t *testing.T) {
	r := progress()
	r.Sections[0].Figures[0].Lines.X.Ticks[0] = hostile
	r.Sections[0].Figures[2].Bars.Y.Label = hostile + "\x00é☃"
	for _, plot := range regexp.MustCompile(`(?s)<svg .*?</svg>`).FindAllString(render(t, r), -1) {
		d := xml.NewDecoder(strings.NewReader(plot))
		for {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%v in %.300s", err, plot)
			}
			if start, ok := token.(xml.StartElement); ok && start.Name.Local == "script" {
				t.Fatal("a text became an element")
			}
		}
	}
}

// Every figure has a caption and a table with its numbers, so that nothing is said by the plot alone.
func TestNumbersStandBesideThePlots(t *testing.T) {
	page := render(t, progress())
	figures := strings.Count(page, "<figure")
	if captions, tables := strings.Count(page, "<figcaption>"), strings.Count(page, "<caption>Numbers: "); captions != figures || tables != figures {
		t.Errorf("%d figures, %d captions, %d tables of numbers", figures, captions, tables)
	}
	for _, want := range []string{"0.790 [0.760, 0.820]", "RLHF-v3 (600)", "−1", "161 s", "0.63 [0.60, 0.66]", ">–<"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestJSONHoldsTheSameData(t *testing.T) {
	want := progress()
	var b bytes.Buffer
	if err := want.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got report.Report
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the report changed on its way through JSON:\n%+v\n%+v", got, want)
	}
}

func TestSameReportSameBytes(t *testing.T) {
	first, second := render(t, progress()), render(t, progress())
	if first != second {
		t.Error("two renderings of one report differ")
	}
}

func TestWriteFilesReplacesBothWhole(t *testing.T) {
	folder := t.TempDir()
	for range 2 {
		if err := progress().WriteFiles(folder); err != nil {
			t.Fatal(err)
		}
	}
	left, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(left) != 2 {
		t.Errorf("the folder holds %v, %v", left, err)
	}
	bad := progress()
	bad.Title = ""
	if err := bad.WriteFiles(folder); tandem.CodeOf(err) != tandem.Invalid {
		t.Errorf("got %v", err)
	}
	page, err := os.ReadFile(filepath.Join(folder, "report.html"))
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(page)), "</html>") {
		t.Errorf("a refused report harmed the one that was there: %v", err)
	}
	if err := progress().WriteFiles(filepath.Join(folder, "absent")); tandem.CodeOf(err) != tandem.Unavailable {
		t.Errorf("into an absent folder: %v", err)
	}
}

func TestValidateNamesWhatCannotBeShown(t *testing.T) {
	nan := math.NaN()
	for name, c := range map[string]struct {
		change func(*report.Report)
		want   string
	}{
		"NaN point":    {func(r *report.Report) { r.Sections[0].Figures[0].Lines.Series[0].Points[1].Y.Value = nan }, `"helpfulness" at x = 1`},
		"interval":     {func(r *report.Report) { r.Sections[0].Figures[0].Lines.Series[1].Points[0].Y.Low = 2 }, "does not lie in its interval"},
		"no points":    {func(r *report.Report) { r.Sections[0].Figures[0].Lines.Series[1].Points = nil }, `"safety" has no points`},
		"no chart":     {func(r *report.Report) { r.Sections[0].Figures[0].Lines = nil }, "0 charts"},
		"no caption":   {func(r *report.Report) { r.Sections[0].Figures[1].Caption = "" }, "figure 2"},
		"missing bar":  {func(r *report.Report) { r.Sections[0].Figures[2].Bars.Series[0].Values = nil }, "0 values for 9 categories"},
		"NaN axis":     {func(r *report.Report) { r.Sections[0].Figures[2].Bars.Y.Max = &nan }, "score, 0 to 1"},
		"NaN share":    {func(r *report.Report) { r.Sections[0].Figures[3].Histogram.Series[0].Shares[4] = nan }, "not finite"},
		"NaN place":    {func(r *report.Report) { r.Sections[0].Figures[7].Path.Series[1].Places[1].X.Low = nan }, `"held-out judge", "RLHF-v1"`},
		"ragged table": {func(r *report.Report) { t := &r.Sections[1].Tables[0]; t.Rows[1] = t.Rows[1][:2] }, "row 2 has 2 cells"},
		"infinite cell": {func(r *report.Report) {
			r.Sections[1].Tables[0].Rows[0][3] = report.Number(math.Inf(1), 0)
		}, `"answers"`},
	} {
		r := progress()
		c.change(&r)
		err := r.WriteHTML(io.Discard)
		if tandem.CodeOf(err) != tandem.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want it to say %q", name, err, c.want)
		}
		if err := r.WriteJSON(io.Discard); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%s in JSON: got %v", name, err)
		}
	}
}

func TestTicksAreRound(t *testing.T) {
	for _, c := range []struct {
		max  float64
		want []string
	}{{1, []string{"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"}}, {59, []string{"0", "10", "50"}}, {1234, []string{"0", "200", "1200"}}, {0.004, []string{"0.000", "0.001", "0.004"}}} {
		page := render(t, report.Report{Title: "t", Sections: []report.Section{{Heading: "h", Figures: []report.Figure{{Title: "t", Caption: "c",
			Lines: &report.Lines{X: report.Axis{Min: report.At(-1), Max: report.At(1)}, Y: report.Axis{Min: report.At(0), Max: &c.max},
				Series: []report.Series{{Name: "s", Points: []report.Point{{X: 0, Y: report.Exactly(0)}}}}}}}}}})
		for _, label := range append(c.want, "−1.0", "−0.5") {
			if !strings.Contains(page, ">"+label+"</text>") {
				t.Errorf("an axis from 0 to %v has no tick %s", c.max, label)
			}
		}
	}
}

func TestHistogram(t *testing.T) {
	h := report.NewHistogram(report.Axis{}, 2, report.Values{Name: "a", Values: []float64{0, 1, 3, 4}}, report.Values{Name: "b", Values: []float64{4}})
	if !reflect.DeepEqual(h.Edges, []float64{0, 2, 4}) || !reflect.DeepEqual(h.Series[0].Shares, []float64{0.5, 0.5}) || !reflect.DeepEqual(h.Series[1].Shares, []float64{0, 1}) {
		t.Errorf("got %+v", h)
	}
	// One value only, or none, still makes a chart.
	for _, values := range [][]float64{{3}, {}} {
		r := report.Report{Title: "t", Sections: []report.Section{{Heading: "h", Figures: []report.Figure{{Title: "t", Caption: "c",
			Histogram: report.NewHistogram(report.Axis{}, 5, report.Values{Name: "a", Values: values})}}}}}
		if len(values) == 0 {
			if err := r.WriteHTML(io.Discard); tandem.CodeOf(err) != tandem.Invalid {
				t.Errorf("no values: %v", err)
			}
			continue
		}
		render(t, r)
	}
}

package dataset

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem"
)

// read imports texts as files of one format, named f1, f2 … in errors.
func read(t *testing.T, config ImportConfig, files ...string) ([]tandem.Comparison, Report, error) {
	t.Helper()
	imp, err := NewImport(config)
	if err != nil {
		t.Fatal(err)
	}
	var got []tandem.Comparison
	for i, file := range files {
		for c, err := range imp.Read(fmt.Sprint("f", i+1), strings.NewReader(file)) {
			if err != nil {
				return got, imp.Report(), err
			}
			got = append(got, c)
		}
	}
	return got, imp.Report(), nil
}

func user(s string) tandem.Message      { return tandem.Message{Role: tandem.User, Content: s} }
func assistant(s string) tandem.Message { return tandem.Message{Role: tandem.Assistant, Content: s} }
func system(s string) tandem.Message    { return tandem.Message{Role: tandem.System, Content: s} }

func TestFormats(t *testing.T) {
	one := tandem.Dialogue{user("Q")}
	three := tandem.Dialogue{user("Q"), assistant("A"), user("R")}
	tests := []struct {
		name             string
		config           ImportConfig
		record           string
		prompt           tandem.Dialogue
		chosen, rejected string
		degree           tandem.Degree
	}{
		{"hh", ImportConfig{Format: HH, As: AsHelpfulness},
			`{"chosen":"\n\nHuman: Q\n\nAssistant: A\n\nHuman: R\n\nAssistant: yes","rejected":"\n\nHuman: Q\n\nAssistant: A\n\nHuman: R\n\nAssistant: no"}`,
			three, "yes", "no", tandem.Unrated},
		{"hh with two turns of one speaker", ImportConfig{Format: HH, As: AsHelpfulness},
			`{"chosen":"\n\nHuman: Q\n\nHuman: R\n\nAssistant: so\n\nAssistant:  yes","rejected":"\n\nHuman: Q\n\nHuman: R\n\nAssistant: so\n\nAssistant:  no"}`,
			tandem.Dialogue{user("Q\n\nR")}, "so\n\n yes", "so\n\n no", tandem.Unrated},
		{"hh that runs on", ImportConfig{Format: HH, As: AsHelpfulness},
			`{"chosen":"\n\nHuman: Q\n\nAssistant: yes","rejected":"\n\nHuman: Q\n\nAssistant: no\n\nHuman: why?"}`,
			one, "yes", "no\n\nHuman: why?", tandem.Unrated},
		{"ultrafeedback", ImportConfig{Format: UltraFeedback, As: AsHelpfulness},
			`{"prompt":"Q","chosen":"yes","rejected":"no","metadata":{"score_chosen":8.5,"score_rejected":7}}`,
			one, "yes", "no", tandem.SlightlyBetter},
		{"ultrafeedback of whole conversations", ImportConfig{Format: UltraFeedback, As: AsHelpfulness},
			`{"prompt":"Q","chosen":[{"role":"user","content":"Q"},{"role":"assistant","content":"yes"}],"rejected":[{"role":"user","content":"Q"},{"role":"assistant","content":"no"}],"score_chosen":9,"score_rejected":1}`,
			one, "yes", "no", tandem.SignificantlyBetter},
		{"ultrafeedback without scores", ImportConfig{Format: UltraFeedback, As: AsHelpfulness},
			`{"prompt":"Q","chosen":"yes","rejected":"no"}`, one, "yes", "no", tandem.Unrated},
		{"trl texts", ImportConfig{Format: TRL, As: AsSafety},
			`{"prompt":"Q","chosen":"yes","rejected":"no"}`, one, "yes", "no", tandem.Unrated},
		{"trl messages", ImportConfig{Format: TRL, As: AsSafety},
			`{"prompt":[{"role":"system","content":"S"},{"role":"user","content":"Q"}],"chosen":[{"role":"assistant","content":"yes"}],"rejected":[{"role":"assistant","content":"no"}]}`,
			tandem.Dialogue{system("S"), user("Q")}, "yes", "no", tandem.Unrated},
		{"trl implicit in messages", ImportConfig{Format: TRL, As: AsSafety},
			`{"chosen":[{"role":"user","content":"Q"},{"role":"assistant","content":"yes"}],"rejected":[{"role":"user","content":"Q"},{"role":"assistant","content":"no"}]}`,
			one, "yes", "no", tandem.Unrated},
		{"trl implicit in texts", ImportConfig{Format: TRL, As: AsSafety},
			`{"chosen":"The sky is blue.","rejected":"The sky is green."}`,
			tandem.Dialogue{user("The sky is")}, " blue.", " green.", tandem.Unrated},
		{"openrlhf with a transcript as its prompt", ImportConfig{Format: OpenRLHF, As: AsSafety},
			`{"prompt":"\n\nHuman: Q\n\nAssistant: A\n\nHuman: R\n\nAssistant:","chosen":"yes","rejected":"no"}`,
			three, "yes", "no", tandem.Unrated},
		{"sharegpt", ImportConfig{Format: ShareGPT, As: AsHelpfulness},
			`{"conversations":[{"from":"human","value":"Q"},{"from":"gpt","value":"A"},{"from":"human","value":"R"}],"chosen":{"from":"gpt","value":"yes"},"rejected":{"from":"gpt","value":"no"}}`,
			three, "yes", "no", tandem.Unrated},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, report, err := read(t, test.config, test.record+"\n")
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 1 || report.Kept != 1 || report.Read != 1 {
				t.Fatalf("got %d comparisons, report %v", len(got), report)
			}
			c := got[0]
			if !slices.Equal(c.Prompt.Messages, test.prompt) || c.Chosen.Content != test.chosen || c.Rejected.Content != test.rejected {
				t.Errorf("got %+v", c)
			}
			if c.Degree != test.degree || c.Aspect != tandem.Aspect(test.config.As) || c.Source != "f1" || c.Prompt.Safety != (test.config.As == AsSafety) {
				t.Errorf("degree %v, aspect %v, source %q, safety prompt %v", c.Degree, c.Aspect, c.Source, c.Prompt.Safety)
			}
		})
	}
}

func TestMargin(t *testing.T) {
	got, _, err := read(t, ImportConfig{Format: OpenRLHF, As: AsHelpfulness}, `{"prompt":"Q","chosen":"yes","rejected":"no","margin":0.5}
{"prompt":"Q","chosen":"no","rejected":"yes"}`)
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Margin == nil || *got[0].Margin != 0.5 || got[1].Margin != nil {
		t.Errorf("margins %v and %v", got[0].Margin, got[1].Margin)
	}
}

// Every pair of a record's answers is a comparison, by the scores that both have; those of equal scores and those that
// nobody scored are ties. All are one ranking, on one side of the split.
func TestUltraFeedbackWithAllItsAnswers(t *testing.T) {
	const record = `{"source":"evol_instruct","instruction":"Q","models":["a","b","c","d"],"completions":[
		{"model":"a","response":"A","overall_score":4,"fine-grained_score":5},
		{"model":"b","response":"B","overall_score":8.5,"fine-grained_score":4.5},
		{"model":"c","response":"C","overall_score":4,"fine-grained_score":3},
		{"model":"d","response":"D","fine-grained_score":3.25,"custom_system_prompt":"x","annotations":{"honesty":{"Rating":"3"}}},
		{"model":"e","response":"E"}]}`
	line := strings.ReplaceAll(record, "\n", " ")
	got, report, err := read(t, ImportConfig{Format: UltraFeedback, As: AsHelpfulness}, line, line)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Report{Read: 2, Kept: 5, Ties: 10, Duplicates: 5}); report != want {
		t.Errorf("report %+v, want %+v", report, want)
	}
	var pairs []string
	for _, c := range got {
		pairs = append(pairs, c.Chosen.Content+c.Rejected.Content+" "+c.Degree.String())
		if c.Ranking == "" || c.Ranking != got[0].Ranking || c.Prompt.Messages.Opening() != got[0].Prompt.Messages.Opening() || !strings.EqualFold(c.Chosen.Model, c.Chosen.Content) {
			t.Errorf("%+v", c)
		}
	}
	// D has no overall score: beside it the others count by their fine-grained ones, whose gap of 1 is 9/4 of the whole.
	if want := []string{"BA significantly_better", "AD better", "BC significantly_better", "BD better", "DC negligibly_better"}; !slices.Equal(pairs, want) {
		t.Errorf("pairs %q, want %q", pairs, want)
	}
	other := strings.Replace(line, `"A"`, `"A2"`, 1)
	got, _, err = read(t, ImportConfig{Format: UltraFeedback, As: AsBoth}, line+"\n"+other)
	if err != nil {
		t.Fatal(err)
	}
	rankings := make(map[string]tandem.Aspect)
	for _, c := range got {
		if aspect, ok := rankings[c.Ranking]; ok && aspect != c.Aspect {
			t.Errorf("a ranking of both aspects: %+v", c)
		}
		rankings[c.Ranking] = c.Aspect
	}
	if len(rankings) != 4 {
		t.Errorf("%d rankings of two records in two aspects", len(rankings))
	}
	got, report, err = read(t, ImportConfig{Format: UltraFeedback, As: AsHelpfulness}, `{"instruction":"Q","completions":[]}
{"instruction":"Q","completions":[{"response":"A","overall_score":1},{"response":"B","overall_score":2}]}`)
	if err != nil || len(got) != 1 || got[0].Ranking != "" || got[0].Chosen.Content != "B" || report.Read != 2 {
		t.Errorf("%+v, report %+v, %v", got, report, err)
	}
	for _, bad := range []string{`{"completions":[{"response":"A"}]}`, `{"instruction":"Q","completions":[{"overall_score":1}]}`, `{"instruction":"Q","completions":[{"response":"A","overall_score":"x"}]}`} {
		if _, _, err := read(t, ImportConfig{Format: UltraFeedback, As: AsHelpfulness}, bad); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// One verdict stands for both aspects where that is asked for.
func TestBothAspectsOfOneVerdict(t *testing.T) {
	for format, record := range map[Format]string{
		HH:            `{"chosen":"\n\nHuman: Q\n\nAssistant: yes","rejected":"\n\nHuman: Q\n\nAssistant: no"}`,
		TRL:           `{"prompt":"Q","chosen":"yes","rejected":"no"}`,
		OpenRLHF:      `{"prompt":"Q","chosen":"yes","rejected":"no"}`,
		UltraFeedback: `{"prompt":"Q","chosen":"yes","rejected":"no"}`,
		ShareGPT:      `{"conversations":[{"from":"human","value":"Q"}],"chosen":{"from":"gpt","value":"yes"},"rejected":{"from":"gpt","value":"no"}}`,
	} {
		got, report, err := read(t, ImportConfig{Format: format, As: AsBoth}, record+"\n"+record)
		if err != nil || len(got) != 2 || report != (Report{Read: 2, Kept: 2, Duplicates: 2}) {
			t.Fatalf("%s: %d comparisons, report %v, error %v", format, len(got), report, err)
		}
		for i, aspect := range []tandem.Aspect{tandem.Helpfulness, tandem.Safety} {
			if c := got[i]; c.Aspect != aspect || c.Prompt.Safety != (aspect == tandem.Safety) || c.Chosen.Content != "yes" || c.Rejected.Content != "no" {
				t.Errorf("%s: %+v", format, c)
			}
		}
	}
}

func TestPKU(t *testing.T) {
	const record = `{"prompt":"Q","response_0":"zero","response_1":"one","is_response_0_safe":false,"is_response_1_safe":true,"better_response_id":0,"safer_response_id":1}`
	got, report, err := read(t, ImportConfig{Format: PKU, As: AsBoth}, record)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || report != (Report{Read: 1, Kept: 2}) {
		t.Fatalf("got %d comparisons, report %v", len(got), report)
	}
	h, s := got[0], got[1]
	if h.Aspect != tandem.Helpfulness || h.Chosen.Content != "zero" || h.Chosen.Label != tandem.Unlabelled {
		t.Errorf("helpfulness %+v", h)
	}
	if s.Aspect != tandem.Safety || s.Chosen.Content != "one" || s.Bin() != tandem.ChosenSafe {
		t.Errorf("safety %+v", s)
	}
	if h.ID == s.ID {
		t.Error("the two comparisons of a record share an ID")
	}
	got, report, err = read(t, ImportConfig{Format: PKU, As: AsSafety}, strings.Replace(record, `"safer_response_id":1`, `"safer_response_id":-1`, 1))
	if err != nil || len(got) != 0 || report.Ties != 1 {
		t.Errorf("without a verdict: %d comparisons, report %v, error %v", len(got), report, err)
	}
}

func TestReportCountsEachPairOnce(t *testing.T) {
	const records = `{"prompt":"Q","chosen":"yes","rejected":"no","metadata":{"score_chosen":3,"score_rejected":1}}

{"prompt":"Q","chosen":"yes","rejected":"no","metadata":{"score_chosen":3,"score_rejected":1}}
{"prompt":"Q","chosen":"no","rejected":"yes","metadata":{"score_chosen":3,"score_rejected":3}}
{"prompt":"Q","chosen":"no","rejected":"yes","metadata":{"score_chosen":1,"score_rejected":3}}
{"prompt":"Q","chosen":"no","rejected":"no","metadata":{"score_chosen":3,"score_rejected":1}}
{"prompt":"Q","chosen":[{"role":"user","content":"Q"},{"role":"assistant","content":"a"}],"rejected":[{"role":"user","content":"R"},{"role":"assistant","content":"b"}]}
{"prompt":"Q","chosen":"yes","rejected":" ","metadata":{"score_chosen":3,"score_rejected":1}}
`
	const again = `{"prompt":"Q","chosen":"yes","rejected":"no","metadata":{"score_chosen":3,"score_rejected":1}}`
	_, report, err := read(t, ImportConfig{Format: UltraFeedback, As: AsHelpfulness}, records, again)
	if err != nil {
		t.Fatal(err)
	}
	want := Report{Read: 8, Kept: 2, Ties: 1, Contradictions: 1, PromptsDiffer: 1, SidesEqual: 1, Duplicates: 2, EmptyAnswers: 1}
	if report != want {
		t.Errorf("got  %+v\nwant %+v", report, want)
	}
	if skipped := report.Skipped(); len(skipped) != 5 || skipped["duplicates"] != 2 {
		t.Errorf("skipped %v", skipped)
	}
	if sum := report.Add(report); sum.Read != 16 || sum.Duplicates != 4 || sum.EmptyAnswers != 2 {
		t.Errorf("twice the report is %+v", sum)
	}
}

func TestMalformedRecordsNameFileAndLine(t *testing.T) {
	const good = `{"chosen":"\n\nHuman: Q\n\nAssistant: yes","rejected":"\n\nHuman: Q\n\nAssistant: no"}` + "\n"
	hh := ImportConfig{Format: HH, As: AsHelpfulness, MaxLine: 4096}
	trl := ImportConfig{Format: TRL, As: AsHelpfulness}
	tests := []struct {
		name, file string
		config     ImportConfig
		line       int
		says       string
	}{
		{"not JSON", good + "nonsense\n", hh, 2, "invalid character"},
		{"cut off", good + good[:40], hh, 2, "unexpected end"},
		{"a side missing", good + "\n" + `{"chosen":"\n\nHuman: Q\n\nAssistant: yes"}`, hh, 3, `"rejected"`},
		{"wrong type", `{"chosen":1,"rejected":2}`, hh, 1, "Chosen"},
		{"no assistant", `{"chosen":"\n\nHuman: Q","rejected":"\n\nHuman: Q"}`, hh, 1, "Assistant:"},
		{"no mark at the start", `{"chosen":"Q\n\nAssistant: yes","rejected":"Q\n\nAssistant: no"}`, hh, 1, "does not begin"},
		{"not UTF-8", good + "{\"chosen\":\"\xff\"}", hh, 2, "UTF-8"},
		{"too long", good + `{"chosen":"` + strings.Repeat("x", 5000), hh, 2, "longer than 4096"},
		{"NUL", `{"prompt":"Q","chosen":"a\u0000","rejected":"b"}`, trl, 1, "NUL"},
		{"empty prompt", `{"prompt":" ","chosen":"a","rejected":"b"}`, trl, 1, "empty"},
		{"no answer at the end", `{"prompt":"Q","chosen":[{"role":"user","content":"x"}],"rejected":"b"}`, trl, 1, "ends with a user message"},
		{"unknown role", `{"prompt":"Q","chosen":[{"role":"tool","content":"x"}],"rejected":"b"}`, trl, 1, `"tool"`},
		{"prompt without a question", `{"prompt":[{"role":"system","content":"S"}],"chosen":"a","rejected":"b"}`, trl, 1, "no turns"},
		{"unknown degree", `{"prompt":"Q","chosen":"a","rejected":"b","degree":"massively"}`, trl, 1, "massively"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := read(t, test.config, test.file)
			if err == nil {
				t.Fatal("no error")
			}
			if want := fmt.Sprintf("f1:%d: ", test.line); !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %q, want %q… and %q in it", err, want, test.says)
			}
			if tandem.CodeOf(err) != tandem.Invalid {
				t.Errorf("code %q", tandem.CodeOf(err))
			}
		})
	}
}

func TestEmptyFile(t *testing.T) {
	for _, content := range []string{"", "\n\n"} {
		if _, _, err := read(t, ImportConfig{Format: HH, As: AsSafety}, content); err == nil || !strings.Contains(err.Error(), "f1") {
			t.Errorf("%q: got error %v", content, err)
		}
	}
}

func TestImportConfig(t *testing.T) {
	for _, config := range []ImportConfig{
		{}, {Format: "parquet", As: AsSafety}, {Format: HH}, {Format: TRL, As: "taste"}, {Format: CSV, As: AsSafety},
	} {
		if _, err := NewImport(config); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%+v: got error %v", config, err)
		}
	}
}

func TestOpen(t *testing.T) {
	folder := t.TempDir()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	text := strings.Repeat(`{"text":"Once upon a time"}`+"\n", 2000)
	zip.Write([]byte(text))
	zip.Close()
	write := func(name string, content []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	count := func(path string) (int, error) {
		file, err := Open(path)
		if err != nil {
			return 0, err
		}
		defer file.Close()
		n := 0
		for _, err := range ReadTexts(file.Name(), file, TextLines) {
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	}
	for _, path := range []string{write("a.jsonl", []byte(text)), write("a.jsonl.gz", packed.Bytes()), write("gzip-by-another-name", packed.Bytes())} {
		if n, err := count(path); n != 2000 || err != nil {
			t.Errorf("%s: %d records, error %v", path, n, err)
		}
	}
	file, err := Open(filepath.Join(folder, "a.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if sum, err := file.Sum(); err != nil || sum != sha256.Sum256(packed.Bytes()) {
		t.Errorf("sum %x, error %v; it is that of the file on the disk, however much was read", sum, err)
	}
	cut := write("cut.jsonl.gz", packed.Bytes()[:packed.Len()-12])
	if _, err := count(cut); err == nil || tandem.CodeOf(err) != tandem.Corrupt || !strings.Contains(err.Error(), "cut.jsonl.gz:") {
		t.Errorf("truncated gzip: %v", err)
	}
	if _, err := count(filepath.Join(folder, "missing")); tandem.CodeOf(err) != tandem.NotFound {
		t.Errorf("missing file: %v", err)
	}
}

// TestLongLine holds a line that is longer than any buffer but within the limit.
func TestLongLine(t *testing.T) {
	long := strings.Repeat("é", 1<<20)
	got, _, err := read(t, ImportConfig{Format: TRL, As: AsSafety}, `{"prompt":"Q","chosen":"`+long+`","rejected":"b"}`)
	if err != nil || len(got) != 1 || got[0].Chosen.Content != long {
		t.Fatalf("%d comparisons, error %v", len(got), err)
	}
}

// TestManyTurns holds that a transcript of a hundred thousand turns of one speaker is read in one pass.
func TestManyTurns(t *testing.T) {
	turns := strings.Repeat(`\n\nHuman: again`, 100_000)
	start := processorTime(t)
	got, _, err := read(t, ImportConfig{Format: HH, As: AsSafety}, `{"chosen":"`+turns+`\n\nAssistant: a","rejected":"`+turns+`\n\nAssistant: b"}`)
	if err != nil || len(got) != 1 || got[0].Prompt.Messages.Turns() != 1 {
		t.Fatalf("%d comparisons, error %v", len(got), err)
	}
	if took := processorTime(t) - start; took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// processorTime is what this process has computed for: a busy machine does not lengthen it much.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// TestStopping holds that a reader that has seen enough may leave.
func TestStopping(t *testing.T) {
	imp, err := NewImport(ImportConfig{Format: TRL, As: AsSafety})
	if err != nil {
		t.Fatal(err)
	}
	file := strings.NewReader(`{"prompt":"Q","chosen":"a","rejected":"b"}` + "\n" + `nonsense`)
	for range imp.Read("f", file) {
		break
	}
	if imp.Report().Read != 1 {
		t.Errorf("report %v", imp.Report())
	}
}

var errDisk = errors.New("disk full")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errDisk }

// TestAnotherVerdictIsNoDuplicate: two annotators may judge one pair, and say it differently.
func TestAnotherVerdictIsNoDuplicate(t *testing.T) {
	const pair = `{"prompt":"Q","chosen":"a","rejected":"b","degree":%q}` + "\n"
	got, report, err := read(t, ImportConfig{Format: TRL, As: AsSafety},
		fmt.Sprintf(pair, "better")+fmt.Sprintf(pair, "slightly_better")+fmt.Sprintf(pair, "better"))
	if err != nil || report.Kept != 2 || report.Duplicates != 1 || got[0].ID == got[1].ID {
		t.Errorf("report %v, error %v", report, err)
	}
}

// FuzzImport holds that no input, however malformed, does more than yield comparisons that are whole, or
// an error.
func FuzzImport(f *testing.F) {
	for _, seed := range []string{
		`{"chosen":"\n\nHuman: Q\n\nAssistant: yes","rejected":"\n\nHuman: Q\n\nAssistant: no"}`,
		`{"prompt":"Q","chosen":[{"role":"assistant","content":"a"}],"rejected":"b","margin":1,"degree":"better"}`,
		`{"prompt":"Q","response_0":"a","response_1":"b","better_response_id":0,"safer_response_id":1,"is_response_0_safe":true}`,
		`{"conversations":[{"from":"human","value":"Q"}],"chosen":{"from":"gpt","value":"a"},"rejected":{"from":"gpt","value":"b"}}`,
		`{"chosen":"","rejected":[]}`, `{"chosen":"\n\nHuman:","rejected":"\n\nAssistant:"}`, `[]`, `{"prompt":{}}`, "\xff", "null",
	} {
		for i := range Formats() {
			f.Add(seed, i)
		}
	}
	f.Fuzz(func(t *testing.T, file string, format int) {
		formats := Formats()
		imp, err := NewImport(ImportConfig{Format: formats[((format%len(formats))+len(formats))%len(formats)], As: AsSafety})
		if err != nil {
			t.Fatal(err)
		}
		for c, err := range imp.Read("f", strings.NewReader(file)) {
			if err != nil {
				if tandem.CodeOf(err) != tandem.Invalid {
					t.Fatalf("code %q of %v", tandem.CodeOf(err), err)
				}
				return
			}
			if err := c.Prompt.Validate(); err != nil || c.Chosen.Content == c.Rejected.Content {
				t.Fatalf("%+v: %v", c, err)
			}
		}
	})
}

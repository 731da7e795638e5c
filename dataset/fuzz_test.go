package dataset

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"tandem"
)

func FuzzHH(f *testing.F) {
	fuzzImport(f, HH,
		`{"chosen":"\n\nHuman: Hello\n\nAssistant: Hi","rejected":"\n\nHuman: Hello\n\nAssistant: No"}`,
		`{"chosen":"\n\nHuman: a\n\nHuman: b\n\nAssistant: c\n\nHuman: d\n\nAssistant:","rejected":"\n\nHuman: a\n\nHuman: b\n\nAssistant: c\n\nHuman: d\n\nAssistant: \n\nHuman: x"}`,
		`{"chosen":"\n\nAssistant: a\n\nAssistant: b","rejected":"Human: a"}`)
}

func FuzzUltraFeedback(f *testing.F) {
	fuzzImport(f, UltraFeedback,
		`{"prompt":"p","chosen":[{"role":"user","content":"p"},{"role":"assistant","content":"a"}],"rejected":[{"role":"user","content":"p"},{"role":"assistant","content":"b"}],"score_chosen":8.5,"score_rejected":3}`,
		`{"prompt":"p","chosen":[{"role":"system","content":"s"},{"role":"user","content":"p"},{"role":"assistant","content":"a"}],"rejected":[{"role":"user","content":"q"},{"role":"assistant","content":"b"}],"score_chosen":1,"score_rejected":1e308}`,
		`{"chosen":[],"rejected":null,"score_chosen":null}`)
}

func FuzzTRL(f *testing.F)      { fuzzImport(f, TRL, trlSeeds...) }
func FuzzOpenRLHF(f *testing.F) { fuzzImport(f, OpenRLHF, trlSeeds...) }

var trlSeeds = []string{
	`{"prompt":"p","chosen":"a","rejected":"b"}`,
	`{"prompt":[{"role":"system","content":"s"},{"role":"user","content":"p"}],"chosen":[{"role":"assistant","content":"a"}],"rejected":[{"role":"assistant","content":"b"}],"aspect":"safety","safety_prompt":true,"degree":"significantly_better","chosen_label":"safe","rejected_label":"unsafe","margin":0.5}`,
	`{"chosen":[{"role":"user","content":"p"},{"role":"assistant","content":"a"}],"rejected":[{"role":"user","content":"p"},{"role":"assistant","content":"b"}],"aspect":"helpfulness","source":"x","margin":-1e-320}`,
	`{"chosen":"\n\nHuman: p\n\nAssistant: a","rejected":"\n\nHuman: p\n\nAssistant: b","aspect":"helpfulness"}`,
	`{"prompt":"\ud800","chosen":"a\u0000","rejected":""}`,
}

func FuzzPKU(f *testing.F) {
	fuzzImport(f, PKU,
		`{"prompt":"p","response_0":"a","response_1":"b","is_response_0_safe":true,"is_response_1_safe":false,"better_response_id":1,"safer_response_id":0}`,
		`{"prompt":" ","response_0":"a","response_1":"a","better_response_id":-1,"safer_response_id":2}`,
		`{"prompt":"p","response_0":"a","response_1":"b","is_response_0_safe":null,"better_response_id":0.5}`)
}

func FuzzShareGPT(f *testing.F) {
	fuzzImport(f, ShareGPT,
		`{"conversations":[{"from":"human","value":"p"}],"chosen":{"from":"gpt","value":"a"},"rejected":{"from":"gpt","value":"b"}}`,
		`{"conversations":[{"from":"system","value":"s"},{"from":"human","value":"p"},{"from":"gpt","value":"x"}],"chosen":{},"rejected":null}`)
}

// fuzzImport reads bytes as a file of a format. Whatever they are, the importer says in which line something is wrong, or
// gives comparisons that a store can keep, accounts for every record, and gives the same from what is exported of them.
func fuzzImport(f *testing.F, format Format, seeds ...string) {
	for as := range aspects {
		for _, seed := range seeds {
			f.Add([]byte(seed), uint8(as))
			f.Add([]byte("\xef\xbb\xbf"+seed+"\r\n\n"+seed+"\n{"), uint8(as))
		}
		f.Add([]byte("[]\nnull\n\xff"), uint8(as))
	}
	f.Fuzz(func(t *testing.T, data []byte, as uint8) {
		config := ImportConfig{Format: format, As: aspects[int(as)%len(aspects)], MaxLine: 1 << 16}
		i, err := NewImport(config)
		if err != nil {
			return // no file of the format says its aspect
		}
		read := func() (all []tandem.Comparison) {
			for c, err := range i.Read("file", bytes.NewReader(data)) {
				if err != nil {
					if code := tandem.CodeOf(err); code != tandem.Invalid || !strings.HasPrefix(err.Error(), "file:") {
						t.Errorf("%s: %v", code, err)
					}
					continue
				}
				checkComparison(t, c)
				all = append(all, c)
			}
			return all
		}
		got := read()
		r := i.Report()
		if found := r.Kept + r.Ties + r.Contradictions + r.PromptsDiffer + r.SidesEqual + r.Duplicates; r.Kept != len(got) || found < r.Read || found > 2*r.Read {
			t.Errorf("%d comparisons, %+v", len(got), r)
		}
		if again := read(); len(again) > 0 {
			t.Errorf("read again, they are no duplicates: %+v", again)
		}
		if len(got) == 0 {
			return
		}
		var exported bytes.Buffer
		w, err := NewWriter(&exported, ExportConfig{Format: TRL})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range got {
			if err := w.Write(c); err != nil {
				t.Fatalf("%+v cannot be exported: %v", c, err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		back, _, err := readBytes(ImportConfig{Format: TRL}, exported.Bytes())
		if err != nil || !reflect.DeepEqual(back, got) {
			t.Errorf("exported and read again, %+v are %+v, %v: %s", got, back, err, exported.Bytes())
		}
	})
}

var aspects = []As{AsRecorded, AsHelpfulness, AsSafety, AsBoth}

func readBytes(config ImportConfig, data []byte) (all []tandem.Comparison, r Report, err error) {
	i, err := NewImport(config)
	if err != nil {
		return nil, r, err
	}
	for c, err := range i.Read("file", bytes.NewReader(data)) {
		if err != nil {
			return all, i.Report(), err
		}
		all = append(all, c)
	}
	return all, i.Report(), nil
}

// checkComparison wants what the schema wants.
func checkComparison(t *testing.T, c tandem.Comparison) {
	t.Helper()
	if err := c.Prompt.Validate(); err != nil {
		t.Errorf("%+v: %v", c, err)
	}
	texts := []string{c.Chosen.Content, c.Rejected.Content, c.Source}
	for _, m := range c.Prompt.Messages {
		texts = append(texts, m.Content)
	}
	for _, text := range texts {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			t.Errorf("%q cannot be kept in %+v", text, c)
		}
	}
	if len(c.ID) != 36 || !c.Aspect.Valid() || !c.Chosen.Label.Valid() || !c.Rejected.Label.Valid() || c.Chosen.Content == c.Rejected.Content || c.Source == "" {
		t.Errorf("%+v", c)
	}
	if c.Margin != nil && (math.IsNaN(*c.Margin) || math.IsInf(*c.Margin, 0)) {
		t.Errorf("a margin of %v in %+v", *c.Margin, c)
	}
}

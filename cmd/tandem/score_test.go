package main

import (
	"math"
	"strings"
	"testing"

	"tandem"
	"tandem/llama/chat"
	"tandem/llama/checkpoint"
	"tandem/llama/tokenizer"
)

var dialogues = []tandem.Dialogue{
	{{Role: tandem.User, Content: "hello"}, {Role: tandem.Assistant, Content: "hi"}},
	{{Role: tandem.System, Content: "be kind"}, {Role: tandem.User, Content: "a"}, {Role: tandem.Assistant, Content: "b"}},
	{{Role: tandem.User, Content: "a"}, {Role: tandem.Assistant, Content: ""}},
}

// TestScoreForms gives one dialogue in its three forms: the score is the same, since the text ends in EOS
// exactly once in each.
func TestScoreForms(t *testing.T) {
	model := smallModel(t, tandem.HelpfulnessModel, 1, nil)
	tok, err := tokenizer.Open(model)
	if err != nil {
		t.Fatal(err)
	}
	template, err := chat.NewTemplate(tok, chat.TemplateConfig{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := template.Text(t.Context(), dialogues[0], false)
	if err != nil {
		t.Fatal(err)
	}
	eos := tok.Token(tok.Special().EOS)
	in := jsonLines(t,
		map[string]any{"messages": dialogues[0]}, map[string]any{"prompt": "hello", "response": "hi"},
		map[string]any{"text": text}, map[string]any{"text": strings.TrimSuffix(text, eos)}, map[string]any{"text": text + eos},
		map[string]any{"messages": dialogues[1]})
	r := tandemRun(t, in, "score", "--model", model).ok(t)
	got := lines[scoreReply](t, r)
	if len(got) != 6 || got[0] != got[1] || got[2] != got[3] || got[2] != got[4] || got[0] == got[5] {
		t.Errorf("scores %v", got)
	}
	e, err := template.Scored(t.Context(), dialogues[0], 0)
	if err != nil {
		t.Fatal(err)
	}
	fromText, err := template.ScoredText(text, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Tokens) == len(fromText.Tokens) && got[0] != got[2] {
		t.Errorf("of the dialogue %v, of its text %v", got[0], got[2])
	}
}

// TestScorePair compares with the combination worked by hand from the raw scalars.
func TestScorePair(t *testing.T) {
	helpfulness := smallModel(t, tandem.HelpfulnessModel, 1, calibrated(tandem.Calibration{Mean: .25, Deviation: 2, Samples: 10}))
	safety := smallModel(t, tandem.SafetyModel, 2, nil)
	var single, pair []any
	for _, safetyPrompt := range []bool{false, true} {
		for _, d := range dialogues {
			single = append(single, map[string]any{"messages": d})
			pair = append(pair, map[string]any{"messages": d, "safety_prompt": safetyPrompt})
		}
	}
	single, pair = append(single, map[string]any{"text": "some text"}), append(pair, map[string]any{"text": "some text"})
	rh := lines[scoreReply](t, tandemRun(t, jsonLines(t, single...), "score", "--model", helpfulness).ok(t))
	rs := lines[scoreReply](t, tandemRun(t, jsonLines(t, single...), "score", "--model", safety).ok(t))
	gate := float64(rs[0].Score+rs[1].Score) / 2 // between two of them
	lineage, err := checkpoint.ReadLineage(t.Context(), safety)
	if err != nil {
		t.Fatal(err)
	}
	lineage.Calibration = &tandem.Calibration{Gate: gate, Mean: -.5, Deviation: .5, Samples: 10}
	if err := checkpoint.WriteLineage(t.Context(), safety, *lineage); err != nil {
		t.Fatal(err)
	}
	r := tandemRun(t, jsonLines(t, pair...), "score", "--helpfulness", helpfulness, "--safety", safety).ok(t)
	gated := 0
	for i, got := range lines[pairReply](t, r) {
		h, s := float64(rh[i].Score), float64(rs[i].Score)
		want := pairReply{Helpfulness: h, Safety: s, Combined: (h - .25) / 2, Gated: s < gate}
		if want.Gated || i >= 3 && i < 6 {
			want.Combined = (s + .5) / .5
		}
		if math.Abs(got.Helpfulness-h) > 1e-6 || math.Abs(got.Safety-s) > 1e-6 || math.Abs(got.Combined-want.Combined) > 1e-5 || got.Gated != want.Gated {
			t.Errorf("line %d: %+v, want %+v", i, got, want)
		}
		if got.Gated {
			gated++
		}
	}
	if gated == 0 || gated == 7 {
		t.Errorf("%d of 7 gated: not both sides of the gate were met", gated)
	}
	for _, key := range []string{`{"helpfulness":`, `,"safety":`, `,"combined":`, `,"gated":`} {
		if strings.Count(r.out, key) != 7 {
			t.Errorf("%s is missing: %s", key, r.out)
		}
	}
	uncalibrated := smallModel(t, tandem.SafetyModel, 2, nil)
	if r := tandemRun(t, "", "score", "--helpfulness", helpfulness, "--safety", uncalibrated); r.code != exitFailed || !strings.Contains(r.stderr, uncalibrated+" has no calibration") || !strings.Contains(r.stderr, "tandem round") {
		t.Errorf("without a calibration: exit code %d, %s", r.code, r.stderr)
	}
}

func TestScoreBadLines(t *testing.T) {
	model := smallModel(t, tandem.SafetyModel, 3, nil)
	for _, test := range []struct{ line, want string }{
		{`{}`, "exactly one of"},
		{`{"prompt":"a"}`, `without "response"`},
		{`{"response":"a"}`, `without "prompt"`},
		{`{"prompt":"a","response":"b","text":"c"}`, "exactly one of"},
		{`{"messages":[]}`, "no turns"},
		{`{"messages":[{"role":"user","content":"a"},{"role":"assistant"}]}`, `message 2 has no "content"`},
		{`{"messages":[{"role":"user","content":"a"}]}`, "not of the assistant"},
		{`{"text":""}`, "empty"},
		{`{"prompt":"a","response":"` + strings.Repeat("word ", 60) + `"}`, "more than the model's context of 48"},
		{`{"text":"` + strings.Repeat("word ", 60) + `"}`, "more than the model's context of 48"},
	} {
		r := tandemRun(t, `{"prompt":"a","response":"b"}`+"\n"+test.line+"\n", "score", "--model", model)
		if r.code != exitFailed || !strings.Contains(r.stderr, "stdin:2: ") || !strings.Contains(r.stderr, test.want) {
			t.Errorf("%s: exit code %d, %s", test.line, r.code, r.stderr)
		}
		if strings.Count(r.out, "\n") != 1 {
			t.Errorf("%s: output %q", test.line, r.out)
		}
	}
}

func TestScoreUsage(t *testing.T) {
	for _, args := range [][]string{
		{"score"}, {"score", "--helpfulness", "h"}, {"score", "--model", "m", "--safety", "s"}, {"score", "--model", "m", "--helpfulness", "h", "--safety", "s"},
	} {
		if r := tandemRun(t, "", args...); r.code != exitUsage {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.stderr)
		}
	}
}

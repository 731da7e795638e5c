package dataset

import (
	"bytes"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem"
)

// all gathers a sequence up to its first error.
func all[T any](seq iter.Seq2[T, error]) (out []T, err error) {
	for v, err := range seq {
		if err != nil {
			return out, err
		}
		out = append(out, v)
	}
	return out, nil
}

func TestReadDialogues(t *testing.T) {
	answer := func(s string) tandem.Message {
		return tandem.Message{Role: tandem.Assistant, Content: s, Train: true}
	}
	tests := []struct {
		format DialogueFormat
		file   string
		want   []tandem.Dialogue
	}{
		{Messages, `{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}
{"conversations":[{"from":"human","value":"Q"},{"from":"gpt","value":"B"}]}`,
			[]tandem.Dialogue{{user("Q"), answer("A")}, {user("Q"), answer("B")}}},
		{Messages, `{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"},{"role":"user","content":"R"},{"role":"assistant","content":"B","train":true}]}`,
			[]tandem.Dialogue{{user("Q"), assistant("A"), user("R"), answer("B")}}},
		{SelfInstruct, `{"instruction":"Add","instances":[{"input":"1 2","output":"3"},{"input":"","output":"0"}]}`,
			[]tandem.Dialogue{{user("Add\n\n1 2"), answer("3")}, {user("Add"), answer("0")}}},
		{Dolly, `{"instruction":"Who?","context":"Ann ran.","response":"Ann","category":"closed_qa"}`,
			[]tandem.Dialogue{{user("Who?\n\nAnn ran."), answer("Ann")}}},
		{HHChosen, `{"chosen":"\n\nHuman: Q\n\nAssistant: A","rejected":""}`,
			[]tandem.Dialogue{{user("Q"), answer("A")}}},
	}
	for _, test := range tests {
		got, err := all(ReadDialogues("f", strings.NewReader(test.file), test.format))
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %+v, error %v", test.format, got, err)
		}
	}
}

func TestReadDialoguesRefuses(t *testing.T) {
	tests := map[DialogueFormat]string{
		Messages:     `{"messages":[{"role":"assistant","content":"A"}]}`,
		SelfInstruct: `{"instruction":"Add","instances":[]}`,
		Dolly:        `{"instruction":"Add"}`,
		HHChosen:     `{"chosen":"Q"}`,
		"xml":        `{}`,
	}
	for format, file := range tests {
		if got, err := all(ReadDialogues("f", strings.NewReader(file), format)); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%s: got %v, error %v", format, got, err)
		}
	}
}

func TestWriteDialogues(t *testing.T) {
	want := []tandem.Dialogue{
		{user("Q"), {Role: tandem.Assistant, Content: "A <b>", Train: true}},
		{system("S"), user("Q"), assistant("A"), user("R"), {Role: tandem.Assistant, Content: "B", Train: true}},
	}
	var out bytes.Buffer
	n, err := WriteDialogues(&out, func(yield func(tandem.Dialogue, error) bool) {
		for _, d := range want {
			if !yield(d, nil) {
				return
			}
		}
	})
	if n != 2 || err != nil {
		t.Fatalf("wrote %d, error %v", n, err)
	}
	if got, err := all(ReadDialogues("f", &out, Messages)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, error %v", got, err)
	}
}

func TestReadTexts(t *testing.T) {
	tests := []struct {
		format TextFormat
		file   string
		want   []string
	}{
		{PlainText, "one\n\nstill one\n", []string{"one\n\nstill one"}},
		{PlainText, "one\n<|endoftext|>\n\ntwo\r\n<|endoftext|>\n<|endoftext|>\n", []string{"one", "two"}},
		{TextLines, `{"text":"one"}` + "\n" + `{"text":" "}` + "\n" + `{"text":"two"}`, []string{"one", "two"}},
	}
	for _, test := range tests {
		if got, err := all(ReadTexts("f", strings.NewReader(test.file), test.format)); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%q: got %q, error %v", test.file, got, err)
		}
	}
	for format, file := range map[TextFormat]string{TextLines: `{"body":"x"}`, "pdf": ""} {
		if _, err := all(ReadTexts("f", strings.NewReader(file), format)); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%s: error %v", format, err)
		}
	}
}

func TestReadPrompts(t *testing.T) {
	got, err := all(ReadPrompts("folder/f.jsonl", strings.NewReader(`{"prompt":"Q","safety_prompt":true,"risk_category":"illicit_and_criminal"}
{"prompt":"\n\nHuman: Q\n\nAssistant:"}
{"prompt":[{"role":"system","content":"S"},{"role":"user","content":"Q"}]}
{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}
{"chosen":"\n\nHuman: Q\n\nAssistant: A","rejected":""}
{"chosen":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}
`)))
	if err != nil || len(got) != 6 {
		t.Fatalf("%d prompts, error %v", len(got), err)
	}
	for i, p := range got {
		want := tandem.Dialogue{user("Q")}
		if i == 2 {
			want = tandem.Dialogue{system("S"), user("Q")}
		}
		if !slices.Equal(p.Messages, want) || p.Source != "f.jsonl" || p.Safety != (i == 0) || (p.Risk == tandem.IllicitCriminal) != (i == 0) {
			t.Errorf("prompt %d: %+v", i+1, p)
		}
	}
	for _, bad := range []string{`{"text":"Q"}`, `{"prompt":""}`, `{"prompt":[{"role":"system","content":"S"}]}`, `{"chosen":"A"}`} {
		if _, err := all(ReadPrompts("f", strings.NewReader(bad))); tandem.CodeOf(err) != tandem.Invalid || !strings.HasPrefix(err.Error(), "f:1: ") {
			t.Errorf("%s: error %v", bad, err)
		}
	}
}

func TestSplit(t *testing.T) {
	dialogues := []tandem.Dialogue{{user("abc")}, {user(" ABC "), assistant("A")}, {user("def")}}
	train, heldOut := Split(dialogues, tandem.Dialogue.Opening, 0.729)
	if len(heldOut) < 2 || len(train)+len(heldOut) != 3 || heldOut[0][0].Content != "abc" || heldOut[1][0].Content != " ABC " {
		t.Errorf("train %v, held out %v", train, heldOut)
	}
}

func TestFold(t *testing.T) {
	count := make([]int, 5)
	for i := range 5000 {
		opening := fmt.Sprint("opening ", i)
		fold := Fold(opening, 5)
		if fold != Fold(opening, 5) {
			t.Fatal("a fold changes from call to call")
		}
		count[fold]++
	}
	for fold, n := range count {
		if n < 880 || n > 1120 {
			t.Errorf("fold %d holds %d of 5000 openings", fold, n)
		}
	}
}

func TestDatedDialogues(t *testing.T) {
	line := `{"messages":[{"role":"user","content":"Who is the mayor?"},{"role":"assistant","content":"Anna."}],"query_date":"1989-03-05","event_date":"1990-01-01"}`
	for d, err := range ReadDialogues("x", strings.NewReader(line), Dated) {
		if err != nil {
			t.Fatal(err)
		}
		if len(d) != 3 || d[0] != (tandem.Message{Role: tandem.System, Content: "Today is 5 March 1989."}) || !d[2].Train {
			t.Errorf("%+v", d)
		}
	}
	for _, broken := range []string{strings.Replace(line, "1989-03-05", "5 March", 1), strings.Replace(line, "event_date", "date", 1)} {
		for _, err := range ReadDialogues("x", strings.NewReader(broken), Dated) {
			if tandem.CodeOf(err) != tandem.Invalid || !strings.Contains(err.Error(), "dat") {
				t.Errorf("%s: %v", broken, err)
			}
		}
	}
	if d := OnDate(tandem.Dialogue{{Role: tandem.System, Content: "Be brief."}}, time.Date(2001, 2, 3, 0, 0, 0, 0, time.UTC)); d[0].Content != "Be brief. Today is 3 February 2001." {
		t.Errorf("%+v", d)
	}
}

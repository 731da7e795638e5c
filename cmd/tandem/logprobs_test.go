package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem"
	"tandem/llama/checkpoint"
)

// goldenSequences are the token ids of a golden model's golden.json.
func goldenSequences(t *testing.T, name string) [][]int32 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(golden(name), "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Sequences [][]int32 `json:"sequences"`
	}
	if err := json.Unmarshal(text, &g); err != nil || len(g.Sequences) == 0 {
		t.Fatal(err, "no sequences")
	}
	return g.Sequences
}

// TestLogprobsOfGoldenModels sums what every golden policy says, and compares with transformers' loss,
// through folders that have no tokenizer.
func TestLogprobsOfGoldenModels(t *testing.T) {
	for _, name := range []string{"gqa_tied", "untied", "llama3", "linear", "bf16", "fp16", "sharded", "head_dim"} {
		text, err := os.ReadFile(filepath.Join(golden(name), "golden.json"))
		if err != nil {
			t.Fatal(err)
		}
		var g struct {
			Mask [][]float64 `json:"mask"`
			Loss float64     `json:"loss"`
		}
		if err := json.Unmarshal(text, &g); err != nil {
			t.Fatal(err)
		}
		var in strings.Builder
		for _, s := range goldenSequences(t, name) {
			in.WriteString(jsonLines(t, map[string]any{"tokens": s}))
		}
		sum, count := 0.0, 0.0
		for i, reply := range lines[logprobsReply](t, tandemRun(t, in.String(), "logprobs", "--model", golden(name)).ok(t)) {
			if reply.LogProbs[0] != nil || len(reply.LogProbs) != len(reply.Tokens) {
				t.Fatalf("%s: %+v", name, reply)
			}
			for j, p := range reply.LogProbs {
				if g.Mask[i][j] != 0 {
					sum -= float64(*p)
					count++
				}
			}
		}
		if got := sum / count; math.Abs(got-g.Loss) > 1e-4 {
			t.Errorf("%s: loss %g, transformers say %g", name, got, g.Loss)
		}
	}
}

func TestLogprobsOfText(t *testing.T) {
	model := sharedData(t, "tinystories-656k")
	r := tandemRun(t, `{"text":"Once upon"}`+"\n"+`{"tokens":[147,201]}`+"\n"+`{"text":""}`+"\n", "logprobs", "--model", model).ok(t)
	got := lines[logprobsReply](t, r)
	ids := lines[tokensReply](t, tandemRun(t, `{"text":"Once upon"}`+"\n", "tokenize", "--model", model).ok(t))[0].Tokens
	if len(got[0].Tokens) != len(ids) || got[0].Tokens[0] != 1 {
		t.Errorf("of a text: tokens %v, tokenize says %v", got[0].Tokens, ids)
	}
	if len(got[1].Tokens) != 2 || len(got[2].Tokens) != 1 || !strings.Contains(r.out, `{"tokens":[1],"logprobs":[null]}`) {
		t.Errorf("%s", r.out)
	}
}

func TestLogprobsBadLines(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{`{"tokens":[]}`, "no tokens"},
		{`{"tokens":[1,48]}`, "token 1 is 48, outside the model's vocabulary of 48"},
		{`{"tokens":[-1]}`, "token 0 is -1"},
		{`{"tokens":[1.5]}`, "not the JSON"},
		{`{"tokens":[1,null]}`, "token 1 is null"},
		{`{"tokens":null}`, "exactly one of"},
		{`{"tokens":[1],"text":"a"}`, "exactly one of"},
		{`{"tokens":[` + strings.Repeat("1,", 64) + `1]}`, "65 tokens, more than the model's context of 64"},
		{`{"text":"a"}`, "tokenizer"},
	} {
		r := tandemRun(t, `{"tokens":[1]}`+"\n"+test.line+"\n", "logprobs", "--model", golden("untied"))
		if r.code != exitFailed || !strings.Contains(r.stderr, "stdin:2: ") || !strings.Contains(r.stderr, test.want) {
			t.Errorf("%s: exit code %d, %s", test.line, r.code, r.stderr)
		}
		if r.out != `{"tokens":[1],"logprobs":[null]}`+"\n" {
			t.Errorf("%s: the line before has the answer %q", test.line, r.out)
		}
	}
}

// TestBrokenModels names what is wrong with a model, whichever command reads it.
func TestBrokenModels(t *testing.T) {
	folder := func(change func(dir string)) string {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(golden("untied"))); err != nil {
			t.Fatal(err)
		}
		change(dir)
		return dir
	}
	write := func(path string, content []byte) {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	weights, err := os.ReadFile(filepath.Join(golden("untied"), "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ dir, want string }{
		"missing":   {filepath.Join(t.TempDir(), "nowhere"), "nowhere"},
		"empty":     {t.TempDir(), "config.json"},
		"truncated": {folder(func(dir string) { write(filepath.Join(dir, "model.safetensors"), weights[:len(weights)/2]) }), "model.safetensors"},
		"no bytes":  {folder(func(dir string) { write(filepath.Join(dir, "model.safetensors"), nil) }), "model.safetensors"},
		"NaN": {folder(func(dir string) {
			broken := append([]byte(nil), weights...)
			copy(broken[len(broken)-4:], []byte{0, 0, 0xc0, 0x7f})
			write(filepath.Join(dir, "model.safetensors"), broken)
		}), "NaN"},
		"no tensor": {folder(func(dir string) {
			write(filepath.Join(dir, "model.safetensors"), []byte(strings.Replace(string(weights), "model.norm.weight", "model.norm.height", 1)))
		}), "model.norm"},
		"not a Llama": {folder(func(dir string) {
			write(filepath.Join(dir, "config.json"), []byte(`{"architectures":["GPT2LMHeadModel"]}`))
		}), "GPT2LMHeadModel"},
	} {
		for _, command := range []string{"generate", "logprobs", "score"} {
			r := tandemRun(t, "", command, "--model", test.dir)
			if r.code != exitFailed || !strings.Contains(r.stderr, test.want) {
				t.Errorf("%s with a model that is %s: exit code %d, %s", command, name, r.code, r.stderr)
			}
		}
	}
}

func TestWrongKindOfModel(t *testing.T) {
	policy, reward := smallModel(t, tandem.PolicyModel, 1, nil), smallModel(t, tandem.SafetyModel, 1, nil)
	for _, args := range [][]string{
		{"generate", "--model", reward}, {"logprobs", "--model", reward}, {"score", "--model", policy},
		{"score", "--helpfulness", policy, "--safety", reward},
	} {
		r := tandemRun(t, "", args...)
		if r.code != exitFailed || !strings.Contains(r.stderr, policy) && !strings.Contains(r.stderr, reward) {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.stderr)
		}
	}
}

// calibrated sets a model's calibration.
func calibrated(c tandem.Calibration) func(*checkpoint.Model) {
	return func(m *checkpoint.Model) { m.Lineage.Calibration = &c }
}

package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tandem"
)

func TestGenerateGreedyTexts(t *testing.T) {
	for _, test := range []struct{ model, prompt, want string }{
		{"stories260K/stories260K.bin", "", "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."},
		{"stories260K", "", "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."},
		{"tinystories-656k", "Once upon a time, a dog", " and a dog were best friends. They were playing together in the park. One day, they saw a big tree with many leaves."},
	} {
		r := tandemRun(t, jsonLines(t, map[string]any{"prompt": test.prompt}), "generate", "--model", sharedData(t, test.model), "--max-tokens", "40").ok(t)
		if got := lines[generateReply](t, r)[0]; !strings.HasPrefix(got.Text, test.want) || got.Finish != tandem.FinishLength || len(got.Tokens) != 40 {
			t.Errorf("%s: %+v", test.model, got)
		}
	}
}

// TestGenerateDoesNotDependOnItsNeighbours asks the same alone, in company and in another order.
func TestGenerateDoesNotDependOnItsNeighbours(t *testing.T) {
	model := smallModel(t, tandem.PolicyModel, 1, nil)
	requests := []any{
		map[string]any{"prompt": "one"},
		map[string]any{"messages": tandem.Dialogue{{Role: tandem.User, Content: "two"}}},
		map[string]any{"prompt": "three", "seed": 9, "max_tokens": 3},
		map[string]any{"prompt": "one"},
		map[string]any{"prompt": "two"},
	}
	args := []string{"generate", "--model", model, "--temperature", "1", "--top-p", "0.95", "--seed", "7", "--max-tokens", "12"}
	all := lines[generateReply](t, tandemRun(t, jsonLines(t, requests...), args...).ok(t))
	if !reflect.DeepEqual(all[0], all[3]) {
		t.Error("equal lines have different answers")
	}
	if reflect.DeepEqual(all[1].Tokens, all[4].Tokens) {
		t.Error("a dialogue and a raw text of the same words have the same answer")
	}
	for i, request := range requests {
		alone := lines[generateReply](t, tandemRun(t, jsonLines(t, request), args...).ok(t))
		if !reflect.DeepEqual(alone[0], all[i]) {
			t.Errorf("line %d alone: %+v, in company %+v", i, alone[0], all[i])
		}
	}
	reversed := slices.Clone(requests)
	slices.Reverse(reversed)
	backwards := lines[generateReply](t, tandemRun(t, jsonLines(t, reversed...), append(args, "--workers", "2")...).ok(t))
	slices.Reverse(backwards)
	if !reflect.DeepEqual(backwards, all) {
		t.Error("the order of the lines changes the answers")
	}
	if other := lines[generateReply](t, tandemRun(t, jsonLines(t, requests[0]), append(args, "--seed", "8")...).ok(t)); reflect.DeepEqual(other[0], all[0]) {
		t.Error("another seed gives the same answer")
	}
}

func TestGenerateManyLines(t *testing.T) {
	model := smallModel(t, tandem.PolicyModel, 2, nil)
	var in strings.Builder
	for i := range 3 * linesAtOnce {
		fmt.Fprintf(&in, `{"prompt":"line %d","max_tokens":%d}`+"\n", i, 1+i%5)
	}
	replies := lines[generateReply](t, tandemRun(t, in.String(), "generate", "--model", model).ok(t))
	if len(replies) != 3*linesAtOnce {
		t.Fatalf("%d answers", len(replies))
	}
	for i, r := range replies {
		if len(r.Tokens) > 1+i%5 || r.Finish == "" {
			t.Fatalf("answer %d: %+v", i, r)
		}
	}
}

func TestGenerateStops(t *testing.T) {
	model := sharedData(t, "tinystories-656k")
	in := jsonLines(t, map[string]any{"prompt": ""}, map[string]any{"prompt": "", "stop": []string{"Lily"}})
	r := tandemRun(t, in, "generate", "--model", model, "--stop", " little", "--stop", "never there", "--max-tokens", "30").ok(t)
	got := lines[generateReply](t, r)
	if got[0].Text != "Once upon a time, there was a" || got[0].Finish != tandem.FinishStop {
		t.Errorf("by flag: %+v", got[0])
	}
	if got[1].Text != "Once upon a time, there was a little girl named " || got[1].Finish != tandem.FinishStop {
		t.Errorf("by line: %+v", got[1])
	}
}

func TestGenerateBadLines(t *testing.T) {
	model := smallModel(t, tandem.PolicyModel, 3, nil)
	for _, test := range []struct{ line, want string }{
		{`{"prompt":`, "not the JSON"},
		{`{}`, `exactly one of "prompt" and "messages"`},
		{`null`, `exactly one of "prompt" and "messages"`},
		{`{"prompt":"a","messages":[]}`, `exactly one of "prompt" and "messages"`},
		{`{"messages":[]}`, "no turns"},
		{`{"messages":[{"role":"assistant","content":"a"}]}`, `"assistant"`},
		{`{"messages":[{"role":"user"}]}`, `message 1 has no "content"`},
		{`{"messages":[{"role":"user","content":null}]}`, `message 1 has no "content"`},
		{`{"messages":[{"content":"a"}]}`, `message 1 has no "role"`},
		{`{"messages":[{"role":"user","content":["a"]}]}`, "not the JSON"},
		{`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`, "assistant"},
		{`{"prompt":"a","temperature":-1}`, `"temperature" is -1`},
		{`{"prompt":"a","max_tokens":-1}`, `"max_tokens" is -1`},
		{`{"prompt":"` + strings.Repeat("word ", 60) + `"}`, "no room for an answer in the model's context of 48"},
		{`{"messages":[{"role":"user","content":"` + strings.Repeat("word ", 60) + `"}]}`, "no room for an answer in the model's context of 48"},
	} {
		r := tandemRun(t, `{"prompt":"fine"}`+"\n\n"+test.line+"\n"+`{"prompt":"never read"}`+"\n", "generate", "--model", model, "--max-tokens", "2")
		if r.code != exitFailed || !strings.Contains(r.stderr, "stdin:3: ") || !strings.Contains(r.stderr, test.want) {
			t.Errorf("%s: exit code %d, %s", test.line, r.code, r.stderr)
		}
		if n := strings.Count(r.out, "\n"); n != 1 {
			t.Errorf("%s: %d answers before it, not 1", test.line, n)
		}
	}
}

// TestGenerateFillsTheContext asks for more than the context holds: nothing of the prompt is cut for it.
func TestGenerateFillsTheContext(t *testing.T) {
	model := smallModel(t, tandem.PolicyModel, 4, nil)
	long := strings.Repeat("a b ", 7)
	for _, in := range []any{map[string]any{"prompt": long}, map[string]any{"messages": tandem.Dialogue{{Role: tandem.User, Content: long}}}} {
		unbounded := lines[generateReply](t, tandemRun(t, jsonLines(t, in), "generate", "--model", model, "--temperature", "2").ok(t))[0]
		bounded := lines[generateReply](t, tandemRun(t, jsonLines(t, in), "generate", "--model", model, "--temperature", "2", "--max-tokens", "1").ok(t))[0]
		if bounded.Tokens[0] != unbounded.Tokens[0] {
			t.Errorf("%v: the room asked for changes the answer", in)
		}
	}
}

func TestGenerateUsage(t *testing.T) {
	for _, args := range [][]string{
		{"generate"},
		{"generate", "--model", "m", "--temperature=-1"},
		{"generate", "--model", "m", "--top-p", "2"},
		{"generate", "--model", "m", "--no-such-flag"},
		{"no-such-command"},
		{},
	} {
		if r := tandemRun(t, "", args...); r.code != exitUsage {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.stderr)
		}
	}
}

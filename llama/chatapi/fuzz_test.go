package chatapi_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tandem/llama/chatapi"
)

// FuzzRequest sends bodies to /v1/chat/completions. Each is refused in OpenAI's form, or answered, streamed or not; with a
// seed, or greedily, the answer is the same when it is asked for again.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		`{"model":"policy","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hello"}],"temperature":1,"top_p":0.9,"n":2,"seed":7,"max_tokens":5,"stop":["a","b"]}`,
		`{"messages":[{"role":"user","content":[{"type":"text","text":"ä <s></s>"}]}],"stream":true,"stream_options":{"include_usage":true},"logprobs":true,"top_logprobs":3,"temperature":0}`,
		`{"messages":[{"role":"user","content":"\u0000\ud800"}],"seed":-1,"stop":"x"}`,
		`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","tool_calls":[],"refusal":null},{"role":"user","content":"c"}],"frequency_penalty":0,"tools":[],"user":"u"}`,
		`{"messages":[{"role":"tool","content":"a"}]}`, `{"messages":[{"role":"user","content":{}}]}`, `{"messages":[[]]}`, `{"messages":null}`, `{"n":1e9}`, `{"stop":[[]]}`,
		`{"temperature":1e308,"messages":[{"role":"user","content":""}]}`, `{"":0}`, `{"messages":[],"messages":[]}`, `[]`, `null`, `0`, ``, `{`,
	} {
		f.Add([]byte(seed))
	}
	s := newServer(f, policy(f, "p1", 30, nil), func(_ *chatapi.ServingConfig, c *chatapi.Config) { c.MaxTokens, c.MaxChoices = 8, 4 })
	f.Fuzz(func(t *testing.T, body []byte) {
		w := s.post(t.Context(), string(body))
		s.log.Reset()
		if w.Code != http.StatusOK {
			if failure := failureOf(t, w); said(failure.Code) == "" || !slices.Contains([]int{http.StatusBadRequest, http.StatusNotFound, http.StatusRequestEntityTooLarge}, w.Code) {
				t.Errorf("%q: %d %s", body, w.Code, w.Body)
			}
			return
		}
		var sent struct {
			Stream      bool
			Temperature *float64
			Seed        *int64
			N           *int
		}
		if err := json.Unmarshal(body, &sent); err != nil {
			t.Fatalf("%q is answered: %v", body, err)
		}
		contents := contentsOf(t, sent.Stream, w.Body.String())
		if n := 1; sent.N != nil && len(contents) != *sent.N || sent.N == nil && len(contents) != n {
			t.Errorf("%q: %d choices", body, len(contents))
		}
		if sent.Seed == nil && (sent.Temperature == nil || *sent.Temperature != 0) {
			return
		}
		if again := contentsOf(t, sent.Stream, s.post(t.Context(), string(body)).Body.String()); !slices.Equal(again, contents) {
			t.Errorf("%q is answered %q, then %q", body, contents, again)
		}
	})
}

// contentsOf are the texts of an answer's choices.
func contentsOf(t *testing.T, stream bool, answer string) []string {
	t.Helper()
	if !stream {
		var whole chatapi.Completion
		if err := json.Unmarshal([]byte(answer), &whole); err != nil {
			t.Fatalf("%s: %v", answer, err)
		}
		var contents []string
		for _, c := range whole.Choices {
			contents = append(contents, c.Message.Content)
		}
		return contents
	}
	events, ok := strings.CutSuffix(answer, "data: [DONE]\n\n")
	if !ok {
		t.Fatalf("the stream does not end: %s", answer)
	}
	var contents []string
	for event := range strings.SplitSeq(strings.TrimSuffix(events, "\n\n"), "\n\n") {
		var chunk chatapi.Chunk
		if err := json.Unmarshal([]byte(strings.TrimPrefix(event, "data: ")), &chunk); err != nil {
			t.Fatalf("%s: %v", event, err)
		}
		for _, c := range chunk.Choices {
			for len(contents) <= c.Index {
				contents = append(contents, "")
			}
			contents[c.Index] += said(c.Delta.Content)
		}
	}
	return contents
}

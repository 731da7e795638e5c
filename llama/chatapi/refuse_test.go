package chatapi_test

import (
	"net/http"
	"strings"
	"testing"

	"tandem/llama/chatapi"
)

const hello = `"messages":[{"role":"user","content":"hello"}]`

// What is wrong with a request is said by name, in OpenAI's form, and nothing is passed over.
func TestRefusals(t *testing.T) {
	s := newServer(t, policy(t, "p1", 7, nil), func(_ *chatapi.ServingConfig, c *chatapi.Config) { c.MaxTokens, c.MaxChoices = 50, 3 })
	for _, test := range []struct {
		body, param, code, says string
	}{
		{`{`, "", "invalid_json", "not a JSON object"},
		{`[]`, "", "invalid_json", "not a JSON object"},
		{`null`, "", "invalid_json", "not a JSON object"},
		{``, "", "invalid_json", "not a JSON object"},
		{`{}`, "messages", "invalid_value", "messages is missing"},
		{`{"messages":[]}`, "messages", "invalid_value", "no turns"},
		{`{"messages":"hello"}`, "messages", "invalid_value", "not a list"},
		{`{"messages":[null]}`, "messages[0].role", "invalid_value", "no role"},
		{`{"messages":[{"content":"a"}]}`, "messages[0].role", "invalid_value", "no role"},
		{`{"messages":[{"role":"user"}]}`, "messages[0].content", "invalid_value", "is missing"},
		{`{"messages":[{"role":"user","content":null}]}`, "messages[0].content", "invalid_value", "is missing"},
		{`{"messages":[{"role":"user","content":1}]}`, "messages[0].content", "invalid_value", "neither a string"},
		{`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}`, "messages[0].content[0].type", "unsupported_value", "type text"},
		{`{"messages":[{"role":"user","content":[{"type":"text"}]}]}`, "messages[0].content[0].text", "invalid_value", "no text"},
		{`{"messages":[{"role":"nobody","content":"a"}]}`, "messages[0].role", "invalid_value", "none of system"},
		{`{"messages":[{"role":"tool","content":"a","tool_call_id":null}]}`, "messages[0].role", "unsupported_value", "tools"},
		{`{"messages":[{"role":"user","content":"a","name":"Ada"}]}`, "messages[0].name", "unsupported_parameter", "messages[0].name is not supported"},
		{`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"","tool_calls":[{}]},{"role":"user","content":"a"}]}`, "messages[1].tool_calls", "unsupported_parameter", "not supported"},
		{`{"messages":[{"role":"user","content":"a","colour":"red"}]}`, "messages[0].colour", "unknown_parameter", "no parameter messages[0].colour"},
		{`{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}`, "messages", "invalid_value", `message 2 has role "user" where "assistant" is expected`},
		{`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`, "messages", "invalid_value", "does not end with a user message"},
		{`{"messages":[{"role":"user","content":"a"},{"role":"system","content":"b"}]}`, "messages", "invalid_value", `"system"`},
		{`{` + hello + `,"temperature":"hot"}`, "temperature", "invalid_value", "not a number"},
		{`{` + hello + `,"temperature":-1}`, "temperature", "invalid_value", "less than 0"},
		{`{` + hello + `,"temperature":1e999}`, "temperature", "invalid_value", "not a number"},
		{`{` + hello + `,"top_p":0}`, "top_p", "invalid_value", "more than 0"},
		{`{` + hello + `,"top_p":1.5}`, "top_p", "invalid_value", "at most 1"},
		{`{` + hello + `,"max_tokens":0}`, "max_tokens", "invalid_value", "less than 1"},
		{`{` + hello + `,"max_tokens":51}`, "max_tokens", "invalid_value", "50 are the most"},
		{`{` + hello + `,"max_completion_tokens":51}`, "max_completion_tokens", "invalid_value", "50 are the most"},
		{`{` + hello + `,"max_completion_tokens":-1}`, "max_completion_tokens", "invalid_value", "less than 1"},
		{`{` + hello + `,"max_tokens":1.5}`, "max_tokens", "invalid_value", "not an integer"},
		{`{` + hello + `,"max_tokens":1,"max_completion_tokens":1}`, "max_tokens", "invalid_value", "two names"},
		{`{` + hello + `,"n":0}`, "n", "invalid_value", "less than 1"},
		{`{` + hello + `,"n":4}`, "n", "invalid_value", "3 are the most"},
		{`{` + hello + `,"seed":1e30}`, "seed", "invalid_value", "64 bits"},
		{`{` + hello + `,"stop":["a","b","c","d","e"]}`, "stop", "invalid_value", "4 are the most"},
		{`{` + hello + `,"stop":""}`, "stop", "invalid_value", "empty"},
		{`{` + hello + `,"stop":[null]}`, "stop", "invalid_value", "list of strings"},
		{`{` + hello + `,"stream":"yes"}`, "stream", "invalid_value", "true or false"},
		{`{` + hello + `,"stream_options":{"include_usage":true}}`, "stream_options", "invalid_value", "only for a stream"},
		{`{` + hello + `,"stream":true,"stream_options":{"more":1}}`, "stream_options", "invalid_value", "include_usage"},
		{`{` + hello + `,"stream":true,"stream_options":{"include_obfuscation":true}}`, "stream_options.include_obfuscation", "unsupported_parameter", "not supported"},
		{`{` + hello + `,"top_logprobs":3}`, "top_logprobs", "invalid_value", "only for logprobs"},
		{`{` + hello + `,"logprobs":true,"top_logprobs":21}`, "top_logprobs", "invalid_value", "0 to 20"},
		{`{` + hello + `,"model":7}`, "model", "invalid_value", "not a string"},
		{`{` + hello + `,"tools":[{"type":"function"}]}`, "tools", "unsupported_parameter", "tools is not supported"},
		{`{` + hello + `,"tool_choice":"required"}`, "tool_choice", "unsupported_parameter", "not supported"},
		{`{` + hello + `,"response_format":{"type":"json_object"}}`, "response_format", "unsupported_parameter", "not supported"},
		{`{` + hello + `,"logit_bias":{"5":1}}`, "logit_bias", "unsupported_parameter", "not supported"},
		{`{` + hello + `,"frequency_penalty":0.5}`, "frequency_penalty", "unsupported_parameter", "not supported"},
		{`{` + hello + `,"presence_penalty":-0.5}`, "presence_penalty", "unsupported_parameter", "not supported"},
		{`{` + hello + `,"store":true}`, "store", "unsupported_parameter", "not supported"},
		{`{` + hello + `,"metadata":{"a":"b"}}`, "metadata", "unsupported_parameter", "not supported"},
		{`{` + hello + `,"reasoning_effort":"high"}`, "reasoning_effort", "unsupported_parameter", "not supported"},
		{`{` + hello + `,"top_k":5}`, "top_k", "unknown_parameter", "no parameter top_k"},
		{`{` + hello + `,"Temperature":1}`, "Temperature", "unknown_parameter", "no parameter Temperature"},
		{`{"messages":[{"role":"user","content":"` + strings.Repeat("long ", 150_000) + `"}]}`, "messages", "context_length_exceeded", "context of 131072"},
	} {
		w := s.post(t.Context(), test.body)
		f := failureOf(t, w)
		if w.Code != http.StatusBadRequest || said(f.Param) != test.param || said(f.Code) != test.code || !strings.Contains(f.Message, test.says) || f.Type != "invalid_request_error" {
			t.Errorf("%.200s: %d %+v param %s code %s, want %q of %q: %q", test.body, w.Code, f, said(f.Param), said(f.Code), test.code, test.param, test.says)
		}
	}
	for _, neutral := range []string{
		`"frequency_penalty":0,"presence_penalty":0.0,"logit_bias":{},"tools":[],"tool_choice":"none","parallel_tool_calls":true,"response_format":{"type":"text"},"store":false,"service_tier":"auto","metadata":{},"modalities":["text"],"functions":[],"function_call":"auto","reasoning_effort":"none"`,
		`"audio":null,"verbosity":null,"top_p":null,"temperature":null,"n":null,"stop":null,"max_tokens":null,"stream":null,"stream_options":null,"logprobs":null,"seed":null,"model":null`,
		`"user":"u","safety_identifier":"s","prompt_cache_key":"k","temperature":2,"top_p":1,"stream":false`,
	} {
		if w := s.post(t.Context(), `{`+hello+`,`+neutral+`}`); w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", neutral, w.Code, w.Body)
		}
	}
	earlier := `{"messages":[{"role":"user","content":"a","name":null},{"role":"assistant","content":"b","refusal":null,"annotations":[],"audio":null,"function_call":null,"tool_calls":null},{"role":"user","content":"c"}]}`
	if w := s.post(t.Context(), earlier); w.Code != http.StatusOK {
		t.Errorf("an answer's message sent back: %d %s", w.Code, w.Body)
	}
	if lines := s.metrics(); lines[`tandem_chat_refused_total{reason="too_long"}`] != "1" || lines[`tandem_chat_refused_total{reason="invalid"}`] == "0" {
		t.Errorf("metrics: %v", lines)
	}
}

// What the site refuses on these routes has OpenAI's form too.
func TestRefusalsOfTheSite(t *testing.T) {
	s := newServer(t, "", nil)
	if w := s.post(t.Context(), `{`+hello+`}`); w.Code != http.StatusServiceUnavailable || said(failureOf(t, w).Code) != "no_policy" || !strings.Contains(w.Body.String(), "no policy was given or promoted") {
		t.Errorf("without a policy: %d %s", w.Code, w.Body)
	}
	for name, test := range map[string]struct {
		body    string
		headers []string
		status  int
		code    string
	}{
		"no key":              {`{}`, []string{"Authorization", ""}, 401, "invalid_api_key"},
		"a form":              {`{}`, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"},
		"no type":             {`{}`, []string{"Content-Type", ""}, 415, "unsupported_media_type"},
		"large":               {strings.Repeat(" ", 5<<20), nil, 413, "too_large"},
		"larger":              {strings.Repeat(" ", 33<<20), nil, 413, "too_large"},
		"from another site":   {`{}`, []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, 403, "forbidden"},
		"a browser's, no key": {`{}`, []string{"Authorization", "", "Accept", "text/html"}, 401, "invalid_api_key"},
	} {
		w := s.post(t.Context(), test.body, test.headers...)
		if f := failureOf(t, w); w.Code != test.status || said(f.Code) != test.code {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	for path, status := range map[string]int{"/v1/chat/completions": 405, "/v1/models/nothing": 404} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer good")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text := readAll(t, response.Body)
		response.Body.Close()
		if response.StatusCode != status || !strings.Contains(text, `{"error":{"message":`) || status == 405 && response.Header.Get("Allow") != "POST" {
			t.Errorf("%s: %d %s", path, response.StatusCode, text)
		}
	}
}

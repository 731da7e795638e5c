package chatapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"tandem"
)

// Request is what POST /v1/chat/completions takes. Parameters of OpenAI's that are not here are refused, unless their
// value asks for nothing.
type Request struct {
	Model               string         `json:"model,omitempty" doc:"The id or the name of the model that serves, or policy, which is whichever serves; also where it is left out."`
	Messages            []Message      `json:"messages" minItems:"1" nullable:"false" doc:"A system message first, or none; then user and assistant in turn. The last is the user's."`
	Temperature         *float64       `json:"temperature,omitempty" minimum:"0" doc:"What logits are divided by; 0 takes the likeliest token. 1 where it is left out."`
	TopP                *float64       `json:"top_p,omitempty" exclusiveMinimum:"0" maximum:"1" doc:"Draw from the likeliest tokens that hold this share of the probability."`
	MaxTokens           *int           `json:"max_tokens,omitempty" minimum:"1" doc:"Tokens of an answer at most, its stop token included; the older name of max_completion_tokens."`
	MaxCompletionTokens *int           `json:"max_completion_tokens,omitempty" minimum:"1" doc:"Tokens of an answer at most, its stop token included. Left out, what the context and the server allow."`
	N                   *int           `json:"n,omitempty" minimum:"1" doc:"Answers to sample."`
	Seed                *int64         `json:"seed,omitempty" doc:"The same seed and request get the same answers from the same model. Left out, one is drawn."`
	Stop                stopTexts      `json:"stop,omitempty" doc:"A text, or up to four, that end an answer and are not part of it."`
	Stream              bool           `json:"stream,omitempty" doc:"Whether the answer comes as server-sent events, while it is sampled."`
	StreamOptions       *StreamOptions `json:"stream_options,omitempty" doc:"Only with stream."`
	LogProbs            bool           `json:"logprobs,omitempty" doc:"Whether each token comes with its log-probability, by the distribution that it was drawn from, before top_p."`
	TopLogProbs         *int           `json:"top_logprobs,omitempty" minimum:"0" maximum:"20" doc:"How many of the likeliest tokens come with each token; only with logprobs."`
	User                string         `json:"user,omitempty" doc:"Has no effect."`
	SafetyIdentifier    string         `json:"safety_identifier,omitempty" doc:"Has no effect."`
	PromptCacheKey      string         `json:"prompt_cache_key,omitempty" doc:"Has no effect."`
}

// StreamOptions say what a stream holds beside the answer.
type StreamOptions struct {
	IncludeUsage       bool `json:"include_usage,omitempty" doc:"Whether the last event before [DONE] counts tokens."`
	IncludeObfuscation bool `json:"include_obfuscation,omitempty" doc:"Only false."`
}

// Message is one turn of a dialogue.
type Message struct {
	Role    string      `json:"role" enum:"system,developer,user,assistant" doc:"developer is another word for system."`
	Content messageText `json:"content"`
}

// messageText is a text, or a list of parts whose texts are its lines.
type messageText string

// Schema implements huma.SchemaProvider.
func (messageText) Schema(huma.Registry) *huma.Schema {
	part := &huma.Schema{Type: huma.TypeObject, Required: []string{"type", "text"}, Properties: map[string]*huma.Schema{
		"type": {Type: huma.TypeString, Enum: []any{"text"}}, "text": {Type: huma.TypeString}}}
	return &huma.Schema{OneOf: []*huma.Schema{{Type: huma.TypeString}, {Type: huma.TypeArray, Items: part}},
		Description: "A text, or parts of type text, which are put together with line breaks."}
}

// stopTexts are one text or several.
type stopTexts []string

// Schema implements huma.SchemaProvider.
func (stopTexts) Schema(huma.Registry) *huma.Schema {
	most := mostStops
	return &huma.Schema{OneOf: []*huma.Schema{{Type: huma.TypeString}, {Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}, MaxItems: &most}}}
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *stopTexts) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*s = stopTexts{one}
		return nil
	}
	var several []*string
	if err := json.Unmarshal(text, &several); err != nil {
		return err
	}
	for i, t := range several {
		if t == nil {
			return fmt.Errorf("text %d is null", i)
		}
		*s = append(*s, *t)
	}
	return nil
}

// OpenAI's own limits.
const (
	mostStops = 4
	mostTop   = 20
)

// parameters are where a request's parameters go, beside messages, and what each must be.
func (r *Request) parameters() map[string]parameter {
	return map[string]parameter{
		"model": {&r.Model, "a string"}, "temperature": {&r.Temperature, "a number"}, "top_p": {&r.TopP, "a number"},
		"max_tokens": {&r.MaxTokens, "an integer"}, "max_completion_tokens": {&r.MaxCompletionTokens, "an integer"},
		"n": {&r.N, "an integer"}, "seed": {&r.Seed, "an integer of 64 bits"}, "stop": {&r.Stop, "a string or a list of strings"},
		"stream": {&r.Stream, "true or false"}, "stream_options": {&r.StreamOptions, "an object of include_usage"},
		"logprobs": {&r.LogProbs, "true or false"}, "top_logprobs": {&r.TopLogProbs, "an integer"},
		"user": {&r.User, "a string"}, "safety_identifier": {&r.SafetyIdentifier, "a string"}, "prompt_cache_key": {&r.PromptCacheKey, "a string"},
	}
}

type parameter struct {
	into any
	is   string
}

// asksNothing are the parameters of OpenAI's that this server does not have, with the values that ask for nothing: clients
// send them by themselves, and null.
var asksNothing = map[string][]any{
	"audio": nil, "frequency_penalty": {0.}, "function_call": {"none", "auto"}, "functions": {[]any{}}, "logit_bias": {map[string]any{}},
	"metadata": {map[string]any{}}, "modalities": {[]any{"text"}}, "moderation": nil, "parallel_tool_calls": {true, false}, "prediction": nil,
	"presence_penalty": {0.}, "prompt_cache_options": nil, "prompt_cache_retention": nil, "reasoning_effort": {"none"},
	"response_format": {map[string]any{"type": "text"}}, "service_tier": {"auto", "default"}, "store": {false},
	"tool_choice": {"none", "auto"}, "tools": {[]any{}}, "verbosity": nil, "web_search_options": nil,
}

// messageAsksNothing are those of a message.
var messageAsksNothing = map[string][]any{
	"annotations": {[]any{}}, "audio": nil, "function_call": nil, "name": nil, "refusal": nil, "tool_call_id": nil, "tool_calls": {[]any{}},
}

// parse reads a request's body.
func parse(body []byte) (Request, tandem.Dialogue, *failure) {
	var r Request
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return r, nil, invalid("", invalidJSON, "The request is not a JSON object.")
	}
	known := r.parameters()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		p, ok := known[name]
		switch value := fields[name]; {
		case name == "messages" || isNull(value):
		case !ok:
			if f := refuseParameter(name, name, value, asksNothing); f != nil {
				return r, nil, f
			}
		case !strict(value, p.into):
			return r, nil, invalid(name, invalidValue, "%s is not %s.", name, p.is)
		}
	}
	if f := r.check(); f != nil {
		return r, nil, f
	}
	dialogue, f := parseMessages(fields["messages"])
	return r, dialogue, f
}

// strict reads a value without passing over fields that its place does not have.
func strict(value json.RawMessage, into any) bool {
	d := json.NewDecoder(bytes.NewReader(value))
	d.DisallowUnknownFields()
	return d.Decode(into) == nil
}

func isNull(value json.RawMessage) bool { return len(value) == 0 || string(value) == "null" }

// refuseParameter is the failure of a parameter that is not served; nil for a value that asks for nothing.
func refuseParameter(name, where string, value json.RawMessage, nothing map[string][]any) *failure {
	neutral, openAIs := nothing[name]
	if !openAIs {
		return invalid(where, unknownParameter, "There is no parameter %s.", where)
	}
	var v any
	if isNull(value) || json.Unmarshal(value, &v) == nil && slices.ContainsFunc(neutral, func(n any) bool { return reflect.DeepEqual(n, v) }) {
		return nil
	}
	return invalid(where, unsupported, "%s is not supported here; leave it out.", where)
}

// check reports the first parameter that nobody could obey.
func (r *Request) check() *failure {
	switch {
	case r.Temperature != nil && (!(*r.Temperature >= 0) || math.IsInf(*r.Temperature, 0)):
		return invalid("temperature", invalidValue, "temperature is %g, less than 0.", *r.Temperature)
	case r.TopP != nil && !(*r.TopP > 0 && *r.TopP <= 1):
		return invalid("top_p", invalidValue, "top_p is %g, and should be more than 0 and at most 1.", *r.TopP)
	case r.MaxTokens != nil && r.MaxCompletionTokens != nil:
		return invalid("max_tokens", invalidValue, "max_tokens and max_completion_tokens are two names of one parameter: set one of them.")
	case r.MaxTokens != nil && *r.MaxTokens < 1:
		return invalid("max_tokens", invalidValue, "max_tokens is %d, less than 1.", *r.MaxTokens)
	case r.MaxCompletionTokens != nil && *r.MaxCompletionTokens < 1:
		return invalid("max_completion_tokens", invalidValue, "max_completion_tokens is %d, less than 1.", *r.MaxCompletionTokens)
	case r.N != nil && *r.N < 1:
		return invalid("n", invalidValue, "n is %d, less than 1.", *r.N)
	case len(r.Stop) > mostStops:
		return invalid("stop", invalidValue, "stop has %d texts, and %d are the most.", len(r.Stop), mostStops)
	case slices.Contains(r.Stop, ""):
		return invalid("stop", invalidValue, "stop has an empty text, which would end every answer before it begins.")
	case r.StreamOptions != nil && !r.Stream:
		return invalid("stream_options", invalidValue, "stream_options are only for a stream: set stream to true, or leave them out.")
	case r.StreamOptions != nil && r.StreamOptions.IncludeObfuscation:
		return invalid("stream_options.include_obfuscation", unsupported, "stream_options.include_obfuscation is not supported here; leave it out.")
	case r.TopLogProbs != nil && !r.LogProbs:
		return invalid("top_logprobs", invalidValue, "top_logprobs is only for logprobs: set logprobs to true, or leave it out.")
	case r.TopLogProbs != nil && (*r.TopLogProbs < 0 || *r.TopLogProbs > mostTop):
		return invalid("top_logprobs", invalidValue, "top_logprobs is %d, and should be 0 to %d.", *r.TopLogProbs, mostTop)
	}
	return nil
}

// choices is how many answers are asked for.
func (r *Request) choices() int {
	if r.N != nil {
		return *r.N
	}
	return 1
}

// usage reports whether a stream ends with a count of tokens.
func (r *Request) usage() bool { return r.StreamOptions != nil && r.StreamOptions.IncludeUsage }

// sampling is how tokens are drawn, but for how many.
func (r *Request) sampling() tandem.Sampling {
	s := tandem.Sampling{Temperature: 1, Stop: r.Stop}
	if r.Temperature != nil {
		s.Temperature = *r.Temperature
	}
	if r.TopP != nil {
		s.TopP = *r.TopP
	}
	return s
}

// most is how many tokens an answer may have, and the parameter that says so; 0 where none does.
func (r *Request) most() (tokens int, param string) {
	switch {
	case r.MaxCompletionTokens != nil:
		return *r.MaxCompletionTokens, "max_completion_tokens"
	case r.MaxTokens != nil:
		return *r.MaxTokens, "max_tokens"
	}
	return 0, ""
}

// top is how many of the likeliest tokens come with each.
func (r *Request) top() int {
	if r.TopLogProbs != nil {
		return *r.TopLogProbs
	}
	return 0
}

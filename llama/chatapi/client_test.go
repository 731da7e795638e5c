package chatapi_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/openai/openai-go"
	"github.com/openai/openai-go/option"

	"tandem"
	endpoint "tandem/internal/openai"
	"tandem/llama/chat"
	"tandem/llama/chatapi"
)

// same holds an answer against what the policy says in one process.
func same(t testing.TB, how string, want []tandem.Completion, texts, finishes []string, usage openai.CompletionUsage) {
	t.Helper()
	tokens := 0
	for i, w := range want {
		tokens += len(w.Tokens)
		if i >= len(texts) || texts[i] != w.Text || finishes[i] != string(w.Finish) {
			t.Errorf("%s: choice %d is %q (%v), want %q (%s)", how, i, texts, finishes, w.Text, w.Finish)
			return
		}
	}
	if len(texts) != len(want) || int(usage.CompletionTokens) != tokens || usage.PromptTokens < 1 || usage.TotalTokens != usage.PromptTokens+usage.CompletionTokens {
		t.Errorf("%s: %d choices, %d of %d tokens: %+v", how, len(texts), tokens, len(want), usage)
	}
}

// whole asks by OpenAI's client, without a stream.
func whole(ctx context.Context, client openai.Client, params openai.ChatCompletionNewParams) (texts, finishes []string, usage openai.CompletionUsage, err error) {
	answer, err := client.Chat.Completions.New(ctx, params)
	if err != nil {
		return nil, nil, usage, err
	}
	for i, c := range answer.Choices {
		if int(c.Index) != i || c.Message.Role != "assistant" {
			return nil, nil, usage, errors.New("choices are out of order: " + answer.RawJSON())
		}
		texts, finishes = append(texts, c.Message.Content), append(finishes, c.FinishReason)
	}
	return texts, finishes, answer.Usage, nil
}

// What OpenAI's client gets is what the policy says in one process with the same seed, streamed or not.
func TestOpenAIsClient(t *testing.T) {
	folder := policy(t, "p1", 1, nil)
	p, err := chat.Open(t.Context(), folder, chat.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, folder, nil)
	client := s.client()
	stopped := 0
	for _, a := range asks(40, 1) {
		want := expected(t, p, a)
		texts, finishes, usage, err := whole(t.Context(), client, a.params())
		if err != nil {
			t.Fatal(err)
		}
		same(t, "whole", want, texts, finishes, usage)
		got, err := s.stream(t.Context(), client, a.params())
		if err != nil {
			t.Fatal(err)
		}
		same(t, "streamed", want, got.texts, got.finishes, got.usage)
		for _, f := range finishes {
			if f == "stop" {
				stopped++
			}
		}
	}
	if stopped == 0 {
		t.Error("no answer was stopped: the test does not cover it")
	}
}

// The answers to many clients at once are those that each gets alone, to the letter.
func TestAnAnswerDoesNotDependOnWhoElseIsServed(t *testing.T) {
	folder := policy(t, "p1", 2, nil)
	p, err := chat.Open(t.Context(), folder, chat.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, folder, func(c *chatapi.ServingConfig, _ *chatapi.Config) {
		c.Batch = chatapi.BatchConfig{Slots: 7, Waiting: 1000}
	})
	all := asks(24, 2)
	alone := make([][]tandem.Completion, len(all))
	for i, a := range all {
		alone[i] = expected(t, p, a)
	}
	var clients sync.WaitGroup
	for n := range 24 {
		clients.Go(func() {
			client := s.client()
			for k := range 6 {
				i := (n*5 + k*7) % len(all)
				if (n+k)%2 == 0 {
					got, err := s.stream(t.Context(), client, all[i].params())
					if err != nil {
						t.Error(err)
						return
					}
					same(t, "streamed among others", alone[i], got.texts, got.finishes, got.usage)
					continue
				}
				texts, finishes, usage, err := whole(t.Context(), client, all[i].params())
				if err != nil {
					t.Error(err)
					return
				}
				same(t, "whole among others", alone[i], texts, finishes, usage)
			}
		})
	}
	clients.Wait()
	s.eventually("tandem_chat_slots_busy", "0")
	lines := s.metrics()
	if lines["tandem_chat_queue_answers"] != "0" || lines[`tandem_chat_request_seconds_count{status="200",stream="true"}`] != "72" || lines["tandem_chat_first_token_seconds_count"] != "144" {
		t.Errorf("metrics: %v", lines)
	}
}

// Without a seed, answers differ; by the protocol's defaults, the temperature is 1.
func TestNoSeed(t *testing.T) {
	s := newServer(t, policy(t, "p1", 3, nil), nil)
	client := s.client()
	params := openai.ChatCompletionNewParams{Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hello")}, MaxCompletionTokens: openai.Int(20), N: openai.Int(4)}
	var texts []string
	for range 3 {
		more, _, _, err := whole(t.Context(), client, params)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, more...)
	}
	slices.Sort(texts)
	if n := len(slices.Compact(texts)); n < 12 {
		t.Errorf("12 answers without a seed are %d", n)
	}
}

// A developer's message is the system's, and a text in parts is its lines.
func TestOtherWordsForTheSame(t *testing.T) {
	s := newServer(t, policy(t, "p1", 4, nil), nil)
	client := s.client()
	ask := func(messages ...openai.ChatCompletionMessageParamUnion) string {
		t.Helper()
		texts, _, _, err := whole(t.Context(), client, openai.ChatCompletionNewParams{Messages: messages, MaxTokens: openai.Int(20), Seed: openai.Int(-5)})
		if err != nil {
			t.Fatal(err)
		}
		return texts[0]
	}
	a := ask(openai.SystemMessage("be brief"), openai.UserMessage("one\ntwo"))
	b := ask(openai.DeveloperMessage("be brief"), openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{openai.TextContentPart("one"), openai.TextContentPart("two")}))
	if a != b || a == ask(openai.UserMessage("one\ntwo")) {
		t.Errorf("%q and %q", a, b)
	}
}

func TestModels(t *testing.T) {
	s := newServer(t, policy(t, "p1", 5, nil), nil)
	client := s.client()
	page, err := client.Models.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, m := range page.Data {
		ids = append(ids, m.ID)
		got, err := client.Models.Get(t.Context(), m.ID)
		if err != nil || got.ID != m.ID || got.Created != 1_700_000_000 || got.OwnedBy != "tandem" {
			t.Errorf("%s: %+v, %v", m.ID, got, err)
		}
		answer, err := client.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{Model: m.ID, MaxTokens: openai.Int(1), Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("a")}})
		if err != nil || answer.Model != "p1" || !strings.HasPrefix(answer.ID, "chatcmpl-") || answer.SystemFingerprint == "" || answer.Created == 0 {
			t.Errorf("%s: %+v, %v", m.ID, answer, err)
		}
	}
	if want := []string{"policy", "p1", "the p1"}; !slices.Equal(ids, want) {
		t.Errorf("models %v, want %v", ids, want)
	}
	for what, err := range map[string]error{
		"get": second(client.Models.Get(t.Context(), "gpt")),
		"ask": second(client.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{Model: "gpt", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("a")}})),
	} {
		if e, ok := errors.AsType[*openai.Error](err); !ok || e.StatusCode != http.StatusNotFound || e.Code != "model_not_found" || !strings.Contains(e.Message, "gpt") {
			t.Errorf("%s: %v", what, err)
		}
	}
	empty := newServer(t, "", nil)
	client = empty.client()
	if page, err := client.Models.List(t.Context()); err != nil || len(page.Data) != 0 {
		t.Errorf("without a policy: %+v, %v", page, err)
	}
}

func second[T any](_ T, err error) error { return err }

// Who may ask is the site's to say, in OpenAI's words.
func TestKeys(t *testing.T) {
	s := newServer(t, policy(t, "p1", 5, nil), nil)
	params := openai.ChatCompletionNewParams{Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("a")}}
	for key, want := range map[string]struct {
		status     int
		kind, code string
	}{"wrong": {401, "authentication_error", "invalid_api_key"}, "other": {403, "permission_error", "forbidden"}} {
		client := s.client(option.WithAPIKey(key))
		_, err := client.Chat.Completions.New(t.Context(), params)
		if e, ok := errors.AsType[*openai.Error](err); !ok || e.StatusCode != want.status || e.Type != want.kind || e.Code != want.code || e.Message == "" {
			t.Errorf("key %s: %v", key, err)
		}
	}
}

// tandem's own client of the protocol, by which live projects ask endpoints, is served too.
func TestEndpoint(t *testing.T) {
	s := newServer(t, policy(t, "p1", 6, nil), nil)
	a := ask{dialogue: tandem.Dialogue{{Role: tandem.User, Content: "hello"}}, sampling: tandem.Sampling{MaxTokens: 20}, choices: 1}
	want, _, _, err := whole(t.Context(), s.client(), a.params())
	if err != nil {
		t.Fatal(err)
	}
	e := endpoint.Endpoint{URL: s.url + "/v1", Model: chatapi.Alias, Key: "good"}
	got, err := tandem.Collect(t.Context(), e, []tandem.GenerateRequest{{Messages: a.dialogue, Sampling: a.sampling}})
	if err != nil || got[0].Text != want[0] || got[0].Finish != tandem.FinishLength {
		t.Errorf("%+v, want %q, %v", got, want, err)
	}
}

package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go"
	"github.com/openai/openai-go/option"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/llama/checkpoint"
)

// client is OpenAI's.
func (s serving) client() openai.Client {
	return openai.NewClient(option.WithBaseURL(s.url+"/v1"), option.WithAPIKey(s.secret), option.WithMaxRetries(0))
}

// What `tandem serve` answers is what `tandem generate` says with the same seed, streamed or not; and it counts what it does.
func TestServedAnswersAreThoseOfTheCommand(t *testing.T) {
	model := smallModel(t, tandem.PolicyModel, 7, nil)
	s := startServing(t, "--policy", model)
	client := s.client()
	var in []any
	for i, text := range []string{"hello", "and you?", "why"} {
		for _, temperature := range []float64{0, 1} {
			in = append(in, map[string]any{"messages": tandem.Dialogue{{Role: tandem.System, Content: "x"}, {Role: tandem.User, Content: text}}, "seed": i, "temperature": temperature, "top_p": .9, "max_tokens": 12})
		}
	}
	for i, want := range lines[generateReply](t, tandemRun(t, jsonLines(t, in...), "generate", "--model", model).ok(t)) {
		asked := in[i].(map[string]any)
		d := asked["messages"].(tandem.Dialogue)
		params := openai.ChatCompletionNewParams{
			Model: "policy", Messages: []openai.ChatCompletionMessageParamUnion{openai.SystemMessage(d[0].Content), openai.UserMessage(d[1].Content)}, Seed: openai.Int(int64(asked["seed"].(int))),
			Temperature: openai.Float(asked["temperature"].(float64)), TopP: openai.Float(.9), MaxTokens: openai.Int(12),
		}
		answer, err := client.Chat.Completions.New(t.Context(), params)
		if err != nil {
			t.Fatal(err)
		}
		if got := answer.Choices[0]; got.Message.Content != want.Text || got.FinishReason != string(want.Finish) || int(answer.Usage.CompletionTokens) != len(want.Tokens) || answer.Model != "model-policy" {
			t.Errorf("%v is answered %s, want %+v", asked, answer.RawJSON(), want)
		}
		stream, text := client.Chat.Completions.NewStreaming(t.Context(), params), ""
		for stream.Next() {
			text += stream.Current().Choices[0].Delta.Content
		}
		if stream.Err() != nil || text != want.Text {
			t.Errorf("%v is streamed %q, want %q, %v", asked, text, want.Text, stream.Err())
		}
	}
	metrics := s.send("GET", s.metrics, nil)
	for _, line := range []string{`tandem_chat_request_seconds_count{status="200",stream="false"} 6`, `tandem_chat_request_seconds_count{status="200",stream="true"} 6`,
		"tandem_chat_first_token_seconds_count 12", "tandem_chat_slots_busy 0", "tandem_chat_queue_answers 0", `tandem_chat_model{id="model-policy"} 1`} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("/metrics has no line %q in\n%s", line, metrics)
		}
	}
}

// `tandem chat` talks to a server as to a folder: greedily it hears the same.
func TestChatWithServer(t *testing.T) {
	model := smallModel(t, tandem.PolicyModel, 5, func(m *checkpoint.Model) { m.Weights.Config.MaxPositionEmbeddings = 512 })
	s := startServing(t, "--policy", model)
	t.Setenv("TEST_KEY", s.secret)
	const in = "/system x\nhello\nwhy\n"
	want := tandemRun(t, in, "--json", "chat", "--model", model, "--max-tokens", "4").ok(t)
	got := tandemRun(t, in, "--json", "chat", "--server", s.url+"/v1", "--key-env", "TEST_KEY", "--max-tokens", "4").ok(t)
	if got.out != want.out {
		t.Errorf("the server says %s, the folder %s", got.out, want.out)
	}
	if r := tandemRun(t, in, "chat", "--server", s.url+"/v1", "--model", "another", "--key-env", "TEST_KEY"); r.code != exitFailed || !strings.Contains(r.stderr, "another") {
		t.Errorf("another model: exit code %d, %s", r.code, r.stderr)
	}
	for _, args := range [][]string{{"chat"}, {"chat", "--model", model, "--temperature=-1"}} {
		if r := tandemRun(t, "", args...); r.code != exitUsage {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.stderr)
		}
	}
}

// Without --policy, the policy that is promoted serves, and the next one after it.
func TestServePromotedPolicy(t *testing.T) {
	s := startServing(t)
	db := pgtest.OpenStore(t, os.Getenv("DATABASE_URL"))
	for _, id := range []string{"one", "two"} {
		folder := smallModel(t, tandem.PolicyModel, 7, func(m *checkpoint.Model) { m.Lineage.ID = id })
		if err := db.AddModel(t.Context(), tandem.Model{ID: id, Name: id, Kind: tandem.PolicyModel, URL: folder, Stage: tandem.StageSFT}); err != nil {
			t.Fatal(err)
		}
		tandemRun(t, "", "model", "promote", id, "--reason", "test").ok(t)
		for limit := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			var list struct{ Data []struct{ ID string } }
			if err := json.Unmarshal([]byte(s.send("GET", s.url+"/v1/models", nil)), &list); err != nil {
				t.Fatal(err)
			}
			if len(list.Data) > 1 && list.Data[1].ID == id {
				break
			}
			if time.Now().After(limit) {
				t.Fatalf("%s does not serve: %+v", id, list)
			}
		}
	}
}

// A server that is told to stop ends its streams first.
func TestServeEndsItsStreams(t *testing.T) {
	model := smallModel(t, tandem.PolicyModel, 7, func(m *checkpoint.Model) {
		m.Weights.Config.MaxPositionEmbeddings = 8192
		end := m.Weights.Config.EOS[0] * m.Weights.Config.HiddenSize
		clear(m.Weights.Output[end : end+m.Weights.Config.HiddenSize]) // never the likeliest
	})
	s := startServing(t, "--policy", model, "--chat-tokens", "8192", "--grace", "60s")
	client := s.client()
	stream := client.Chat.Completions.NewStreaming(t.Context(), openai.ChatCompletionNewParams{
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hello")}, Temperature: openai.Float(0), MaxTokens: openai.Int(4000),
		StreamOptions: openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)},
	})
	if !stream.Next() {
		t.Fatal(stream.Err())
	}
	s.stop()
	chunks, finish, usage := 1, "", int64(0)
	for stream.Next() {
		chunks++
		for _, c := range stream.Current().Choices {
			finish = c.FinishReason
		}
		usage = stream.Current().Usage.CompletionTokens
	}
	if stream.Err() != nil || finish != "length" || usage != 4000 {
		t.Errorf("after %d chunks: %q, %d tokens, %v", chunks, finish, usage, stream.Err())
	}
}

func TestServeChatUsage(t *testing.T) {
	for _, args := range [][]string{{"--chat-slots", "0"}, {"--chat-waiting", "0"}, {"--chat-tokens", "0"}, {"--chat-choices", "0"}, {"--chat-timeout", "0s"}, {"--grace=-1s"}} {
		if r := tandemRun(t, "", append([]string{"serve"}, args...)...); r.code != exitUsage {
			t.Errorf("%v: exit code %d, %s", args, r.code, r.stderr)
		}
	}
}

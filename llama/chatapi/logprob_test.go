package chatapi_test

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/openai/openai-go"

	"tandem"
	"tandem/llama/chat"
)

// Log-probabilities are those of the distribution that the tokens were drawn from, the likeliest tokens stand first, and
// what the tokens say is what the answer says, streamed or not, also where a stop text cuts it.
func TestLogProbs(t *testing.T) {
	folder := policy(t, "p1", 20, nil)
	p, err := chat.Open(t.Context(), folder, chat.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, folder, nil)
	client := s.client()
	cut := 0
	for i, a := range asks(30, 3) {
		a.sampling.TopP = 0
		params := a.params()
		params.Logprobs, params.TopLogprobs = openai.Bool(true), openai.Int(int64(i%4))
		want := expected(t, p, a)
		answer, err := client.Chat.Completions.New(t.Context(), params)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.stream(t.Context(), client, params)
		if err != nil {
			t.Fatal(err)
		}
		for n, c := range answer.Choices {
			named := c.Logprobs.Content
			if !slices.EqualFunc(named, got.logprobs[n], func(a, b openai.ChatCompletionTokenLogprob) bool { return a.RawJSON() == b.RawJSON() }) {
				t.Errorf("request %d: whole %v, streamed %v", i, named, got.logprobs[n])
			}
			checkNamed(t, p, a, want[n], named, int(params.TopLogprobs.Value))
			checkSaid(t, p, want[n], named)
			if stop := want[n].Tokens[len(want[n].Tokens)-1]; want[n].Finish == tandem.FinishStop && !slices.Contains(p.Template.Stops(), stop) && len(named) < len(want[n].Tokens) {
				cut++
			}
		}
	}
	if cut == 0 {
		t.Error("no stop text cut tokens off: the test does not cover it")
	}
}

// checkSaid holds what named tokens say against the answer: they are its tokens up to the one that shows the last of it.
func checkSaid(t *testing.T, p *chat.Policy, want tandem.Completion, named []openai.ChatCompletionTokenLogprob) {
	t.Helper()
	for i, token := range named {
		var says []byte
		for _, b := range token.Bytes {
			says = append(says, byte(b))
		}
		if bytes := p.Tokenizer.Bytes(want.Tokens[i]); string(says) != string(bytes) || token.Token != strings.ToValidUTF8(string(bytes), "\uFFFD") {
			t.Errorf("token %d says %q, and %q in bytes; want %q", i, token.Token, says, bytes)
		}
	}
	n := len(named)
	if decoded := p.Tokenizer.Decode(want.Tokens[:n]); !strings.HasPrefix(decoded, want.Text) || n > 0 && want.Finish == tandem.FinishStop && n < len(want.Tokens)-1 && len(p.Tokenizer.Decode(want.Tokens[:n-1])) > len(want.Text) {
		t.Errorf("the answer %q has the tokens of %q", want.Text, decoded)
	}
}

// checkNamed holds named tokens against those that the policy samples, and against its pass over them.
func checkNamed(t *testing.T, p *chat.Policy, a ask, want tandem.Completion, named []openai.ChatCompletionTokenLogprob, top int) {
	t.Helper()
	prompt, _, err := p.Prompt(t.Context(), tandem.GenerateRequest{Messages: a.dialogue, Sampling: a.sampling})
	if err != nil {
		t.Fatal(err)
	}
	for i, token := range named {
		if math.Abs(token.Logprob-float64(want.LogProbs[i])) > 1e-6 {
			t.Errorf("token %d has %g, want %g", i, token.Logprob, want.LogProbs[i])
		}
		if len(token.TopLogprobs) != top {
			t.Fatalf("%d likeliest tokens, want %d", len(token.TopLogprobs), top)
		}
		for k, other := range token.TopLogprobs {
			if k > 0 && other.Logprob > token.TopLogprobs[k-1].Logprob {
				t.Errorf("the likeliest tokens are not in order: %v", token.TopLogprobs)
			}
			if a.sampling.Temperature == 0 && k == 0 && (other.Token != token.Token || other.Logprob != token.Logprob) {
				t.Errorf("the greedy token is %v, the likeliest %v", token, other)
			}
		}
	}
	if a.sampling.Temperature != 0 && a.sampling.Temperature != 1 {
		return
	}
	logprobs, err := p.LogProbs(t.Context(), [][]int32{slices.Concat(prompt, want.Tokens)})
	if err != nil {
		t.Fatal(err)
	}
	for i, token := range named {
		if a.sampling.Temperature == 0 && math.Abs(token.Logprob-float64(logprobs[0][len(prompt)+i])) > 1e-5 {
			t.Errorf("token %d has %g, the model gives it %g", i, token.Logprob, logprobs[0][len(prompt)+i])
		}
	}
}

// Where a temperature near 0 leaves other tokens no probability, the answer is JSON all the same.
func TestLogProbsNearZero(t *testing.T) {
	s := newServer(t, policy(t, "p1", 21, nil), nil)
	for _, temperature := range []string{"0", "1e-6", "1e-30", "5e-324"} {
		w := s.post(t.Context(), `{`+hello+`,"temperature":`+temperature+`,"max_tokens":5,"logprobs":true,"top_logprobs":20}`)
		var answer struct {
			Choices []struct {
				LogProbs struct {
					Content []struct {
						Top []struct{ LogProb float64 } `json:"top_logprobs"`
					}
				}
			}
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || len(answer.Choices) != 1 || len(answer.Choices[0].LogProbs.Content) != 5 {
			t.Fatalf("temperature %s: %d %s, %v", temperature, w.Code, w.Body, err)
		}
		for _, token := range answer.Choices[0].LogProbs.Content {
			if last := token.Top[19].LogProb; !(last >= -9999 && last <= 0) {
				t.Errorf("temperature %s: %g", temperature, last)
			}
		}
	}
}

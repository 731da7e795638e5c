package main

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tandem/internal/web"
	"tandem/llama/chat"
	"tandem/llama/chatapi"
	"tandem/store"
)

// chatFlags say which policy serves, and how much of it may be asked at once.
type chatFlags struct {
	Policy      string        `help:"Folder of the policy that answers chat requests, or a .bin of llama2.c with its tokenizer beside it (default: the promoted policy of the database, also those promoted later)." placeholder:"DIR" group:"chat"`
	ChatSlots   int           `default:"32" help:"Answers that are sampled together (default: 32)." placeholder:"N" group:"chat"`
	ChatWaiting int           `default:"256" help:"Answers that wait for a slot at most; more are refused with 429 (default: 256)." placeholder:"N" group:"chat"`
	ChatTokens  int           `default:"4096" help:"Tokens of an answer at most (default: 4096)." placeholder:"N" group:"chat"`
	ChatChoices int           `default:"16" help:"Answers to one request at most, its parameter n (default: 16)." placeholder:"N" group:"chat"`
	ChatTimeout time.Duration `default:"5m" help:"How long a request may take, from its arrival to the end of its answer (default: 5m)." placeholder:"TIME" group:"chat"`
}

// check refuses sizes at which nobody would get an answer.
func (f chatFlags) check() error {
	if f.ChatTokens < 1 || f.ChatChoices < 1 || f.ChatTimeout <= 0 {
		return fmt.Errorf("--chat-tokens is %d, --chat-choices %d and --chat-timeout %v: all are more than 0", f.ChatTokens, f.ChatChoices, f.ChatTimeout)
	}
	return f.batch().Validate()
}

func (f chatFlags) batch() chatapi.BatchConfig {
	return chatapi.BatchConfig{Slots: f.ChatSlots, Waiting: f.ChatWaiting}
}

// open makes the chat API, with the policy of the flags or else the one that is promoted in s, as soon as there is one.
func (f chatFlags) open(ctx context.Context, w *world, s *store.Store, open chat.Config, registry prometheus.Registerer) (served, error) {
	metrics, err := chatapi.NewMetrics(registry)
	if err != nil {
		return served{}, err
	}
	serving, err := chatapi.NewServing(chatapi.ServingConfig{Batch: f.batch(), Open: open, Metrics: metrics})
	if err != nil {
		return served{}, err
	}
	out := served{register: func(api web.API) error {
		return chatapi.Register(api, chatapi.Config{Serving: serving, Metrics: metrics, MaxTokens: f.ChatTokens, MaxChoices: f.ChatChoices, Timeout: f.ChatTimeout, Log: w.log})
	}, wait: serving.Wait}
	if f.Policy == "" {
		out.watch = func(ctx context.Context) {
			serving.Watch(ctx, chatapi.WatchConfig{Promotions: s, Log: w.log})
		}
		return out, nil
	}
	policy, err := serving.Open(ctx, modelPath(f.Policy))
	if err == nil {
		serving.Use(policy)
	}
	return out, err
}

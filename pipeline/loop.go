package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tandem"
	"tandem/llama/train"
	"tandem/ppo"
	"tandem/rejection"
	"tandem/rewardmodel"
	"tandem/store"
)

// Loop runs rounds on a store's queue. The stages themselves are done by workers with [Studio.Handlers],
// in this process or others.
type Loop struct {
	Store *store.Store
	Queue *Queue
	Log   *slog.Logger
	// Annotators judge what a round collects; nil where comparisons come from imports alone.
	Annotators Annotators
	// Progress, if not nil, is told how many units of a stage are done.
	Progress func(round int, stage tandem.Stage, done, total int)
}

// Annotators have the tasks of a project judged, by people who take their time or by simulated ones.
type Annotators interface {
	// Annotate returns when every task of the project has its judgments.
	Annotate(ctx context.Context, project string) error
}

// Recipe is how a round's stages are configured.
type Recipe struct {
	// Seed of what the round does beside its stages: sampling answers to compare, drawing lots.
	Seed uint64 `json:"seed"`
	// CollectTemperatures of the newest and of the other variant whose answers are compared.
	CollectTemperatures [2]float64 `json:"collect_temperatures"`
	// PairsPerPrompt is how many pairs of answers are compared for each prompt.
	PairsPerPrompt int `json:"pairs_per_prompt"`
	// Helpfulness says how the helpfulness model is fitted.
	Helpfulness rewardmodel.Config `json:"helpfulness"`
	// Safety says how the safety model is fitted.
	Safety rewardmodel.Config `json:"safety"`
	// Members, if more than 1, makes each reward model an ensemble of so many.
	Members int `json:"members,omitempty"`
	// SecondShare of the openings to learn from goes to a second pair of reward models instead, by tandem.ForSecondJudges.
	// Nothing is chosen by what that pair says of it but whether a new version is promoted; beside that it watches PPO. At 0
	// there is no second pair, and nothing is promoted.
	SecondShare float64 `json:"second_share"`

	// Rejection says how many answers are sampled of which the best is kept, and how.
	Rejection rejection.Config `json:"rejection"`
	// Archive says which best answers of earlier rounds a version is fine-tuned on.
	Archive rejection.Archive `json:"archive"`
	// ShardPrompts is the number of prompts in one shard of sampling.
	ShardPrompts int `json:"shard_prompts"`
	// TargetWeight is how often the best answers stand beside the demonstrations in fine-tuning.
	TargetWeight int `json:"target_weight"`
	// FineTune says how the base model is fitted to them.
	FineTune train.Config `json:"fine_tune"`
	// PPO tunes the result further, in the rounds that have it.
	PPO ppo.Config `json:"ppo"`
	// Trial says when a version is promoted.
	Trial Trial `json:"trial"`
}

// under does work that stands under a round's row, which is running while this process says so, and then says how the work
// ended. Whoever cancels the round stops it.
func (l *Loop) under(ctx context.Context, number int, do func(context.Context) error) error {
	if err := l.Store.SetRoundStatus(ctx, number, tandem.RoundRunning); err != nil {
		return err
	}
	going, stop := context.WithCancelCause(ctx)
	var beating sync.WaitGroup
	beating.Go(func() { l.beat(going, number, stop) })
	err := do(going)
	cause := context.Cause(going)
	stop(nil)
	beating.Wait()
	status := tandem.RoundDone
	switch {
	case errors.Is(cause, store.ErrCancelled):
		return cause
	case ctx.Err() != nil:
		return err // for whoever takes it up: it is interrupted once it was silent for a while
	case err != nil:
		status = tandem.RoundFailed
	}
	if statusErr := l.Store.SetRoundStatus(ctx, number, status); err == nil {
		err = statusErr
	}
	return err
}

// beatInterval is the time between two words of a round that it goes on, and at most until it hears that it was cancelled.
const beatInterval = time.Second

// beat says that a round goes on until ctx ends, and stops it when somebody cancels it, whatever it waits for. A beat that
// fails is made up for by the next.
func (l *Loop) beat(ctx context.Context, number int, stop context.CancelCauseFunc) {
	tick := time.NewTicker(beatInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := l.Store.KeepRound(ctx, number); errors.Is(err, store.ErrCancelled) {
			stop(fmt.Errorf("%w; the same command with --resume goes on with it", err))
		}
	}
}

// stage plans a stage's units and waits until workers have done them.
func (l *Loop) stage(ctx context.Context, round int, stage tandem.Stage, specs ...any) ([]store.UnitState, error) {
	if err := l.Queue.Plan(ctx, round, stage, specs...); err != nil {
		return nil, err
	}
	return l.Queue.Await(ctx, round, stage, func(done, total int) {
		if l.Progress != nil {
			l.Progress(round, stage, done, total)
		}
	})
}

// each is the results of a stage's units.
func each[T any](units []store.UnitState, err error) ([]T, error) {
	if err != nil {
		return nil, err
	}
	results := make([]T, len(units))
	for i, u := range units {
		if err := json.Unmarshal(u.Result, &results[i]); err != nil {
			return nil, fmt.Errorf("the result of %s, shard %d: %w", u.Stage, u.Shard, err)
		}
	}
	return results, nil
}

// one is the result of a stage of one unit.
func one[T any](units []store.UnitState, err error) (result T, _ error) {
	results, err := each[T](units, err)
	if err != nil {
		return result, err
	}
	if len(results) != 1 {
		return result, tandem.Errorf(tandem.Internal, "pipeline", "a stage of one unit has %d", len(results))
	}
	return results[0], nil
}

// Begin makes the models that rounds start from: a base model, unless there is one, and the first chat
// model. round is the row that they stand under.
func (l *Loop) Begin(ctx context.Context, round int, base *Pretrain, chat FineTune) (Version, error) {
	var model tandem.Model
	err := l.under(ctx, round, func(ctx context.Context) (err error) {
		if base != nil {
			if _, err := l.stage(ctx, round, tandem.StagePretrain, *base); err != nil {
				return fmt.Errorf("base model: %w", err)
			}
		}
		if model, err = one[tandem.Model](l.stage(ctx, round, tandem.StageSFT, chat)); err != nil {
			return fmt.Errorf("chat model: %w", err)
		}
		return nil
	})
	return Version{chat.Name, model}, err
}

// rows finds or makes the rows of rounds, by name, in the order in which they run.
func (l *Loop) rows(ctx context.Context, names ...string) (map[string]int, error) {
	there, err := l.Store.Rounds(ctx)
	if err != nil {
		return nil, err
	}
	rows := make(map[string]int)
	for _, r := range there {
		rows[r.Name] = r.Number
	}
	for _, name := range names {
		if _, ok := rows[name]; ok {
			continue
		}
		r, err := l.Store.CreateRound(ctx, name)
		if err != nil {
			return nil, err
		}
		rows[name] = r.Number
	}
	return rows, nil
}

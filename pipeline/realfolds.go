package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"

	"tandem"
	"tandem/evaluation"
	"tandem/llama/chat"
	"tandem/statistics"
)

// Fold specifies one fold of a cross-validation: a reward model fitted to the pairs of the other folds, and
// the pairs that it is measured on.
type Fold struct {
	Reward
	// Pairs are files of the fold's comparisons, by aspect: its own, and the other's for the cross table.
	Pairs map[tandem.Aspect]string `json:"pairs"`
}

// FoldScores are the raw scalars of a fold's pairs, in the order of their file.
type FoldScores struct {
	Chosen   []float64 `json:"chosen"`
	Rejected []float64 `json:"rejected"`
	Cut      int       `json:"cut"` // pairs with a dialogue that lost its beginning
}

// Fold fits the reward model of a fold and scores the fold's pairs.
func (s *Studio) Fold(ctx context.Context, spec Fold) (map[tandem.Aspect]FoldScores, error) {
	if _, err := s.Reward(ctx, spec.Reward, true); err != nil {
		return nil, err
	}
	model, err := chat.OpenClassifier(ctx, spec.Out, s.chatConfig())
	if err != nil {
		return nil, err
	}
	scores := make(map[tandem.Aspect]FoldScores)
	for aspect, path := range spec.Pairs {
		comparisons, err := readLines[tandem.Comparison](ctx, path)
		if err != nil {
			return nil, err
		}
		if scores[aspect], err = scorePairs(ctx, model, comparisons); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return scores, nil
}

// scorePairs scores a fold's pairs and counts those that do not fit the context.
func scorePairs(ctx context.Context, model *chat.Classifier, comparisons []tandem.Comparison) (FoldScores, error) {
	var f FoldScores
	most := model.Weights.Config.MaxPositionEmbeddings
	for _, c := range comparisons {
		chosen, rejected := c.Dialogues()
		cut := false
		for _, d := range []tandem.Dialogue{chosen, rejected} {
			e, err := model.Template.Scored(ctx, d, most)
			if err != nil {
				return f, err
			}
			cut = cut || e.Cut > 0
		}
		if cut {
			f.Cut++
		}
	}
	var err error
	f.Chosen, f.Rejected, err = scoreSides(ctx, model, comparisons)
	return f, err
}

// Validated is how well a reward model tells the chosen answer of an aspect's pairs, by cross-validation over
// all of them, beside what simpler rules reach on the same folds.
type Validated struct {
	Pairs    int `json:"pairs"`
	Openings int `json:"openings"`
	Cut      int `json:"cut"` // pairs with a dialogue that lost its beginning to the context
	// Model is the accuracy of the aspect's own reward model, Other that of the other aspect's on these pairs.
	Model statistics.Interval `json:"model"`
	Other statistics.Interval `json:"other"`
	// AheadOfOther is Model minus Other, paired.
	AheadOfOther statistics.Interval `json:"ahead_of_other"`
	ByFold       []float64           `json:"by_fold"`
	Rules        []Rule              `json:"rules"`
}

// Rule is something that a reward model has to beat.
type Rule struct {
	Kind     RuleKind            `json:"kind"`
	Name     string              `json:"name"` // "the longer answer"
	Accuracy statistics.Interval `json:"accuracy"`
	// Ahead is the reward model's accuracy minus the rule's, with the paired interval.
	Ahead statistics.Interval `json:"ahead"`
}

// RuleKind is what a rule goes by.
type RuleKind string

const (
	Chance     RuleKind = "chance"
	Length     RuleKind = "length"
	BagOfWords RuleKind = "bag of words"
)

// crossValidate fits both reward models once for each fold, with the loop's mixes and configuration, and
// measures what they say of the fold's pairs. An opening is in the same fold in both kinds of data.
func (r Real) crossValidate(ctx context.Context, round int, pairs map[tandem.Aspect][]tandem.Comparison) (map[tandem.Aspect]Validated, error) {
	folds, err := r.writeFolds(pairs)
	if err != nil {
		return nil, err
	}
	if err := r.startFolds(ctx, round, folds); err != nil {
		return nil, err
	}
	var specs []any
	for _, f := range folds {
		for _, aspect := range aspects() {
			config := r.Config.Recipe.Helpfulness
			if aspect == tandem.Safety {
				config = r.Config.Recipe.Safety
			}
			specs = append(specs, Evaluation{Fold: &Fold{Pairs: f.pairs, Reward: Reward{
				Model: f.start, Data: f.comparisons, Round: round, Config: config, WithoutPromptHead: true,
				Out: filepath.Join(f.folder, string(aspect)), Name: fmt.Sprintf("%s, without fold %d", aspect, f.number),
			}}})
		}
	}
	units, err := r.Loop.stage(ctx, round, tandem.StageEvaluate, specs...)
	if err != nil {
		return nil, err
	}
	// What the model of one aspect says of the pairs of another, by pair.
	said := make(map[[2]tandem.Aspect]*FoldScores)
	for i, unit := range units {
		var scores map[tandem.Aspect]FoldScores
		if err := json.Unmarshal(unit.Result, &scores); err != nil {
			return nil, fmt.Errorf("fold %d: %w", i/2, err)
		}
		judge := aspects()[i%2]
		for _, aspect := range aspects() {
			key := [2]tandem.Aspect{judge, aspect}
			if said[key] == nil {
				n := len(pairs[aspect])
				said[key] = &FoldScores{Chosen: make([]float64, n), Rejected: make([]float64, n)}
			}
			at := folds[i/2].at[aspect]
			if len(scores[aspect].Chosen) != len(at) {
				return nil, tandem.Errorf(tandem.Internal, "pipeline.Real", "fold %d has %d pairs for %s and %d scores", i/2, len(at), aspect, len(scores[aspect].Chosen))
			}
			for j, p := range at {
				said[key].Chosen[p], said[key].Rejected[p] = scores[aspect].Chosen[j], scores[aspect].Rejected[j]
			}
			said[key].Cut += scores[aspect].Cut
		}
	}
	result := make(map[tandem.Aspect]Validated)
	for i, aspect := range aspects() {
		other := aspects()[1-i]
		valid, err := r.validity(aspect, pairs[aspect], said[[2]tandem.Aspect{aspect, aspect}], said[[2]tandem.Aspect{other, aspect}])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", aspect, err)
		}
		result[aspect] = valid
	}
	return result, nil
}

// fold is one fold's part of the data.
type fold struct {
	number         int
	folder         string
	at             map[tandem.Aspect][]int  // places of the fold's pairs
	pairs          map[tandem.Aspect]string // files of them
	comparisons    string                   // file of the other folds' pairs, which reward models' mixtures draw from
	demonstrations string                   // chosen sides of the other folds, where they are needed
	texts          string                   // both sides of the other folds, where they are needed
	start          string                   // folder of the model that reward models start from
}

// writeFolds divides all pairs, and writes what each fold's models learn from and are measured on.
func (r Real) writeFolds(pairs map[tandem.Aspect][]tandem.Comparison) ([]fold, error) {
	folds := make([]fold, r.Config.Folds)
	for n := range folds {
		f := &folds[n]
		f.number, f.folder = n+1, filepath.Join(r.Folder, "folds", fmt.Sprint(n+1))
		f.at, f.pairs = make(map[tandem.Aspect][]int), make(map[tandem.Aspect]string)
		var all []tandem.Comparison
		for _, aspect := range aspects() {
			var measured []tandem.Comparison
			for other, at := range evaluation.Folds(pairs[aspect], r.Config.Folds) {
				for _, i := range at {
					if other == n {
						measured = append(measured, pairs[aspect][i])
					} else {
						all = append(all, pairs[aspect][i])
					}
				}
				if other == n {
					f.at[aspect] = at
				}
			}
			f.pairs[aspect] = filepath.Join(f.folder, string(aspect)+"-measured.jsonl")
			if err := WriteLines(f.pairs[aspect], slices.Values(measured)); err != nil {
				return nil, err
			}
		}
		f.comparisons = filepath.Join(f.folder, "comparisons.jsonl")
		if err := WriteLines(f.comparisons, slices.Values(all)); err != nil {
			return nil, err
		}
		if r.Config.FoldsFromChat {
			f.demonstrations = filepath.Join(f.folder, "demonstrations.jsonl")
			if err := writeChosen(f.demonstrations, all); err != nil {
				return nil, err
			}
		}
		if r.Config.Pretrain != nil {
			f.texts = filepath.Join(f.folder, "texts.jsonl")
			if err := writeTexts(f.texts, all); err != nil {
				return nil, err
			}
		}
	}
	return folds, nil
}

// startFolds makes the models that each fold's reward models start from; none has seen the fold.
func (r Real) startFolds(ctx context.Context, round int, folds []fold) error {
	var pretrains, chats []any
	for i := range folds {
		f := &folds[i]
		f.start = r.Base
		if p := r.pretrain(f.folder, fmt.Sprintf("base without fold %d", f.number), f.texts); p != nil {
			pretrains, f.start = append(pretrains, *p), p.Out
		}
		if r.Config.FoldsFromChat {
			chat := FineTune{
				Model: f.start, Data: []string{f.demonstrations}, Stage: tandem.StageSFT, Config: r.Config.Recipe.FineTune,
				Out: filepath.Join(f.folder, "sft"), Name: fmt.Sprintf("SFT without fold %d", f.number),
			}
			chats, f.start = append(chats, chat), chat.Out
		}
	}
	if len(pretrains) > 0 {
		if _, err := r.Loop.stage(ctx, round, tandem.StagePretrain, pretrains...); err != nil {
			return err
		}
	}
	if len(chats) > 0 {
		if _, err := r.Loop.stage(ctx, round, tandem.StageSFT, chats...); err != nil {
			return err
		}
	}
	return nil
}

// validity measures what both models said of an aspect's pairs, and the rules.
func (r Real) validity(aspect tandem.Aspect, pairs []tandem.Comparison, own, other *FoldScores) (Validated, error) {
	v := evaluation.NewCrossValidation(pairs, r.Config.Recipe.Seed)
	valid := Validated{Pairs: len(pairs), Openings: v.Openings(), Cut: own.Cut}
	correct, err := evaluation.Correct(own.Chosen, own.Rejected)
	if err != nil {
		return valid, err
	}
	others, err := evaluation.Correct(other.Chosen, other.Rejected)
	if err != nil {
		return valid, err
	}
	if valid.Model, err = v.Accuracy(correct); err != nil {
		return valid, err
	}
	if valid.Other, err = v.Accuracy(others); err != nil {
		return valid, err
	}
	if valid.AheadOfOther, err = v.Ahead(correct, others); err != nil {
		return valid, err
	}
	for _, at := range evaluation.Folds(pairs, r.Config.Folds) {
		right := 0.0
		for _, i := range at {
			right += correct[i] / float64(max(len(at), 1))
		}
		valid.ByFold = append(valid.ByFold, right)
	}
	rules, err := r.rules(aspect, pairs)
	if err != nil {
		return valid, err
	}
	for _, rule := range rules {
		measured := Rule{Kind: rule.kind, Name: rule.name}
		if measured.Accuracy, err = v.Accuracy(rule.correct); err != nil {
			return valid, err
		}
		if measured.Ahead, err = v.Ahead(correct, rule.correct); err != nil {
			return valid, err
		}
		valid.Rules = append(valid.Rules, measured)
	}
	return valid, nil
}

// ruled is what a rule says of each pair.
type ruled struct {
	kind    RuleKind
	name    string
	correct []float64
}

// rules are chance, length and a bag of words. The side of the length rule is fixed beforehand: longer
// answers are preferred as helpful, shorter ones as harmless.
func (r Real) rules(aspect tandem.Aspect, pairs []tandem.Comparison) ([]ruled, error) {
	chance := make([]float64, len(pairs))
	for i := range chance {
		chance[i] = 0.5
	}
	length := ruled{Length, "the longer answer", evaluation.LongerWins(pairs)}
	if aspect == tandem.Safety {
		length.name = "the shorter answer"
		for i := range length.correct {
			length.correct[i] = 1 - length.correct[i]
		}
	}
	config := evaluation.DefaultBagOfWordsConfig()
	config.Folds = r.Config.Folds
	words, err := evaluation.BagOfWords(pairs, config)
	if err != nil {
		return nil, fmt.Errorf("bag of words: %w", err)
	}
	return []ruled{{Chance, "chance", chance}, length, {BagOfWords, "the bag of words", words}}, nil
}

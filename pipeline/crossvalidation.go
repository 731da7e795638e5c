package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"tandem"
	"tandem/dataset"
	"tandem/evaluation"
	"tandem/llama/chat"
	"tandem/llama/checkpoint"
	"tandem/llama/train"
	"tandem/rewardmodel"
)

// CrossValidation measures reward models of both kinds by all pairs that there are: each fold has models of
// its own, fitted to the pairs of the other folds, and is measured by them. What a fold is measured on has
// been seen by none of them, in whichever file it stands: not by the tokenizer and the base model, not by
// the chat model, not in a mixture's further sources.
type CrossValidation struct {
	Folder string // where all that it makes lies
	Pairs  map[tandem.Aspect][]tandem.Comparison
	// Base is the folder of the model that all start from: one that has not read the pairs. Not needed with
	// Config.Pretrain or Bases.
	Base string
	// Bases is the folder of an earlier cross-validation of the same pairs, whose base models are used again.
	Bases string
	// Read reads the mixtures' further sources (see Studio.Comparisons); not needed where there are none.
	Read   func(ctx context.Context, data string, format dataset.Format, aspect tandem.Aspect) ([]tandem.Comparison, error)
	Config CrossValidationConfig
}

// CrossValidationConfig says how the models of a fold are made.
type CrossValidationConfig struct {
	// Folds that the pairs are divided into, 2 or more.
	Folds int `json:"folds"`
	// Seed of the intervals.
	Seed        uint64             `json:"seed"`
	Helpfulness rewardmodel.Config `json:"helpfulness"`
	Safety      rewardmodel.Config `json:"safety"`
	// Pretrain, if not nil, makes a base model and its tokenizer of the other folds' dialogues. Texts, Format,
	// Rendered, Out and Name are filled in. With PretrainSources it reads the mixtures' further sources as well.
	Pretrain        *Pretrain `json:"pretrain,omitempty"`
	PretrainSources bool      `json:"pretrain_sources,omitempty"`
	// FromChat has reward models start from a chat model, fitted to the chosen sides of the other folds by
	// FineTune (section 3.2.2: the reward model knows what the chat model knows), and not from the base model.
	FromChat bool         `json:"from_chat,omitempty"`
	FineTune train.Config `json:"fine_tune"`
}

func (c CrossValidationConfig) reward(aspect tandem.Aspect) rewardmodel.Config {
	if aspect == tandem.Safety {
		return c.Safety
	}
	return c.Helpfulness
}

// Validate reports the first thing that makes no sense.
func (c CrossValidation) Validate() error {
	const op = "pipeline.CrossValidation"
	starts := 0
	for _, there := range []bool{c.Base != "", c.Bases != "", c.Config.Pretrain != nil} {
		if there {
			starts++
		}
	}
	switch {
	case c.Config.Folds < 2:
		return tandem.Errorf(tandem.Invalid, op, "there are %d folds, not 2 or more", c.Config.Folds)
	case starts != 1:
		return tandem.Errorf(tandem.Invalid, op, "models start from one of these: a base model that is there, base models of an earlier run, new ones")
	}
	for _, aspect := range aspects() {
		if len(c.Pairs[aspect]) == 0 {
			return tandem.Errorf(tandem.Invalid, op, "there are no comparisons for %s", aspect)
		}
		config := c.Config.reward(aspect)
		if config.Aspect != aspect {
			return tandem.Errorf(tandem.Invalid, op, "the %s model is configured for %s", aspect, config.Aspect)
		}
		if err := config.Validate(); err != nil {
			return err
		}
		if len(config.Mixture.Sources) > 0 && c.Read == nil {
			return tandem.Errorf(tandem.Invalid, op, "nothing reads the further sources of the %s model's mixture", aspect)
		}
	}
	return nil
}

// Fold specifies one fold of a cross-validation: a reward model fitted to the pairs of the other folds, and
// the pairs that it is measured on.
type Fold struct {
	Reward
	// Pairs are files of the fold's comparisons, by aspect: its own, and the other's for the cross table.
	Pairs map[tandem.Aspect]string `json:"pairs"`
}

// FoldScores are the raw scalars of a fold's pairs, in the order of their file.
type FoldScores struct {
	PairScores
	Cut int `json:"cut"` // pairs with a dialogue that lost its beginning
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

// Run fits both reward models once for each fold and measures what they say of the fold's pairs. An opening
// is in the same fold in both kinds of data. Run again after an interruption, it goes on where it stood.
func (c CrossValidation) Run(ctx context.Context, do Units) (map[tandem.Aspect]Validated, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	folds, err := c.writeFolds(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.startFolds(ctx, do, folds); err != nil {
		return nil, err
	}
	var specs []any
	for _, f := range folds {
		for _, aspect := range aspects() {
			config := c.Config.reward(aspect)
			config.Mixture = f.mixtures[aspect]
			specs = append(specs, Evaluation{Fold: &Fold{Pairs: f.pairs, Reward: Reward{
				Model: f.start, Data: f.comparisons, Config: config, WithoutPromptHead: true,
				Out: filepath.Join(f.folder, string(aspect)), Name: fmt.Sprintf("%s, without fold %d", aspect, f.number),
			}}})
		}
	}
	results, err := do(ctx, tandem.StageEvaluate, specs...)
	if err != nil {
		return nil, err
	}
	// What the model of one aspect says of the pairs of another, by pair.
	said := make(map[[2]tandem.Aspect]*FoldScores)
	for i, result := range results {
		var scores map[tandem.Aspect]FoldScores
		if err := json.Unmarshal(result, &scores); err != nil {
			return nil, fmt.Errorf("fold %d: %w", i/2, err)
		}
		judge := aspects()[i%2]
		for _, aspect := range aspects() {
			key := [2]tandem.Aspect{judge, aspect}
			if said[key] == nil {
				n := len(c.Pairs[aspect])
				said[key] = &FoldScores{PairScores: PairScores{Chosen: make([]float64, n), Rejected: make([]float64, n)}}
			}
			at := folds[i/2].at[aspect]
			if len(scores[aspect].Chosen) != len(at) {
				return nil, tandem.Errorf(tandem.Internal, "pipeline.CrossValidation", "fold %d has %d pairs for %s and %d scores", i/2, len(at), aspect, len(scores[aspect].Chosen))
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
		valid, err := c.validity(aspect, said[[2]tandem.Aspect{aspect, aspect}], said[[2]tandem.Aspect{other, aspect}])
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
	mixtures       map[tandem.Aspect]dataset.Mixture
	start          string // folder of the model that reward models start from
}

// writeFolds divides all pairs, and writes what each fold's models learn from and are measured on.
func (c CrossValidation) writeFolds(ctx context.Context) ([]fold, error) {
	sources, err := c.readSources(ctx)
	if err != nil {
		return nil, err
	}
	folds := make([]fold, c.Config.Folds)
	for n := range folds {
		f := &folds[n]
		f.number, f.folder = n+1, filepath.Join(c.Folder, "folds", fmt.Sprint(n+1))
		f.at, f.pairs = make(map[tandem.Aspect][]int), make(map[tandem.Aspect]string)
		var all []tandem.Comparison
		openings := make(map[string]bool) // that the fold is measured on
		for _, aspect := range aspects() {
			var measured []tandem.Comparison
			for other, at := range evaluation.Folds(c.Pairs[aspect], c.Config.Folds) {
				for _, i := range at {
					p := c.Pairs[aspect][i]
					if other == n {
						measured, openings[p.Prompt.Messages.Opening()] = append(measured, p), true
					} else {
						all = append(all, p)
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
		if c.Config.FromChat {
			f.demonstrations = filepath.Join(f.folder, "demonstrations.jsonl")
			if err := writeChosen(f.demonstrations, all); err != nil {
				return nil, err
			}
		}
		more, err := c.mix(f, sources, openings)
		if err != nil {
			return nil, err
		}
		if c.Config.PretrainSources {
			all = append(all, more...)
		}
		if c.Config.Pretrain != nil || c.Bases != "" {
			f.texts = filepath.Join(f.folder, "texts.jsonl")
			if err := writeTexts(f.texts, all); err != nil {
				return nil, err
			}
		}
	}
	return folds, nil
}

// source is a source of a mixture that lies elsewhere.
type source struct {
	dataset.Source
	comparisons []tandem.Comparison
}

// readSources reads the further sources of both mixtures, by aspect of the model and name.
func (c CrossValidation) readSources(ctx context.Context) (map[tandem.Aspect]map[string]source, error) {
	sources := make(map[tandem.Aspect]map[string]source)
	for _, model := range aspects() {
		sources[model] = make(map[string]source)
		for name, from := range c.Config.reward(model).Mixture.Sources {
			aspect := from.Aspect
			if aspect == "" {
				aspect = model
			}
			comparisons, err := c.Read(ctx, from.Data, from.Format, aspect)
			if err != nil {
				return nil, fmt.Errorf("the mixture's source %q: %w", name, err)
			}
			sources[model][name] = source{from, comparisons}
		}
	}
	return sources, nil
}

// mix writes what a fold's models may learn of the mixtures' further sources, all but the openings that the
// fold is measured on, has its mixtures draw from that, and returns it.
func (c CrossValidation) mix(f *fold, sources map[tandem.Aspect]map[string]source, measured map[string]bool) (all []tandem.Comparison, err error) {
	f.mixtures = make(map[tandem.Aspect]dataset.Mixture)
	for _, model := range aspects() {
		mixture := c.Config.reward(model).Mixture
		mixture.Sources = maps.Clone(mixture.Sources)
		for i, name := range slices.Sorted(maps.Keys(sources[model])) {
			from := sources[model][name]
			var learnt []tandem.Comparison
			for _, p := range from.comparisons {
				if !measured[p.Prompt.Messages.Opening()] {
					learnt = append(learnt, p)
				}
			}
			path := filepath.Join(f.folder, fmt.Sprintf("%s-source-%d.jsonl", model, i+1))
			if err := WriteLines(path, slices.Values(learnt)); err != nil {
				return nil, err
			}
			mixture.Sources[name] = dataset.Source{Data: path, Aspect: from.Aspect}
			all = append(all, learnt...)
		}
		f.mixtures[model] = mixture
	}
	return all, nil
}

// startFolds makes the models that each fold's reward models start from; none has seen the fold.
func (c CrossValidation) startFolds(ctx context.Context, do Units, folds []fold) error {
	var pretrains, chats []any
	for i := range folds {
		f := &folds[i]
		f.start = c.Base
		switch {
		case c.Bases != "":
			f.start = filepath.Join(c.Bases, "folds", fmt.Sprint(f.number), "base")
			if err := readBy(ctx, f.start, f.texts); err != nil {
				return err
			}
		case c.Config.Pretrain != nil:
			p := c.Config.Pretrain.of(f.folder, fmt.Sprintf("base without fold %d", f.number), f.texts)
			pretrains, f.start = append(pretrains, p), p.Out
		}
		if c.Config.FromChat {
			chat := FineTune{
				Model: f.start, Data: []string{f.demonstrations}, Stage: tandem.StageSFT, Config: c.Config.FineTune,
				Out: filepath.Join(f.folder, "sft"), Name: fmt.Sprintf("SFT without fold %d", f.number),
			}
			chats, f.start = append(chats, chat), chat.Out
		}
	}
	if len(pretrains) > 0 {
		if _, err := do(ctx, tandem.StagePretrain, pretrains...); err != nil {
			return err
		}
	}
	if len(chats) > 0 {
		if _, err := do(ctx, tandem.StageSFT, chats...); err != nil {
			return err
		}
	}
	return nil
}

// readBy makes sure that a base model has read those texts and no others.
func readBy(ctx context.Context, base, texts string) error {
	lineage, err := checkpoint.ReadLineage(ctx, base)
	if err != nil {
		return err
	}
	hash, err := HashFiles(texts)
	if err != nil {
		return err
	}
	if lineage == nil || lineage.Snapshot != hash {
		return tandem.Errorf(tandem.Conflict, "pipeline.CrossValidation", "%s has not read %s and nothing else, so it may know what the fold is measured on: make new base models", base, texts)
	}
	return nil
}

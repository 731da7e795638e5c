package pipeline

import (
	"context"
	"path/filepath"
	"slices"

	"tandem"
	"tandem/store"
)

// comparisonFiles names the files that reward models are fitted to and measured on.
type comparisonFiles struct {
	pairs                             []pairOfModels
	heldOutHelpfulness, heldOutSafety string
	n                                 int // comparisons that the first pair learns from
}

// pairOfModels is a pair of reward models to fit.
type pairOfModels struct {
	name, folder string
	comparisons  string // file of those of both aspects, which each model's mixture draws from
}

// comparisons writes the training comparisons of each pair of reward models, and the held-out ones of each aspect.
func (l *Loop) comparisons(ctx context.Context, r Round) (files comparisonFiles, err error) {
	snapshot, err := l.freeze(ctx, r)
	if err != nil {
		return files, err
	}
	read := func(aspect tandem.Aspect, split store.Split) ([]tandem.Comparison, error) {
		return collect(l.Store.Comparisons(ctx, store.ComparisonQuery{Aspect: aspect, Split: split, Snapshot: snapshot}))
	}
	var first, second []tandem.Comparison
	for _, part := range []struct {
		aspect  tandem.Aspect
		heldOut *string
	}{{tandem.Helpfulness, &files.heldOutHelpfulness}, {tandem.Safety, &files.heldOutSafety}} {
		judged, err := read(part.aspect, store.TrainData)
		if err != nil {
			return files, err
		}
		if r.Control == Shuffled {
			judged = drawLots(judged, r.Recipe.Seed)
		}
		forFirst, forSecond := splitForSecond(judged, r.Recipe.SecondShare)
		if r.Recipe.SecondShare > 0 && len(judged) > 0 && (len(forFirst) == 0 || len(forSecond) == 0) {
			return files, tandem.Errorf(tandem.Invalid, "pipeline.Round", "of %d comparisons of %s, second_share %g leaves %d to the reward models and %d to the second pair of them, which is too few: collect more, or set it to 0 and promote nothing",
				len(judged), part.aspect, r.Recipe.SecondShare, len(forFirst), len(forSecond))
		}
		first, second = append(first, forFirst...), append(second, forSecond...)
		heldOut, err := read(part.aspect, store.HeldOutData)
		if err != nil {
			return files, err
		}
		if len(heldOut) == 0 {
			continue
		}
		*part.heldOut = filepath.Join(r.Folder, string(part.aspect)+"-held-out.jsonl")
		if err := WriteLines(*part.heldOut, slices.Values(heldOut)); err != nil {
			return files, err
		}
	}
	pair := pairOfModels{r.Name, r.Folder, filepath.Join(r.Folder, "comparisons.jsonl")}
	files.pairs, files.n = []pairOfModels{pair}, len(first)
	if err := WriteLines(pair.comparisons, slices.Values(first)); err != nil || len(second) == 0 || r.Control != NoControl {
		return files, err
	}
	pair = pairOfModels{r.Name + " second", filepath.Join(r.Folder, secondName), filepath.Join(r.Folder, secondName, "comparisons.jsonl")}
	files.pairs = append(files.pairs, pair)
	return files, WriteLines(pair.comparisons, slices.Values(second))
}

// secondName is the folder of a round's second pair of reward models.
const secondName = "second"

// splitForSecond divides comparisons into those of the first pair of reward models and those of the second.
func splitForSecond(all []tandem.Comparison, share float64) (first, second []tandem.Comparison) {
	for _, c := range all {
		if tandem.ForSecondJudges(c.Prompt.Messages.Opening(), share) {
			second = append(second, c)
		} else {
			first = append(first, c)
		}
	}
	return first, second
}

// watched reports whether a second pair of reward models has evaluations of PPO to watch.
func (r Round) watched(ctx context.Context, second *Judges) (bool, error) {
	if second == nil || r.Recipe.PPO.EvaluateEvery == 0 {
		return false, nil
	}
	prompts, err := readPrompts(ctx, r.Prompts.Improve)
	return slices.ContainsFunc(prompts, func(p tandem.Prompt) bool { return p.HeldOut }), err
}

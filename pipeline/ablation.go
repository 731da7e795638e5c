package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tandem"
	"tandem/dataset"
	"tandem/llama/chat"
	"tandem/rewardmodel"
)

// Ablations specifies reward models that differ in one thing from a common configuration, each trained with several seeds,
// to see what that thing is worth: the margin (table 28), the safety labels' loss (table 29), starting from the policy
// (section 3.2.2) and the number of pairs (figure 6). Models and scores that are there are used again.
type Ablations struct {
	Model string                         `json:"model"` // the chat model's folder that reward models start from
	Data  map[tandem.Aspect]AblationData `json:"data"`
	// Config is the common configuration, of each aspect that is looked at.
	Config map[tandem.Aspect]rewardmodel.Config `json:"config"`
	// CommonPairs is how many of their own training comparisons, the first ones, models learn from that do not differ
	// in that number; the other aspect's shrink with them. It keeps small what many models are trained for. Defaults
	// to all of them.
	CommonPairs int `json:"common_pairs,omitempty"`
	// Margins and AuxiliaryWeights (of safety models) are what is tried; others are compared with the first of them.
	Margins          []rewardmodel.MarginTable `json:"margins,omitempty"`
	AuxiliaryWeights []float64                 `json:"auxiliary_weights,omitempty"`
	// FromScratch trains models from random weights too.
	FromScratch bool `json:"from_scratch,omitempty"`
	// Shares of both aspects' training comparisons are learnt from, beside all of them.
	Shares []float64 `json:"shares,omitempty"`
	Seeds  int       `json:"seeds"` // the configuration's seed is the first
	Folder string    `json:"folder"`
}

// AblationData are the comparisons of one aspect.
type AblationData struct {
	Training string         `json:"training"` // see Studio.Comparisons
	HeldOut  string         `json:"held_out,omitempty"`
	Format   dataset.Format `json:"format,omitempty"`
	// HeldOutShare of openings is measured on where HeldOut is empty, see tandem.HeldOut.
	HeldOutShare float64 `json:"held_out_share,omitempty"`
	// Reference, if not nil, is what somebody who knows better made of each comparison of HeldOut: 1, ½ or 0. It is shown
	// beside the models, and nothing learns from it.
	Reference []float64 `json:"-"`
}

// Validate reports the first thing that could not be compared.
func (a Ablations) Validate() error {
	const op = "pipeline.Ablations"
	switch {
	case a.Seeds < 1:
		return tandem.Errorf(tandem.Invalid, op, "%d seeds train nothing", a.Seeds)
	case len(a.Config) == 0:
		return tandem.Errorf(tandem.Invalid, op, "no aspect is looked at")
	case a.CommonPairs < 0:
		return tandem.Errorf(tandem.Invalid, op, "models cannot learn from %d pairs", a.CommonPairs)
	case slices.ContainsFunc(a.Shares, func(x float64) bool { return !(x > 0 && x <= 1) }):
		return tandem.Errorf(tandem.Invalid, op, "shares are %v, not all above 0 and up to 1", a.Shares)
	case slices.ContainsFunc(a.AuxiliaryWeights, func(w float64) bool { return !(w >= 0) }):
		return tandem.Errorf(tandem.Invalid, op, "auxiliary weights are %v, not all 0 or more", a.AuxiliaryWeights)
	}
	for _, m := range a.Margins {
		if err := m.Validate(); err != nil {
			return err
		}
	}
	for aspect, c := range a.Config {
		if c.Aspect != aspect {
			return tandem.Errorf(tandem.Invalid, op, "the configuration of the %s models is one of %q", aspect, c.Aspect)
		}
		if err := c.Validate(); err != nil {
			return err
		}
		if a.Data[aspect].Training == "" {
			return tandem.Errorf(tandem.Invalid, op, "there are no comparisons of %s", aspect)
		}
	}
	return nil
}

// AblationVariant is one way of training: all that variants of an aspect can differ in.
type AblationVariant struct {
	Aspect          tandem.Aspect           `json:"aspect"`
	Margin          rewardmodel.MarginTable `json:"margin"`
	AuxiliaryWeight float64                 `json:"auxiliary_weight"`
	FromScratch     bool                    `json:"from_scratch,omitempty"`
	Pairs           int                     `json:"pairs,omitempty"` // of its own aspect; 0 for all
}

// folder is the name of a variant's folder.
func (v AblationVariant) folder() string {
	name := fmt.Sprintf("%s-margin_%s-auxiliary_%g", v.Aspect, v.Margin, v.AuxiliaryWeight)
	if v.FromScratch {
		name += "-scratch"
	}
	if v.Pairs > 0 {
		name += "-pairs_" + strconv.Itoa(v.Pairs)
	}
	return name
}

// Factor is one thing that variants of an aspect differ in; the levels are compared with the first.
type Factor struct {
	Name   string
	Levels []Level
}

// Level is a factor's value with the variant that has it.
type Level struct {
	Name    string
	Variant AblationVariant
}

// Factors that ablations look at.
const (
	MarginFactor    = "margin"
	AuxiliaryFactor = "auxiliary loss"
	StartFactor     = "start"
	PairsFactor     = "pairs"
)

// whole is an aspect's variant that learns from all there is: what it is worth is compared with the other aspect's.
func (a Ablations) whole(aspect tandem.Aspect) AblationVariant {
	c := a.Config[aspect]
	return AblationVariant{Aspect: aspect, Margin: c.Margin, AuxiliaryWeight: c.AuxiliaryWeight}
}

// of is a variant that learns from so many of its own comparisons, of all.
func (v AblationVariant) of(pairs, all int) AblationVariant {
	if v.Pairs = pairs; pairs >= all {
		v.Pairs = 0
	}
	return v
}

// factors are an aspect's, each of two levels or more, for so many training comparisons.
func (a Ablations) factors(aspect tandem.Aspect, pairs int) []Factor {
	margins, weights, starts, sizes := Factor{Name: MarginFactor}, Factor{Name: AuxiliaryFactor}, Factor{Name: StartFactor}, Factor{Name: PairsFactor}
	common := a.whole(aspect)
	if a.CommonPairs > 0 {
		common = common.of(a.CommonPairs, pairs)
	}
	for _, m := range a.Margins {
		v := common
		v.Margin = m
		margins.Levels = append(margins.Levels, Level{string(m), v})
	}
	if aspect == tandem.Safety {
		for _, w := range a.AuxiliaryWeights {
			v := common
			v.AuxiliaryWeight = w
			weights.Levels = append(weights.Levels, Level{fmt.Sprintf("weight %g", w), v})
		}
	}
	if a.FromScratch {
		scratch := common
		scratch.FromScratch = true
		starts.Levels = []Level{{"from scratch", scratch}, {"from the policy", common}}
	}
	var numbers []int
	for _, share := range append(slices.Clone(a.Shares), 1) {
		numbers = append(numbers, max(1, int(math.Round(share*float64(pairs)))))
	}
	slices.Sort(numbers)
	for _, n := range slices.Compact(numbers) {
		sizes.Levels = append(sizes.Levels, Level{strconv.Itoa(n), a.whole(aspect).of(n, pairs)})
	}
	return slices.DeleteFunc([]Factor{margins, weights, starts, sizes}, func(f Factor) bool { return len(f.Levels) < 2 })
}

// ablated is what is known of one aspect while ablations run.
type ablated struct {
	aspect            tandem.Aspect
	training, heldOut []tandem.Comparison
	reference         []float64
	things            []Factor // that models differ in
	leftOut           int      // held-out comparisons, see Comparison.Trainable
}

// Ablate trains what is not trained yet and measures everything.
func (s *Studio) Ablate(ctx context.Context, a Ablations) (AblationOutcome, error) {
	if err := a.Validate(); err != nil {
		return AblationOutcome{}, err
	}
	data := make(map[tandem.Aspect]*ablated)
	for _, aspect := range aspects() {
		if a.Data[aspect].Training == "" {
			continue
		}
		d, err := s.ablated(ctx, a, aspect)
		if err != nil {
			return AblationOutcome{}, err
		}
		data[aspect] = d
	}
	runs := a.runs(data)
	scores := make(map[run]map[tandem.Aspect]PairScores)
	for i, r := range runs {
		said, err := s.ablate(ctx, a, data, r)
		if err != nil {
			return AblationOutcome{}, fmt.Errorf("%s, seed %d: %w", r.variant.folder(), r.seed, err)
		}
		scores[r] = said
		s.observe(Observation{Stage: tandem.StageEvaluate, Step: i + 1, Steps: len(runs)})
		s.Log.Info("ablations", "model", i+1, "of", len(runs), "variant", r.variant.folder(), "seed", r.seed)
	}
	return a.measure(data, scores)
}

// ablated reads an aspect's comparisons and divides them.
func (s *Studio) ablated(ctx context.Context, a Ablations, aspect tandem.Aspect) (*ablated, error) {
	const op = "pipeline.Ablate"
	from := a.Data[aspect]
	all, err := s.Comparisons(ctx, from.Training, from.Format, aspect)
	if err != nil {
		return nil, err
	}
	d := &ablated{aspect: aspect, training: ofAspect(all, aspect, aspect)}
	if from.HeldOut == "" {
		d.training, d.heldOut = SplitComparisons(d.training, from.HeldOutShare)
	} else {
		if all, err = s.Comparisons(ctx, from.HeldOut, from.Format, aspect); err != nil {
			return nil, err
		}
		d.heldOut = ofAspect(all, aspect, aspect)
	}
	if len(d.training) == 0 || len(d.heldOut) == 0 {
		return nil, tandem.Errorf(tandem.Invalid, op, "there are %d %s comparisons to train on and %d held out", len(d.training), aspect, len(d.heldOut))
	}
	if from.Reference != nil && len(from.Reference) != len(d.heldOut) {
		return nil, tandem.Errorf(tandem.Invalid, op, "%d held-out %s comparisons, and a reference for %d", len(d.heldOut), aspect, len(from.Reference))
	}
	if err := apart(d.training, d.heldOut); err != nil {
		return nil, tandem.Errorf(tandem.Invalid, op, "%s: %w", from.HeldOut, err)
	}
	// What models are not trained on for what it says, they are not measured on either.
	kept := d.heldOut[:0:0]
	for i, c := range d.heldOut {
		if !c.Trainable() {
			d.leftOut++
			continue
		}
		kept = append(kept, c)
		if from.Reference != nil {
			d.reference = append(d.reference, from.Reference[i])
		}
	}
	d.heldOut = kept
	for i := range d.training { // the mixture tells them apart by it
		d.training[i].Aspect = aspect
	}
	if _, looked := a.Config[aspect]; looked {
		d.things = a.factors(aspect, len(d.training))
	}
	return d, nil
}

// apart refuses openings that are both trained on and measured on.
func apart(training, heldOut []tandem.Comparison) error {
	openings := make(map[string]bool)
	for _, c := range training {
		openings[c.Prompt.Messages.Opening()] = true
	}
	for _, c := range heldOut {
		if o := c.Prompt.Messages.Opening(); openings[o] {
			return fmt.Errorf("comparisons that begin with %q are both trained on and measured on", o)
		}
	}
	return nil
}

// run is one model to train.
type run struct {
	variant AblationVariant
	seed    uint64
}

// runs are all models, a seed after the other, each variant once.
func (a Ablations) runs(data map[tandem.Aspect]*ablated) []run {
	var runs []run
	for n := range a.Seeds {
		for _, aspect := range aspects() {
			c, looked := a.Config[aspect]
			if !looked {
				continue
			}
			seen := make(map[AblationVariant]bool)
			add := func(v AblationVariant) {
				if !seen[v] {
					seen[v] = true
					runs = append(runs, run{v, c.Fit.Seed + uint64(n)})
				}
			}
			add(a.whole(aspect))
			for _, f := range data[aspect].things {
				for _, l := range f.Levels {
					add(l.Variant)
				}
			}
		}
	}
	return runs
}

// PairScores are the raw scalars of comparisons' sides.
type PairScores struct {
	Chosen   []float64 `json:"chosen"`
	Rejected []float64 `json:"rejected"`
}

// scored is a file of scores, with what they are of.
type scored struct {
	Model  string                       `json:"model"`
	Scores map[tandem.Aspect]PairScores `json:"scores"`
	Data   map[tandem.Aspect]string     `json:"data"`
}

// ablate trains one model, or finds it, and scores the held-out comparisons of its aspect; the whole variant also those of
// the other, as table 8 does.
func (s *Studio) ablate(ctx context.Context, a Ablations, data map[tandem.Aspect]*ablated, r run) (map[tandem.Aspect]PairScores, error) {
	config := a.Config[r.variant.Aspect]
	config.Margin, config.AuxiliaryWeight, config.Fit.Seed, config.Mixture.Seed = r.variant.Margin, r.variant.AuxiliaryWeight, r.seed, r.seed
	training, err := a.writeTraining(data, r.variant)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s-seed_%d", r.variant.folder(), r.seed)
	model, err := s.Reward(ctx, Reward{
		Model: a.Model, FromScratch: r.variant.FromScratch, Data: training, Config: config, Out: filepath.Join(a.Folder, "models", name), Name: name,
	}, true)
	if err != nil {
		return nil, err
	}
	now := scored{Model: model.ID, Scores: make(map[tandem.Aspect]PairScores), Data: make(map[tandem.Aspect]string)}
	for aspect, d := range data {
		if aspect == r.variant.Aspect || r.variant == a.whole(r.variant.Aspect) {
			now.Data[aspect] = fingerprint(d.heldOut)
		}
	}
	path := filepath.Join(a.Folder, "scores", name+".json")
	if there, err := readScored(path); err != nil {
		return nil, err
	} else if there.Model == now.Model && sameData(there.Data, now.Data) {
		return there.Scores, nil
	}
	classifier, err := chat.OpenClassifier(ctx, model.URL, s.chatConfig())
	if err != nil {
		return nil, err
	}
	for aspect := range now.Data {
		var said PairScores
		if said.Chosen, said.Rejected, err = scoreSides(ctx, classifier, data[aspect].heldOut); err != nil {
			return nil, err
		}
		now.Scores[aspect] = said
	}
	return now.Scores, WriteLines(path, slices.Values([]scored{now}))
}

// writeTraining writes what a variant draws its training comparisons from.
func (a Ablations) writeTraining(data map[tandem.Aspect]*ablated, v AblationVariant) (string, error) {
	own := data[v.Aspect].training
	n := len(own)
	if v.Pairs > 0 {
		n = min(n, v.Pairs)
	}
	taken := slices.Clone(own[:n])
	for _, aspect := range aspects() {
		if d := data[aspect]; d != nil && aspect != v.Aspect {
			taken = append(taken, d.training[:len(d.training)*n/len(own)]...)
		}
	}
	path := filepath.Join(a.Folder, "data", fmt.Sprintf("%s-%d.jsonl", v.Aspect, n))
	return path, WriteLines(path, slices.Values(taken))
}

// fingerprint is short for comparisons.
func fingerprint(comparisons []tandem.Comparison) string {
	var b strings.Builder
	for _, c := range comparisons {
		chosen, rejected := c.Dialogues()
		fmt.Fprintf(&b, "%d %d\n", chosen.Key(), rejected.Key())
	}
	return fmt.Sprintf("%d %016x", len(comparisons), tandem.Dialogue{{Content: b.String()}}.Key())
}

func readScored(path string) (scored, error) {
	var there scored
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return there, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &there)
	}
	if err != nil {
		return there, tandem.Errorf(tandem.Corrupt, "pipeline.Ablate", "%s: %w", path, err)
	}
	return there, nil
}

func sameData(there, now map[tandem.Aspect]string) bool {
	for aspect, data := range now {
		if there[aspect] != data {
			return false
		}
	}
	return true
}

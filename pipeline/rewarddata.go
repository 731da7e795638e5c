package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tandem"
	"tandem/dataset"
)

// rewardData is what a reward model is fitted to, in the order in which it is met, and what it is measured on.
type rewardData struct {
	training, heldOut []tandem.Comparison
	taken             map[string]int // training comparisons of each source of the mixture
}

// data reads the comparisons of a run, divides them, and mixes those to train on.
func (r Reward) data(ctx context.Context, s *Studio) (d rewardData, err error) {
	if len(r.Config.Mixture.Parts) == 0 {
		all, err := s.Comparisons(ctx, r.Data, r.Format, r.Config.Aspect)
		if err != nil {
			return d, err
		}
		d.training, d.heldOut = r.divide(all)
	} else if d, err = r.mix(ctx, s); err != nil {
		return d, err
	}
	if r.HeldOut != "" {
		d.heldOut, err = s.Comparisons(ctx, r.HeldOut, r.Format, r.Config.Aspect)
	}
	return d, err
}

// mix draws what to train on by the mixture. What it is measured on are the first part's sources, which are the
// model's own.
func (r Reward) mix(ctx context.Context, s *Studio) (d rewardData, err error) {
	m := r.Config.Mixture
	sources, sizes := make(map[string][]tandem.Comparison), make(map[string]int)
	for i, part := range m.Parts {
		for _, name := range part.Sources {
			all, err := r.source(ctx, s, name)
			if err != nil {
				return d, fmt.Errorf("the mixture's source %q: %w", name, err)
			}
			training, heldOut := r.divide(all)
			sources[name], sizes[name] = training, len(training)
			if i == 0 {
				d.heldOut = append(d.heldOut, heldOut...)
			}
		}
	}
	picks, err := m.Order(sizes)
	if err != nil {
		return d, err
	}
	if len(picks) == 0 && len(d.heldOut) == 0 {
		return d, tandem.Errorf(tandem.Invalid, "pipeline.Reward", "%s holds nothing of the mixture's first part (%s), which sets the scale of the others",
			r.Data, strings.Join(m.Parts[0].Sources, ", "))
	}
	d.taken = make(map[string]int)
	for _, p := range picks {
		d.training = append(d.training, sources[p.Source][p.Index])
		d.taken[p.Source]++
	}
	return d, nil
}

// source reads the comparisons of one source: where the mixture says that they lie, or an aspect of the run's data.
func (r Reward) source(ctx context.Context, s *Studio, name string) ([]tandem.Comparison, error) {
	own := r.Config.Aspect
	if from, placed := r.Config.Mixture.Sources[name]; placed {
		aspect := from.Aspect
		if aspect == "" {
			aspect = own
		}
		all, err := s.Comparisons(ctx, from.Data, from.Format, aspect)
		if from.Aspect != "" {
			all = ofAspect(all, from.Aspect, own)
		}
		return all, err
	}
	aspect := tandem.Aspect(name)
	if aspect != own && r.Format != "" && r.Format != dataset.PKU && !strings.HasPrefix(r.Data, snapshotPrefix) {
		return nil, nil // one verdict a record, which is on the model's own aspect
	}
	all, err := s.Comparisons(ctx, r.Data, r.Format, aspect)
	return ofAspect(all, aspect, own), err
}

// ofAspect keeps the comparisons of an aspect; those that name none are on the model's own.
func ofAspect(all []tandem.Comparison, aspect, own tandem.Aspect) []tandem.Comparison {
	return slices.DeleteFunc(all, func(c tandem.Comparison) bool {
		return c.Aspect != aspect && (c.Aspect != "" || aspect != own)
	})
}

// divide tells apart what to train on and what to measure on; with no share to hold out, all is trained on.
func (r Reward) divide(all []tandem.Comparison) (training, heldOut []tandem.Comparison) {
	if r.HeldOutShare > 0 {
		return SplitComparisons(all, r.HeldOutShare)
	}
	return all, nil
}

// SplitComparisons divides comparisons into those to train on and those to measure on: those marked as held
// out, and a share of openings by the one rule (see tandem.HeldOut).
func SplitComparisons(all []tandem.Comparison, share float64) (training, heldOut []tandem.Comparison) {
	return splitItems(all, func(c tandem.Comparison) string { return c.Prompt.Messages.Opening() },
		func(c tandem.Comparison) bool { return c.HeldOut }, share)
}

// snapshotHash is the hash of everything that the model is fitted to: of its data, and with further sources of
// all of them by name.
func (r Reward) snapshotHash(ctx context.Context, s *Studio) (string, error) {
	hash, err := s.hash(ctx, r.Data)
	if err != nil || len(r.Config.Mixture.Sources) == 0 {
		return hash, err
	}
	h := sha256.New()
	fmt.Fprintln(h, hash)
	for _, name := range slices.Sorted(maps.Keys(r.Config.Mixture.Sources)) {
		hash, err := s.hash(ctx, r.Config.Mixture.Sources[name].Data)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, name, hash)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

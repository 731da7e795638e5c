package main

import (
	"context"
	"path/filepath"

	"tandem"
	"tandem/llama/checkpoint"
	"tandem/rewardmodel"
)

// ensembleOf is the lineage of an ensemble of reward models that stands in a folder; nil for anything else.
func ensembleOf(ctx context.Context, path string) (*tandem.Model, error) {
	lineage, err := checkpoint.ReadLineage(ctx, path)
	if err != nil || lineage == nil || len(lineage.Ensemble) == 0 {
		return nil, err
	}
	return lineage, nil
}

// copyEnsemble writes the members of an ensemble that was read from its folder to another folder, and then what makes
// them one.
func copyEnsemble(ctx context.Context, ensemble tandem.Model, to string, options func(*checkpoint.Model) checkpoint.SaveOptions) error {
	for _, name := range ensemble.Ensemble {
		from, err := rewardmodel.MemberFolder(ensemble, name)
		if err != nil {
			return err
		}
		member, err := checkpoint.Load(ctx, from)
		if err != nil {
			return err
		}
		if err := checkpoint.Save(ctx, filepath.Join(to, name), member, options(member)); err != nil {
			return err
		}
	}
	return checkpoint.SaveLineage(ctx, to, ensemble)
}

// showEnsemble reports an ensemble's folder with its members.
func showEnsemble(ctx context.Context, path string, ensemble tandem.Model) (modelReport, error) {
	r := modelReport{Path: path, Lineage: &ensemble}
	for _, name := range ensemble.Ensemble {
		folder, err := rewardmodel.MemberFolder(ensemble, name)
		if err != nil {
			return r, err
		}
		member, err := showFolder(ctx, folder)
		if err != nil {
			return r, err
		}
		r.Members = append(r.Members, member)
	}
	r.Architecture = r.Members[0].Architecture
	return r, r.verify(ctx)
}

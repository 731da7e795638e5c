package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"gopkg.in/yaml.v3"

	"tandem"
	"tandem/dataset"
	"tandem/rewardmodel"
)

// Mixtures that have names.
const (
	paperMixture = "llama2" // the paper's, of each aspect
	ownMixture   = "own"    // an aspect's own comparisons alone
	allMixture   = "all"    // everything as it comes
)

// mixtureOf is what a reward model learns from: by name, or as a YAML or JSON file has it:
//
//	parts:                       # the first is taken whole and sets the scale of the others
//	  - {weight: 50, sources: [helpfulness]}
//	  - {weight: 50, sources: [safety, open]}
//	sources:                     # those that are no aspect of --data
//	  open: {data: pairs.jsonl, format: hh}
//	seed: 3                      # of what is drawn; the run's where it is not given
func mixtureOf(name string, aspect tandem.Aspect, seed uint64) (dataset.Mixture, error) {
	switch name {
	case paperMixture:
		return rewardmodel.PaperMixture(aspect, seed), nil
	case ownMixture:
		return rewardmodel.OwnMixture(aspect, seed), nil
	case allMixture:
		return dataset.Mixture{}, nil
	}
	m, err := readMixture(name, seed)
	if err != nil {
		return m, tandem.Errorf(tandem.Invalid, "", "the mixture %s (it is %s, %s, %s or a YAML or JSON file): %w", name, paperMixture, ownMixture, allMixture, err)
	}
	return m, nil
}

func readMixture(path string, seed uint64) (m dataset.Mixture, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return m, err
	}
	var tree map[string]any // JSON is YAML too
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return m, err
	}
	if text, err = json.Marshal(tree); err != nil {
		return m, err
	}
	m.Seed = seed
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		return m, err
	}
	if len(m.Parts) == 0 {
		return m, fmt.Errorf("it has no parts")
	}
	for name, source := range m.Sources {
		if source.Data, err = dataPath(source.Data); err != nil {
			return m, err
		}
		source.Format = comparisonFormat(string(source.Format))
		m.Sources[name] = source
	}
	return m, m.Validate()
}

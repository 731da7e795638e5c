package main

import (
	"errors"
	"strings"
)

// practiceFlags are those of a command that has a study of its own on the practice world.
type practiceFlags struct {
	Practice  bool `help:"Instead of models and data: all of it on the practice world, in this process, with a report." group:"practice world"`
	Miniature bool `help:"With --practice: the same in a minute, without a claim." group:"practice world"`
}

// givenFlag is a flag by its name, and whether it was given.
type givenFlag struct {
	name  string
	given bool
}

// check wants the needed flags or --practice, which makes its own of them, and goes with none of the others either.
func (p practiceFlags) check(needed []givenFlag, others ...givenFlag) error {
	var missing []string
	for i, f := range append(needed, others...) {
		switch {
		case f.given && p.Practice:
			return errors.New(f.name + " does not go with --practice, which makes its own models and data, in this process")
		case !f.given && i < len(needed):
			missing = append(missing, f.name)
		}
	}
	switch {
	case p.Miniature && !p.Practice:
		return errors.New("--miniature is the practice world's")
	case !p.Practice && len(missing) > 0:
		return errors.New("missing flags: " + strings.Join(missing, ", ") + ", or --practice")
	}
	return nil
}

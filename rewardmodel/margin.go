package rewardmodel

import "tandem"

// MarginTable names one of the margin functions m(degree) of the ranking loss (section 3.2.2, table 27).
type MarginTable string

const (
	NoMargin    MarginTable = "none"
	SmallMargin MarginTable = "small" // 1, 2/3, 1/3, 0
	LargeMargin MarginTable = "large" // 3, 2, 1, 0
)

// Margin returns m(c): the comparison's own margin where it has one, else the table's value for its
// degree. Unrated comparisons have margin 0 (a choice: the paper has no unrated data).
func (t MarginTable) Margin(c tandem.Comparison) float64 {
	if c.Margin != nil {
		return *c.Margin
	}
	if c.Degree == tandem.Unrated {
		return 0
	}
	steps := float64(c.Degree - tandem.NegligiblyBetter) // 0 … 3
	switch t {
	case SmallMargin:
		return steps / 3
	case LargeMargin:
		return steps
	}
	return 0
}

// Validate reports a table that does not exist.
func (t MarginTable) Validate() error {
	switch t {
	case NoMargin, SmallMargin, LargeMargin:
		return nil
	}
	return tandem.Errorf(tandem.Invalid, "rewardmodel.MarginTable", "there is no margin table %q (none, small and large are)", string(t))
}

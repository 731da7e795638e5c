package statistics

// Coefficient is a measure of the agreement between raters: [GwetAC], [KrippendorffAlpha] or [CohenKappa].
type Coefficient func(Panel) (measure, error)

// measure is a coefficient of one panel as a function of how many items were rated in each way, which is what
// resampling items changes.
type measure struct {
	Coverage
	times []int // items by pattern
	of    func(times []int) (float64, error)
}

// Measure is the coefficient's value. Errors: Undefined.
func (p Panel) Measure(c Coefficient) (float64, error) {
	m, err := c(p)
	if err != nil {
		return 0, err
	}
	return m.of(m.times)
}

// Agreement is a coefficient with its interval and what it rests on.
type Agreement struct {
	Coverage
	Value float64
	// Interval is nil where the value is defined and its interval is not; NoInterval says why.
	Interval   *Interval
	NoInterval error
}

// Agreement measures the agreement in a panel, with a percentile interval from resampling its items. The
// coverage is there in any case. Errors: Undefined, when the value is.
func (b Bootstrap) Agreement(p Panel, c Coefficient) (Agreement, error) {
	m, err := c(p)
	if err != nil {
		return Agreement{Coverage: p.Coverage()}, err
	}
	a := Agreement{Coverage: m.Coverage}
	if a.Value, err = m.of(m.times); err != nil {
		return a, err
	}
	interval, err := b.multinomial(m.times, m.of)
	switch {
	case IsUndefined(err):
		a.NoInterval = err
	case err != nil:
		return a, err
	default:
		interval.N = m.Items
		a.Interval = &interval
	}
	return a, nil
}

// noPairs is why nothing can be compared.
func noPairs() error { return undefined("no item was rated by two annotators") }

package dashboard

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"tandem"
	"tandem/store"
)

// cost is what runs took. What no run measured is nil; where some of them did not, it is too low by those.
type cost struct {
	Time       time.Duration // that they were worked on, the runs' added up
	Runs       int
	Unmeasured int // runs whose metrics do not tell
	store.Spent
}

// add counts one run, up to now where it goes on.
func (c *cost) add(r store.Run, spent store.Spent, now time.Time) {
	c.Time += r.Took(now)
	c.Runs++
	if spent.Flops == nil && spent.CPUSeconds == nil {
		c.Unmeasured++
	}
	for _, f := range []struct {
		sum **float64
		of  *float64
	}{{&c.Tokens, spent.Tokens}, {&c.Flops, spent.Flops}, {&c.CPUSeconds, spent.CPUSeconds}} {
		if f.of == nil {
			continue
		}
		sum := *f.of
		if *f.sum != nil {
			sum += **f.sum
		}
		*f.sum = &sum
	}
}

// costs is what each of some runs took, in their order, and all together.
func costs(ctx context.Context, s runStore, runs []store.Run, now time.Time) (each []cost, all cost, err error) {
	ids := make([]string, len(runs))
	for i, r := range runs {
		ids[i] = r.ID
	}
	spent, err := s.Spent(ctx, ids...)
	if err != nil {
		return nil, all, err
	}
	each = make([]cost, len(runs))
	for i, r := range runs {
		each[i].add(r, spent[r.ID], now)
		all.add(r, spent[r.ID], now)
	}
	return each, all, nil
}

// Took, TokensText, FlopsText and Energy are the figures for people.
func (c cost) Took() string { return span(c.Time) }

func (c cost) TokensText() string { return amount(c.Tokens, "") }

func (c cost) FlopsText() string { return amount(c.Flops, "FLOP") }

// Busy is the processor time.
func (c cost) Busy() string {
	if c.CPUSeconds == nil {
		return "–"
	}
	return span(time.Duration(*c.CPUSeconds * float64(time.Second)))
}

// Energy is estimated from the processor time.
func (c cost) Energy() string {
	if c.CPUSeconds == nil {
		return "–"
	}
	joules := tandem.Joules(*c.CPUSeconds)
	if hours := joules / 3600; hours >= 1 {
		return "≈ " + amount(&hours, "Wh")
	}
	return "≈ " + amount(&joules, "J")
}

// Carbon is estimated from the energy.
func (c cost) Carbon() string {
	if c.CPUSeconds == nil {
		return "–"
	}
	grams := tandem.GramsCO2(tandem.Joules(*c.CPUSeconds))
	if grams < 1 {
		milligrams := 1000 * grams
		return "≈ " + amount(&milligrams, "mg")
	}
	return "≈ " + amount(&grams, "g")
}

// Watts and Grams say what Energy and Carbon rest on.
func (cost) Watts() int { return tandem.WattsPerCore }

func (cost) Grams() int { return tandem.GramsPerKilowattHour }

// amount is a number with three digits and a unit with its SI prefix; a dash for none.
func amount(x *float64, unit string) string {
	if x == nil {
		return "–"
	}
	v, prefix := *x, 0
	for v >= 999.5 && prefix < 6 {
		v, prefix = v/1000, prefix+1
	}
	decimals := 0
	if v < 99.95 && v != math.Trunc(v) {
		decimals = 1
		if v < 9.995 {
			decimals = 2
		}
	}
	text := fmt.Sprintf("%.*f", decimals, v)
	if unit = [...]string{"", "k", "M", "G", "T", "P", "E"}[prefix] + unit; unit == "" {
		return text
	}
	return text + "\u00a0" + unit
}

// span is a duration in its two greatest units.
func span(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f\u00a0s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f\u00a0s", d.Seconds())
	}
	units := []struct {
		name string
		of   time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"min", time.Minute}, {"s", time.Second}}
	for i, u := range units {
		if d < u.of || i == len(units)-1 {
			continue
		}
		lower := units[i+1]
		d = d.Round(lower.of)
		parts := []string{fmt.Sprintf("%d\u00a0%s", d/u.of, u.name)}
		if rest := d % u.of / lower.of; rest > 0 {
			parts = append(parts, fmt.Sprintf("%d\u00a0%s", rest, lower.name))
		}
		return strings.Join(parts, " ")
	}
	return fmt.Sprintf("%.0f\u00a0s", d.Seconds())
}

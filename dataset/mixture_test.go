package dataset

import (
	"slices"
	"testing"

	"tandem"
)

func counts(picks []Pick) map[string]int {
	n := make(map[string]int)
	for _, p := range picks {
		n[p.Source]++
	}
	return n
}

func TestMixturesOfThePaper(t *testing.T) {
	sizes := map[string]int{"helpfulness": 900, "safety": 1000, "open": 3000}
	order, err := HelpfulnessMixture("helpfulness", []string{"safety", "open"}, 1).Order(sizes)
	if err != nil {
		t.Fatal(err)
	}
	n := counts(order)
	if n["helpfulness"] != 900 || n["safety"]+n["open"] != 900 {
		t.Errorf("helpfulness mixture %v", n)
	}
	// Uniform over the union: a quarter of the rest is safety data, ± 4 deviations.
	if n["safety"] < 225-52 || n["safety"] > 225+52 {
		t.Errorf("%d of 900 are safety data, about 225 expected", n["safety"])
	}
	order, err = SafetyMixture("safety", []string{"helpfulness"}, 1).Order(sizes)
	if err != nil {
		t.Fatal(err)
	}
	if n := counts(order); n["safety"] != 1000 || n["helpfulness"] != 111 {
		t.Errorf("safety mixture %v, 90 : 10 expected", n)
	}
}

func TestMixtureOrder(t *testing.T) {
	mixture := SafetyMixture("s", []string{"h"}, 7)
	sizes := map[string]int{"s": 500, "h": 500}
	order, err := mixture.Order(sizes)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := mixture.Order(sizes)
	if !slices.Equal(order, again) {
		t.Error("the same mixture has two orders")
	}
	mixture.Seed = 8
	if other, _ := mixture.Order(sizes); slices.Equal(order, other) {
		t.Error("two seeds give one order")
	}
	seen := make(map[Pick]bool)
	early := 0
	for i, p := range order {
		if seen[p] {
			t.Fatalf("%v was picked twice", p)
		}
		seen[p] = true
		if p.Source == "h" && i < len(order)/2 {
			early++
		}
	}
	if n := counts(order)["h"]; early < n/2-15 || early > n/2+15 {
		t.Errorf("%d of %d picks of h stand in the first half", early, n)
	}
}

// TestMixtureGrows holds that records keep their relative order when a source grows.
func TestMixtureGrows(t *testing.T) {
	mixture := Mixture{Parts: []Part{{[]string{"s"}, 1}}, Seed: 3}
	small, _ := mixture.Order(map[string]int{"s": 50})
	large, _ := mixture.Order(map[string]int{"s": 80})
	large = slices.DeleteFunc(large, func(p Pick) bool { return p.Index >= 50 })
	if !slices.Equal(small, large) {
		t.Error("growth reshuffled what was there")
	}
}

func TestMixtureWithTooLittle(t *testing.T) {
	order, err := HelpfulnessMixture("h", []string{"s"}, 1).Order(map[string]int{"h": 10, "s": 4})
	if n := counts(order); err != nil || n["h"] != 10 || n["s"] != 4 {
		t.Errorf("mixture %v, error %v", n, err)
	}
}

func TestMixtureRefuses(t *testing.T) {
	sizes := map[string]int{"h": 10}
	for _, m := range []Mixture{
		{},
		{Parts: []Part{{[]string{"missing"}, 1}}},
		{Parts: []Part{{[]string{"h"}, 0}}},
		{Parts: []Part{{[]string{"h"}, 1}, {[]string{"h"}, 1}}},
	} {
		if _, err := m.Order(sizes); err == nil || tandem.CodeOf(err) == tandem.Internal {
			t.Errorf("%+v: error %v", m, err)
		}
	}
}

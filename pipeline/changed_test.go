package pipeline

import (
	"encoding/json"
	"slices"
	"testing"

	"tandem"
)

func TestChanged(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want []string
	}{
		{`{"a": 1, "b": {"c": [1, 2]}}`, `{"b": {"c": [1, 2]}, "a": 1}`, nil},
		{`{"a": 1, "b": {"c": 2}}`, `{"a": 2, "b": {"c": 3}}`, []string{"a", "b.c"}},
		// An older version did not know these.
		{`{"a": 1}`, `{"a": 1, "new": 0, "said": "", "on": false, "list": [], "more": {"x": 0, "y": {}}, "none": null}`, nil},
		{`{"a": 1}`, `{"a": 1, "new": 0.5, "more": {"x": 0, "y": 2}}`, []string{"more", "new"}},
		// What both say counts.
		{`{"a": 1}`, `{"a": 0}`, []string{"a"}},
		{`{"a": null}`, `{"a": 0}`, []string{"a"}},
	} {
		for _, pair := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			if got := Changed(json.RawMessage(pair[0]), json.RawMessage(pair[1])); !slices.Equal(got, c.want) {
				t.Errorf("%s and %s differ in %v, want %v", pair[0], pair[1], got, c.want)
			}
		}
	}
}

// Work that an older version began goes on with a newer one that can be told more, unless it is told more.
func TestSameWorkOfAnOlderVersion(t *testing.T) {
	lineage := func(config, kernel string) tandem.Model {
		m := tandem.Model{Name: "m", Stage: tandem.StagePPO, Parent: "p", Seed: 3, Kernel: kernel, Config: json.RawMessage(config)}
		var err error
		if m.ID, err = identity(m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	old := lineage(`{"steps":3}`, "k")
	for _, c := range []struct {
		now       tandem.Model
		anyKernel bool
		want      bool
	}{
		{lineage(`{"steps":3}`, "k"), false, true},
		{lineage(`{"steps":3,"lora":0}`, "k"), false, true},
		{lineage(`{"steps":3,"lora":8}`, "k"), false, false},
		{lineage(`{"steps":3,"lora":0}`, "other"), false, false},
		{lineage(`{"steps":3,"lora":0}`, "other"), true, true},
	} {
		if got := (&Studio{AnyKernel: c.anyKernel}).same(old, c.now); got != c.want {
			t.Errorf("%s on %s: the same %t, want %t", c.now.Config, c.now.Kernel, got, c.want)
		}
	}
}

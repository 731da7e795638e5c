package main

import (
	"os"
	"strings"
	"testing"
)

// sftFrom parses `tandem sft` with what it needs, and returns the flags that it then has.
func sftFrom(t *testing.T, args ...string) (sftCommand, error) {
	t.Helper()
	var c cli
	parser, err := newParser(&c, world{}, func(int) {})
	if err != nil {
		return c.SFT, err
	}
	_, err = parser.Parse(append([]string{"sft", "--model", "m", "--data", "d", "--out", "o"}, args...))
	return c.SFT, err
}

// The command line goes before a variable, that before the file; in the file a command's own section goes
// before the top, and a section of another command counts for nothing.
func TestConfigFileGivesWay(t *testing.T) {
	file := writeTemp(t, "tandem.yaml", `
preset: practice
steps: 1
batch: 2
epochs: 3
seed: 4
model: {list: {kind: policy}}
ppo: {seed: 5}
sft:
  batch: 20
  epochs: 30
  floor: 0.5
`)
	t.Setenv("TANDEM_EPOCHS", "300")
	t.Setenv("TANDEM_FLOOR", "0.25")
	c, err := sftFrom(t, "--config", file, "--floor", "0.125")
	if err != nil {
		t.Fatal(err)
	}
	if c.Preset != "practice" || *c.Steps != 1 || *c.Batch != 20 || *c.Epochs != 300 || *c.Seed != 4 || *c.Floor != 0.125 || c.Model == "" {
		t.Errorf("preset %q, steps %d, batch %d, epochs %d, seed %d, floor %g", c.Preset, *c.Steps, *c.Batch, *c.Epochs, *c.Seed, *c.Floor)
	}

	t.Setenv("TANDEM_CONFIG", file)
	if c, err := sftFrom(t); err != nil || c.Batch == nil || *c.Batch != 20 {
		t.Errorf("from TANDEM_CONFIG: %v", err)
	}
	t.Setenv("TANDEM_CONFIG", file+".not")
	if _, err := sftFrom(t); !os.IsNotExist(err) {
		t.Errorf("TANDEM_CONFIG names no file: %v", err)
	}
}

func TestConfigFileRefuses(t *testing.T) {
	for content, want := range map[string]string{
		"stepz: 3":         "stepz",
		"sft: {stepz: 3}":  "sft: stepz",
		"sft: {list: 3}":   "sft: list",
		"stf: {steps: 3}":  "stf",
		"sft: {k: {a: 1}}": "sft: k",
		"steps: many":      "--steps",
		"- steps":          "no YAML",
		"steps: [":         "no YAML",
	} {
		_, err := sftFrom(t, "--config", writeTemp(t, "tandem.yaml", content))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v does not name %q", content, err, want)
		}
	}
	if _, err := sftFrom(t, "--config", writeTemp(t, "tandem.yaml", "")); err != nil {
		t.Errorf("an empty file: %v", err)
	}
}

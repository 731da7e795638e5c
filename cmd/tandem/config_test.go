package main

import (
	"path/filepath"
	"strings"
	"testing"

	"tandem/pipeline"
)

// A file that config prints makes the run that its preset makes.
func TestConfigIsThePreset(t *testing.T) {
	f := makeStageFiles(t)
	for _, stage := range []string{"sft", "reward", "ppo", "pretrain"} {
		for _, preset := range []string{"llama2-7b", "llama2-70b", "practice"} {
			args := append(f.command(stage, 3), "--out", filepath.Join(t.TempDir(), "made"), "--json", "--dry-run")
			for i := range args { // the file names the preset
				if args[i] == "--preset" {
					args = append(args[:i], args[i+2:]...)
					break
				}
			}
			of := []string{stage}
			if stage == "reward" {
				of = append(of, args[1])
			}
			file := tandemRun(t, "", append(append([]string{"config"}, of...), "--preset", preset)...).ok(t).out
			want := object[pipeline.Plan](t, tandemRun(t, "", append(args, "--preset", preset)...).ok(t))
			got := object[pipeline.Plan](t, tandemRun(t, "", append(args, "--config", writeTemp(t, "tandem.yaml", file))...).ok(t))
			if string(got.Config) != string(want.Config) {
				t.Errorf("%s %s: the file makes\n%s\nthe preset\n%s", stage, preset, got.Config, want.Config)
			}
		}
	}
}

// Every flag of every command stands in its file, explained, and the file is one that the command takes.
func TestConfigOfEveryCommand(t *testing.T) {
	if testing.Short() {
		t.Skip("one process reads every flag of every command: half a minute under the race detector, and nothing to race")
	}
	for _, leaf := range leaves(t) {
		var of []string
		for node := leaf; node.Parent != nil; node = node.Parent {
			of = append([]string{node.Name}, of...)
		}
		text := tandemRun(t, "", append([]string{"config"}, of...)...).ok(t).out
		for _, flag := range leaf.Flags {
			if flag.Name != "help" && !strings.Contains(text, " "+flag.Name+": ") {
				t.Errorf("%s: --%s is not in the file", leaf.FullPath(), flag.Name)
			}
		}
		if r := tandemRun(t, "", "version", "--config", writeTemp(t, "tandem.yaml", text)); r.code != exitDone {
			t.Errorf("%s: %s", leaf.FullPath(), r.stderr)
		}
	}
}

func TestConfigRecipe(t *testing.T) {
	for _, preset := range pipeline.RecipePresets() {
		want, err := pipeline.RecipeFile(preset)
		if err != nil {
			t.Fatal(err)
		}
		if got := tandemRun(t, "", "config", "recipe", "--preset", preset).ok(t).out; got != string(want) {
			t.Errorf("the recipe %s is\n%s", preset, got)
		}
	}
}

func TestConfigRefuses(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"sing", `no command "sing"`}, {"evaluate", `no command "evaluate"`}, {"ppo more", `no command "ppo more"`},
		{"reward kindness", "neither helpfulness nor safety"}, {"ppo --preset llama3", "llama3"}, {"recipe --preset llama3", "llama3"},
		{"serve --preset practice", "no presets"},
	} {
		if r := tandemRun(t, "", append([]string{"config"}, strings.Fields(c.args)...)...); r.code != exitFailed || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%s: exit code %d, %s", c.args, r.code, r.stderr)
		}
	}
}

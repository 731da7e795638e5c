package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// leaves lists the commands that can be run.
func leaves(t *testing.T) []*kong.Node {
	t.Helper()
	parser, err := newParser(&cli{}, world{}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model.Leaves(true)
}

// flagsOf lists a command's flags with those of the commands above it, --help and --config aside.
func flagsOf(node *kong.Node) (flags []*kong.Flag) {
	for _, group := range node.AllFlags(false) {
		for _, f := range group {
			if f.Name != "help" && f.Name != "config" {
				flags = append(flags, f)
			}
		}
	}
	return flags
}

func TestEveryCommandAndFlagIsDescribed(t *testing.T) {
	name := regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	variable := regexp.MustCompile(`^(TANDEM_[A-Z0-9_]+|DATABASE_URL)$`)
	for _, leaf := range leaves(t) {
		for node := leaf; node.Parent != nil; node = node.Parent {
			if !name.MatchString(node.Name) || !strings.HasSuffix(node.Help, ".") || strings.Count(node.Help, ". ") > 0 {
				t.Errorf("%s: not a name and one sentence: %q", node.FullPath(), node.Help)
			}
		}
		for _, argument := range leaf.Positional {
			if argument.Help == "" {
				t.Errorf("%s: <%s> is not described", leaf.FullPath(), argument.Name)
			}
		}
		for _, f := range flagsOf(leaf) {
			if !name.MatchString(f.Name) || !strings.HasSuffix(f.Help, ".") {
				t.Errorf("%s: --%s: not a kebab-case name with a sentence: %q", leaf.FullPath(), f.Name, f.Help)
			}
			if len(f.Envs) == 0 || !variable.MatchString(f.Envs[0]) {
				t.Errorf("%s: --%s has the variables %v", leaf.FullPath(), f.Name, f.Envs)
			}
		}
	}
}

// sample is a value that a flag can take, as it is written, and as the flag then holds it. file is one that
// exists.
func sample(f *kong.Flag, file string) (text string, want any) {
	if f.Enum != "" {
		for _, choice := range strings.Split(f.Enum, ",") {
			if choice != "" && choice != f.Default {
				return choice, choice
			}
		}
	}
	text, kind := "7", f.Target.Type()
	for kind.Kind() == reflect.Pointer || kind.Kind() == reflect.Slice {
		kind = kind.Elem()
	}
	value := reflect.New(kind).Elem()
	switch {
	case kind == reflect.TypeFor[time.Duration]():
		text = "7m"
		value.SetInt(int64(7 * time.Minute))
	case kind.Kind() == reflect.String:
		text = file
		value.SetString(text)
	case kind.Kind() == reflect.Bool:
		text = "true"
		value.SetBool(true)
	case value.CanFloat():
		text = "0.25"
		value.SetFloat(.25)
	case value.CanUint():
		value.SetUint(7)
	default:
		value.SetInt(7)
	}
	return text, value.Interface()
}

// held is what a flag holds: the element of a pointer, or of a slice of one.
func held(f *kong.Flag) any {
	v := f.Target
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice {
		if v.Kind() == reflect.Slice {
			if v.Len() != 1 {
				return v.Interface()
			}
			v = v.Index(0)
			continue
		}
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	return v.Interface()
}

// TestEveryFlagFromEnvironmentAndFile sets each flag of each command by its variable and by a YAML file.
func TestEveryFlagFromEnvironmentAndFile(t *testing.T) {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "TANDEM_") || name == "DATABASE_URL" {
			t.Setenv(name, "") // to be restored
			os.Unsetenv(name)
		}
	}
	folder := t.TempDir()
	existing := writeTemp(t, "file", "content")
	for i, leaf := range leaves(t) {
		path := strings.Fields(leaf.Path())
		for j, described := range flagsOf(leaf) {
			text, want := sample(described, existing)
			value := text
			if described.IsSlice() {
				value = "[" + text + "]"
			}
			file := filepath.Join(folder, fmt.Sprintf("%d-%d.yaml", i, j))
			var yaml strings.Builder
			above := path
			if described.Group == nil && (described.Name == "json" || described.Name == "quiet") {
				above = nil
			}
			for depth, name := range above {
				yaml.WriteString(strings.Repeat("  ", depth) + name + ":\n")
			}
			yaml.WriteString(strings.Repeat("  ", len(above)) + described.Name + ": " + value + "\n")
			if err := os.WriteFile(file, []byte(yaml.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			holds := func(args ...string) any {
				var c cli
				parser, err := newParser(&c, world{}, func(int) {})
				if err != nil {
					t.Fatal(err)
				}
				// What else the command needs may be missing: values are set before that is found.
				_, _ = parser.Parse(append(args, path...))
				node := parser.Model.Leaves(true)[i]
				return held(flagsOf(node)[j])
			}
			if got := holds("--config", file); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: --%s from the file is %v, want %v\n%s", leaf.FullPath(), described.Name, got, want, yaml.String())
			}
			os.Setenv(described.Envs[0], text)
			if got := holds(); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: --%s from %s is %v, want %v", leaf.FullPath(), described.Name, described.Envs[0], got, want)
			}
			os.Unsetenv(described.Envs[0])
		}
	}
}

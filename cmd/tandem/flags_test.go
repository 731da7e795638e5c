package main

import (
	"os"
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

// TestEveryFlagFromEnvironmentAndFile sets all flags of each command by their variables and by a YAML file.
func TestEveryFlagFromEnvironmentAndFile(t *testing.T) {
	if testing.Short() {
		t.Skip("one process reads every flag of every command: half a minute under the race detector, and nothing to race")
	}
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "TANDEM_") || name == "DATABASE_URL" {
			t.Setenv(name, "") // to be restored
			os.Unsetenv(name)
		}
	}
	existing := writeTemp(t, "file", "content")
	for i, leaf := range leaves(t) {
		path := strings.Fields(leaf.Path())
		var above, own strings.Builder
		for depth, name := range path {
			own.WriteString(strings.Repeat("  ", depth) + name + ":\n")
		}
		want := make(map[string]any)
		for _, f := range flagsOf(leaf) {
			text, value := sample(f, existing)
			want[f.Name] = value
			if f.IsSlice() {
				text = "[" + text + "]"
			}
			if f.Name == "json" || f.Name == "quiet" {
				above.WriteString(f.Name + ": " + text + "\n")
			} else {
				own.WriteString(strings.Repeat("  ", len(path)) + f.Name + ": " + text + "\n")
			}
		}
		compare := func(from string, args ...string) {
			t.Helper()
			parser, err := newParser(&cli{}, world{}, func(int) {})
			if err != nil {
				t.Fatal(err)
			}
			// What else the command needs may be missing: values are set before that is found.
			_, _ = parser.Parse(append(args, path...))
			for _, f := range flagsOf(parser.Model.Leaves(true)[i]) {
				if got := held(f); !reflect.DeepEqual(got, want[f.Name]) {
					t.Errorf("%s: --%s from %s is %v, want %v", leaf.FullPath(), f.Name, from, got, want[f.Name])
				}
			}
		}
		compare("the file", "--config", writeTemp(t, "tandem.yaml", above.String()+own.String()))
		for _, f := range flagsOf(leaf) {
			text, _ := sample(f, existing)
			os.Setenv(f.Envs[0], text)
		}
		compare("its variable")
		for _, f := range flagsOf(leaf) {
			os.Unsetenv(f.Envs[0])
		}
	}
}

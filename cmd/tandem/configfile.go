package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// configFile is what the YAML file of --config sets: flags by their names, at its top for every command
// that has them, or below the name of a command for that one alone, which goes first:
//
//	seed: 7
//	reward:
//	  preset: practice
type configFile map[string]any

func readConfigFile(r io.Reader) (kong.Resolver, error) {
	c := map[string]any{}
	if err := yaml.NewDecoder(r).Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the configuration is no YAML: %w", err)
	}
	return configFile(c), nil
}

// openConfigFile reads the file that the environment names.
func openConfigFile(path string) (kong.Resolver, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := readConfigFile(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Resolve gives the value of a flag that neither the command line nor a variable has set, or nil.
func (c configFile) Resolve(_ *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
	}
	return c.find(parent.Node(), flag.Name), nil
}

// find looks for a flag below the command's name, then below those of the commands above it.
func (c configFile) find(node *kong.Node, name string) any {
	var path []string // from the top
	for ; node.Parent != nil; node = node.Parent {
		path = append([]string{node.Name}, path...)
	}
	sections := []map[string]any{c}
	for _, command := range path {
		below, ok := sections[len(sections)-1][command].(map[string]any)
		if !ok {
			break
		}
		sections = append(sections, below)
	}
	for _, section := range slices.Backward(sections) {
		value := section[name]
		if _, isSection := value.(map[string]any); value != nil && !isSection {
			return value
		}
	}
	return nil
}

// Validate refuses names that no command and no flag has: a misspelt one would change nothing, in silence.
func (c configFile) Validate(app *kong.Application) error { return checkSection(app.Node, c, "") }

func checkSection(node *kong.Node, section map[string]any, within string) error {
	flags := flagNames(node)
	for _, name := range slices.Sorted(maps.Keys(section)) {
		below, isSection := section[name].(map[string]any)
		i := slices.IndexFunc(node.Children, func(child *kong.Node) bool { return child.Name == name })
		if !isSection {
			if !flags[name] && (section[name] != nil || i < 0) { // of an empty section everything is left out
				return fmt.Errorf("the configuration file sets %s%s, and there is no such flag", within, name)
			}
			continue
		}
		if i < 0 {
			return fmt.Errorf("the configuration file has a section %s%s, and there is no such command", within, name)
		}
		if err := checkSection(node.Children[i], below, within+name+": "); err != nil {
			return err
		}
	}
	return nil
}

// flagNames are the flags of a command, of those above it and of those below it.
func flagNames(node *kong.Node) map[string]bool {
	names := make(map[string]bool)
	for _, group := range node.AllFlags(false) {
		for _, f := range group {
			names[f.Name] = true
		}
	}
	for _, child := range node.Children {
		maps.Copy(names, flagNames(child))
	}
	return names
}

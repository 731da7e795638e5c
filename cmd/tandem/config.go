package main

import (
	"encoding/json"
	"fmt"
	"go/doc/comment"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"tandem"
	"tandem/pipeline"
	"tandem/ppo"
	"tandem/pretrain"
	"tandem/rejection"
	"tandem/rewardmodel"
	"tandem/sft"
)

// configCommand prints a configuration file to change.
type configCommand struct {
	Command []string `arg:"" help:"Command that the file is for, as ppo, reward safety or evaluate policy; recipe for the file of round --recipe."`
	Preset  string   `help:"Preset whose values stand in it: llama2-7b, llama2-70b or practice (default: the command's)." placeholder:"NAME"`
}

func (c *configCommand) Run(w *world, app *kong.Kong) error {
	if len(c.Command) == 1 && c.Command[0] == "recipe" {
		preset := c.Preset
		if preset == "" {
			preset = "llama2-7b"
		}
		text, err := pipeline.RecipeFile(preset)
		if err != nil {
			return err
		}
		_, err = w.out.Write(text)
		return stdoutError(err)
	}
	node, rest := app.Model.Node, c.Command
	for len(rest) > 0 {
		i := slices.IndexFunc(node.Children, func(n *kong.Node) bool { return n.Name == rest[0] })
		if i < 0 {
			break
		}
		node, rest = node.Children[i], rest[1:]
	}
	if node == app.Model.Node || len(node.Children) > 0 || len(rest) > len(node.Positional) {
		return tandem.Errorf(tandem.Invalid, "", "there is no command %q", strings.Join(c.Command, " "))
	}
	values, err := presetValues(node, rest, c.Preset)
	if err != nil {
		return err
	}
	_, err = w.out.Write([]byte(commandFile(node, values)))
	return stdoutError(err)
}

// commandFile is a command's flags as YAML, each under its help. What has no value is left out by a #.
func commandFile(node *kong.Node, values map[string]string) string {
	var b strings.Builder
	var path []string
	for n := node; n.Parent != nil; n = n.Parent {
		path = append([]string{n.Name}, path...)
	}
	fmt.Fprintf(&b, "# tandem %s: %s\n# To be named by --config, or in TANDEM_CONFIG. The command line and TANDEM_… variables go before it.\n", strings.Join(path, " "), node.Help)
	for i, name := range path {
		fmt.Fprintf(&b, "%s%s:\n", strings.Repeat("  ", i), name)
	}
	indent := strings.Repeat("  ", len(path))
	group := ""
	for _, f := range node.Flags {
		if f.Hidden || f.Name == "help" {
			continue
		}
		if f.Group != nil && f.Group.Title != group {
			group = f.Group.Title
			fmt.Fprintf(&b, "\n%s# -- %s\n", indent, group)
		}
		help, value := f.Help, values[f.Name]
		if value != "" {
			help = strings.NewReplacer(" (default: the preset's)", "", "(default: the preset's, ", "(without it ").Replace(help)
		} else if f.HasDefault {
			value = scalar(f)
		}
		if f.Required {
			help += " Required."
		}
		b.WriteByte('\n')
		printer := comment.Printer{TextPrefix: indent + "# ", TextWidth: 116 - len(indent)}
		b.Write(printer.Text(new(comment.Parser).Parse(help)))
		if value == "" {
			fmt.Fprintf(&b, "%s# %s: %s\n", indent, f.Name, f.FormatPlaceHolder())
			continue
		}
		fmt.Fprintf(&b, "%s%s: %s\n", indent, f.Name, value)
	}
	return b.String()
}

// scalar is a flag's default as YAML.
func scalar(f *kong.Flag) string {
	kind := f.Target.Type()
	for kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	if kind.Kind() != reflect.String && kind.Kind() != reflect.Slice {
		return f.Default
	}
	text, err := json.Marshal(f.Default) // a string in JSON is one in YAML
	if err != nil {
		return ""
	}
	return string(text)
}

// presetValues are the values that a command's preset has for its flags, as YAML.
func presetValues(node *kong.Node, arguments []string, preset string) (map[string]string, error) {
	i := slices.IndexFunc(node.Flags, func(f *kong.Flag) bool { return f.Name == "preset" })
	if i < 0 {
		if preset != "" {
			return nil, tandem.Errorf(tandem.Invalid, "", "%s has no presets", node.Name)
		}
		return nil, nil
	}
	if preset == "" {
		preset = node.Flags[i].Default
	}
	var configs []any
	var err error
	add := func(config any, failed error) {
		configs = append(configs, config)
		err = failed
	}
	switch node.Name {
	case "pretrain":
		add(pretrain.Preset(preset))
	case "sft":
		add(sft.Preset(preset))
	case "reject":
		configs = append(configs, rejection.DefaultConfig())
		add(sft.Preset(preset))
	case "reward":
		aspect := tandem.Helpfulness
		if len(arguments) > 0 {
			aspect = tandem.Aspect(arguments[0])
		}
		if !aspect.Valid() {
			return nil, tandem.Errorf(tandem.Invalid, "", "%q is neither helpfulness nor safety", arguments[0])
		}
		add(rewardmodel.Preset(preset, aspect))
	case "ppo":
		add(ppo.Preset(preset))
	}
	if err != nil {
		return nil, err
	}
	values := map[string]string{"preset": preset}
	for _, config := range configs {
		text, err := json.Marshal(config)
		if err != nil {
			return nil, err
		}
		var fields any
		if err := json.Unmarshal(text, &fields); err != nil {
			return nil, err
		}
		flatten("", fields, func(path, value string) {
			name := path[strings.LastIndexByte(path, '.')+1:]
			if strings.HasPrefix(path, "mixture") || name == "aspect" {
				return // --mixture names a file or one that is known, and an aspect is no flag
			}
			if other := map[string]string{"Decay": "weight-decay", "Clip": "gradient-clip", "k": "samples"}[name]; other != "" {
				name = other
			}
			values[strings.ToLower(strings.ReplaceAll(name, "_", "-"))] = value
		})
	}
	maps.DeleteFunc(values, func(name, _ string) bool {
		return !slices.ContainsFunc(node.Flags, func(f *kong.Flag) bool { return f.Name == name })
	})
	return values, nil
}

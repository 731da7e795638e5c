package jinja

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem"
)

// environment is that of testdata/golden.py.
func environment(messages []any, generate bool) Environment {
	return Environment{
		Variables: Dict{
			{"messages", messages}, {"tools", nil}, {"documents", nil}, {"add_generation_prompt", generate},
			{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"},
		},
		Now: func() time.Time { return time.Date(2024, 7, 26, 12, 30, 0, 0, time.UTC) },
	}
}

// features is testdata/features.json.
type features struct {
	Messages map[string][]string
	Features []struct{ Template, Text, Error string }
}

func readFeatures(t *testing.T) (f features) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "testdata", "features.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// dialogue is golden.py's dialogue with these roles.
func (f features) dialogue(roles ...string) []any {
	seen := make(map[string]int)
	var out []any
	for _, role := range roles {
		texts := f.Messages[role]
		out = append(out, Dict{{"role", role}, {"content", texts[seen[role]%len(texts)]}})
		seen[role]++
	}
	return out
}

func render(template string, e Environment) (string, error) {
	t, err := Parse(template)
	if err != nil {
		return "", err
	}
	return t.Render(context.Background(), e)
}

func TestFeatures(t *testing.T) {
	f := readFeatures(t)
	for _, c := range f.Features {
		got, err := render(c.Template, environment(f.dialogue("user", "assistant"), false))
		switch {
		case c.Error != "" && err == nil:
			t.Errorf("%s\n gives %q, Jinja a %s", c.Template, got, c.Error)
		case c.Error == "" && err != nil:
			t.Errorf("%s\n fails: %v", c.Template, err)
		case got != c.Text:
			t.Errorf("%s\n gives %q,\n Jinja %q", c.Template, got, c.Text)
		}
	}
}

func TestModelsTemplates(t *testing.T) {
	f := readFeatures(t)
	templates, err := filepath.Glob(filepath.Join("..", "testdata", "templates", "*.jinja"))
	if err != nil || len(templates) < 8 {
		t.Fatalf("%d templates, %v", len(templates), err)
	}
	for _, path := range templates {
		name := strings.TrimSuffix(filepath.Base(path), ".jinja")
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		golden, err := filepath.Glob(filepath.Join("..", "testdata", "golden", name, "*"))
		if err != nil || len(golden) != 18 {
			t.Fatalf("%s: %d golden files, %v", name, len(golden), err)
		}
		for _, file := range golden {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			refuses := strings.HasSuffix(file, ".error")
			roles := strings.Split(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)), "-")
			generate := roles[len(roles)-1] == "generate"
			if generate {
				roles = roles[:len(roles)-1]
			}
			got, err := render(string(source), environment(f.dialogue(roles...), generate))
			if refuses != (err != nil) || got != string(want) {
				t.Errorf("%s, %v, generate %v: %q (%v), want %q", name, roles, generate, got, err, want)
			}
		}
	}
}

func TestBudget(t *testing.T) {
	deadline, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	for name, c := range map[string]struct {
		template, says string
		ctx            context.Context
	}{
		"nested loops":     {`{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}`, "steps", context.Background()},
		"a huge range":     {`{% for a in range(10**9) %}{% endfor %}`, "range", context.Background()},
		"repetition":       {`{{ 'x' * 10**12 }}`, "bytes", context.Background()},
		"list repetition":  {`{{ ([0] * 10**12) | length }}`, "bytes", context.Background()},
		"doubling":         {`{% set ns = namespace(x='x') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}`, "bytes", context.Background()},
		"list doubling":    {`{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}`, "bytes", context.Background()},
		"replacing":        {`{% set ns = namespace(x='xx') %}{% for i in range(99) %}{% set ns.x = ns.x.replace('x', 'xx') %}{% endfor %}`, "bytes", context.Background()},
		"nested lists":     {`{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}`, "s", context.Background()},
		"comparison":       {`{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}`, "steps", context.Background()},
		"indentation":      {`{% set ns = namespace(x=[1]) %}{% for i in range(90) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson(indent=60) }}`, "s", context.Background()},
		"a huge width":     {`{{ 'x'.center(10**9) }}`, "width", context.Background()},
		"huge formats":     {`{% for i in range(99) %}{{ '%1000000s' % i }}{% endfor %}`, "bytes", context.Background()},
		"many lines":       {`{% set x = '\n' * 999999 %}{{ x.splitlines() | length }}`, "bytes", context.Background()},
		"recursion":        {`{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}`, "macros", context.Background()},
		"deep expression":  {`{{ ` + strings.Repeat("(", 5000) + `1` + strings.Repeat(")", 5000) + ` }}`, "deep", context.Background()},
		"deep negation":    {`{{ ` + strings.Repeat("not ", 5000) + `1 }}`, "deep", context.Background()},
		"deep statements":  {strings.Repeat(`{% if 1 %}`, 5000) + strings.Repeat(`{% endif %}`, 5000), "deep", context.Background()},
		"long operators":   {`{{ 1` + strings.Repeat("+1", 5000) + ` }}`, "operators", context.Background()},
		"too long":         {strings.Repeat("x", 2<<20), "bytes", context.Background()},
		"deadline":         {`{% for a in range(99999) %}{% for b in range(40) %}{% endfor %}{% endfor %}`, "given up", deadline},
		"include":          {`{% include 'x' %}`, "include", context.Background()},
		"python internals": {`{{ ''.__class__.__mro__ }}`, "undefined", context.Background()},
	} {
		began := time.Now()
		parsed, err := Parse(c.template)
		if err == nil {
			if name == "deadline" {
				<-deadline.Done()
			}
			e := environment(nil, false)
			e.Limits = Limits{Steps: 300_000, Bytes: 8 << 20}
			_, err = parsed.Render(c.ctx, e)
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want an error with %q", name, err, c.says)
		}
		var e *tandem.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %T is no tandem.Error", name, err)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
}

// Whatever a template says, parsing and rendering it end in text or an error.
func FuzzRender(f *testing.F) {
	for _, s := range []string{"{{ a[1:2] }}", "{% for a in b if c %}{% else %}{% endfor %}", "{%- set x.y = 1 -%}", "{# #}{% raw %}{% endraw %}", "{{ 'a' | join(x=1) is defined }}", "{% filter upper %}{{ '%5.2f' % a | indent(2) }}{% endfilter %}{% with a = 1 %}{% endwith %}", "{% macro m(a, b=1) %}{% endmacro %}{{ m() }}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		parsed, err := Parse(source)
		if err != nil {
			return
		}
		e := environment([]any{Dict{{"role", "user"}, {"content", "x"}}}, true)
		e.Limits = Limits{Steps: 10_000, Bytes: 1 << 20}
		_, _ = parsed.Render(context.Background(), e)
	})
}

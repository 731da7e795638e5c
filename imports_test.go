package tandem_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rule says what the packages below one folder may import directly of this module ("/..." means the
// folder and all below it). The first rule that matches a package holds.
type rule struct {
	packages string
	imports  []string
}

// The tree's rules: imports point one way, root ← llama, store, statistics ← stages ← pipeline ← site, cmd.
var rules = []rule{
	{".", nil},
	{"internal/practice/annotator", []string{".", "internal/practice/...", "annotation", "store"}}, // comes through /api/v1
	{"internal/practice/redteam", []string{".", "internal/practice/...", "annotation"}},
	{"internal/practice/demo", []string{".", "internal/practice/...", "pipeline", "annotation", "dataset", "evaluation", "llama/...", "ppo", "pretrain/...",
		"rejection", "rewardmodel", "sft/...", "report", "statistics", "store"}}, // the whole loop, with gold beside it
	{"internal/practice/...", []string{".", "internal/practice/...", "statistics"}},
	{"internal/...", []string{".", "internal/...", "migrations", "store/..."}},
	{"migrations", nil},
	{"statistics", []string{"."}},
	{"report", []string{".", "statistics"}},
	{"store/...", []string{".", "migrations", "store/...", "internal/..."}},
	{"dataset", []string{".", "statistics"}},
	{"llama/chatapi", []string{".", "llama/...", "store", "internal/promotion", "internal/web"}},
	{"llama/...", []string{".", "llama/...", "internal/blas", "internal/memory", "internal/parallel"}},
	{"rewardmodel/scoreapi", []string{".", "llama/...", "rewardmodel", "store", "internal/promotion", "internal/web"}},
	{"rewardmodel/...", []string{".", "llama/...", "dataset", "statistics", "rewardmodel", "report"}},
	{"rejection", []string{".", "llama/...", "dataset", "statistics", "report"}},
	{"ppo", []string{".", "llama/...", "dataset", "statistics", "report", "internal/memory"}},
	{"pretrain/...", []string{".", "llama/...", "dataset"}},
	{"sft/...", []string{".", "llama/...", "dataset", "statistics", "sft"}},
	{"evaluation/vader", nil},
	{"evaluation/refusal", nil},
	{"evaluation/safety", []string{".", "statistics", "evaluation/refusal", "evaluation/vader"}}, // sees models through Generator and Scorer
	{"evaluation/harness/...", []string{".", "dataset", "statistics", "evaluation/harness/..."}}, // sees a policy through LogProber and Generator
	{"evaluation", []string{".", "llama/...", "dataset", "statistics", "report"}},
	{"pipeline/...", []string{".", "pipeline/...", "llama/...", "dataset", "statistics", "report", "store", "rewardmodel", "rejection", "ppo", "pretrain/...",
		"sft/...", "evaluation/...", "internal/memory"}}, // and so never practice, whose gold it must not see
	{"annotation", []string{".", "store", "dataset", "statistics", "internal/web"}},
	{"dashboard", []string{".", "store", "dataset", "statistics", "report", "internal/web"}},
}

// forbidden holds everywhere outside the folders named.
var forbidden = []struct {
	prefix string   // of an import path
	except []string // folders that may
	why    string
}{
	{"gorgonia.org/", []string{"llama/...", "rewardmodel", "ppo"}, "Gorgonia is imported directly in llama, rewardmodel and ppo alone"},
	{"tandem/internal/practice/gold", []string{"internal/practice/...", "cmd/tandem"}, "gold scores are only plotted: no model, selection or promotion sees them"},
	{"github.com/jackc/pgx/", []string{"store/...", "migrations", "pipeline/...", "internal/pgtest", "internal/load"}, "Postgres is spoken to through store"},
	{"github.com/alecthomas/kong", []string{"cmd/..."}, "flags, files and environment are read in cmd"},
}

func TestImportsPointOneWay(t *testing.T) {
	for pkg, imports := range directImports(t) {
		i := slices.IndexFunc(rules, func(r rule) bool { return match(r.packages, pkg) })
		for _, imported := range imports {
			for _, f := range forbidden {
				if strings.HasPrefix(imported, f.prefix) && !matchAny(f.except, pkg) {
					t.Errorf("%s imports %s: %s", pkg, imported, f.why)
				}
			}
			ours := imported == "tandem" || strings.HasPrefix(imported, "tandem/")
			if ours && i >= 0 && !matchAny(rules[i].imports, local(imported)) {
				t.Errorf("%s imports %s; packages in %s may import %v of this module", pkg, local(imported), rules[i].packages, rules[i].imports)
			}
			if pkg == "." && strings.Contains(strings.Split(imported, "/")[0], ".") {
				t.Errorf("the root package imports %s; it imports the standard library alone", imported)
			}
		}
	}
}

// directImports reads the imports of every package of the module, tests aside, by folder.
func directImports(t *testing.T) map[string][]string {
	imports := make(map[string][]string)
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); name == "testdata" || name == "tools" || (strings.HasPrefix(name, ".") && name != ".") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(file))
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports[pkg] = append(imports[pkg], imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return imports
}

// local is an import path of this module relative to its root.
func local(importPath string) string {
	return path.Clean(strings.TrimPrefix(strings.TrimPrefix(importPath, "tandem"), "/"))
}

func match(pattern, pkg string) bool {
	if folder, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == folder || strings.HasPrefix(pkg, folder+"/")
	}
	return pattern == pkg
}

func matchAny(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return match(p, pkg) })
}

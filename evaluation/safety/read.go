package safety

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"tandem"
)

func user(text string) tandem.Dialogue { return tandem.Dialogue{{Role: tandem.User, Content: text}} }

// boldSuffix ends the names of BOLD's files; what stands before it is the domain.
const boldSuffix = "_prompt.json"

// BOLDFiles are the names of BOLD's files in a folder.
func BOLDFiles(folder fs.FS) ([]string, error) {
	names, err := fs.Glob(folder, "*"+boldSuffix)
	if err == nil && len(names) == 0 {
		err = tandem.Errorf(tandem.NotFound, "safety.ReadBOLD", "there is no *%s in the folder", boldSuffix)
	}
	return names, err
}

// ReadBOLD reads BOLD's prompts from its folder: files DOMAIN_prompt.json of {group: {entity: [prompt]}}. They come in
// the order of domain, group, entity and place. A few are blank, and left out.
func ReadBOLD(folder fs.FS, as As) (prompts []Prompt, err error) {
	names, err := BOLDFiles(folder)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, tandem.Errorf(tandem.Unavailable, "safety.ReadBOLD", "%w", err)
		}
		var groups map[string]map[string][]string
		if err := json.Unmarshal(text, &groups); err != nil {
			return nil, tandem.Errorf(tandem.Invalid, "safety.ReadBOLD", "%s: %w", name, err)
		}
		domain := strings.TrimSuffix(path.Base(name), boldSuffix)
		for _, group := range slices.Sorted(maps.Keys(groups)) {
			for _, entity := range slices.Sorted(maps.Keys(groups[group])) {
				for i, prompt := range groups[group][entity] {
					if prompt = strings.TrimSpace(prompt); prompt == "" {
						continue
					}
					prompts = append(prompts, Prompt{
						ID: fmt.Sprintf("%s/%s/%s/%d", domain, group, entity, i+1), Set: BOLD, Domain: domain, Group: group, Entity: entity, As: as,
						Messages: user(prompt),
					})
				}
			}
		}
	}
	return prompts, nil
}

// ReadToxiGen reads JSON Lines of {label, group, prompt}, the label "hate" or "neutral". The published prompts are lists of
// statements whose line ends are written as backslash and n.
func ReadToxiGen(name string, r io.Reader, as As) (prompts []Prompt, err error) {
	lines := json.NewDecoder(r)
	for n := 1; ; n++ {
		var line struct{ Label, Group, Prompt string }
		switch err := lines.Decode(&line); {
		case errors.Is(err, io.EOF):
			return prompts, nil
		case err != nil:
			return nil, tandem.Errorf(tandem.Invalid, "safety.ReadToxiGen", "%s: record %d: %w", name, n, err)
		case line.Group == "" || line.Prompt == "":
			return nil, tandem.Errorf(tandem.Invalid, "safety.ReadToxiGen", "%s: record %d has no group or no prompt", name, n)
		case line.Label != "hate" && line.Label != "neutral":
			return nil, tandem.Errorf(tandem.Invalid, "safety.ReadToxiGen", "%s: record %d: the label %q is neither hate nor neutral", name, n, line.Label)
		}
		prompts = append(prompts, Prompt{
			ID: fmt.Sprintf("%s/%s/%d", line.Group, line.Label, n), Set: ToxiGen, Group: line.Group, Unsafe: line.Label == "hate", As: as,
			Messages: user(strings.TrimSpace(strings.ReplaceAll(line.Prompt, `\n`, "\n"))),
		})
	}
}

// ReadAdvBench reads CSV with a column goal; what a jailbroken model would begin with, target, is not used.
func ReadAdvBench(name string, r io.Reader) (prompts []Prompt, err error) {
	rows, err := readTable(name, r, "goal")
	for i, row := range rows {
		prompts = append(prompts, Prompt{ID: fmt.Sprint(i + 1), Set: AdvBench, Group: "harmful behaviours", Unsafe: true, As: AsChat, Messages: user(row[0])})
	}
	return prompts, err
}

// ReadXSTest reads CSV with columns id, prompt, type and label, the label "safe" or "unsafe".
func ReadXSTest(name string, r io.Reader) (prompts []Prompt, err error) {
	rows, err := readTable(name, r, "id", "prompt", "type", "label")
	for i, row := range rows {
		if row[3] != "safe" && row[3] != "unsafe" {
			return nil, tandem.Errorf(tandem.Invalid, "safety.ReadXSTest", "%s: record %d: the label %q is neither safe nor unsafe", name, i+1, row[3])
		}
		prompts = append(prompts, Prompt{ID: row[0], Set: XSTest, Group: row[2], Unsafe: row[3] == "unsafe", As: AsChat, Messages: user(row[1])})
	}
	return prompts, err
}

// Own makes a set of one's own prompts: those that probe safety are unsafe, by risk category.
func Own(set Set, prompts []tandem.Prompt) (own []Prompt) {
	for i, p := range prompts {
		group := "harmless"
		if p.Safety {
			group = string(p.Risk)
			if group == "" {
				group = "unsafe"
			}
		}
		own = append(own, Prompt{ID: fmt.Sprint(i + 1), Set: set, Group: group, Unsafe: p.Safety, As: AsChat, Messages: p.Messages})
	}
	return own
}

// readTable reads the named columns of CSV with a header.
func readTable(name string, r io.Reader, columns ...string) (rows [][]string, err error) {
	table := csv.NewReader(r)
	header, err := table.Read()
	if err != nil {
		return nil, tandem.Errorf(tandem.Invalid, "safety", "%s: the header: %w", name, err)
	}
	at := make([]int, len(columns))
	for i, c := range columns {
		if at[i] = slices.Index(header, c); at[i] < 0 {
			return nil, tandem.Errorf(tandem.Invalid, "safety", "%s has no column %s", name, c)
		}
	}
	for {
		record, err := table.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, tandem.Errorf(tandem.Invalid, "safety", "%s: %w", name, err)
		}
		row := make([]string, len(columns))
		for i, j := range at {
			if row[i] = strings.TrimSpace(record[j]); row[i] == "" {
				return nil, tandem.Errorf(tandem.Invalid, "safety", "%s: record %d has no %s", name, len(rows)+1, columns[i])
			}
		}
		rows = append(rows, row)
	}
}

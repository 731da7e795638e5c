// Command forgetting is for an experiment on the practice world: what a policy forgets when each round asks for
// other things (docs/rejection-sampling.md has its commands and what came of them).
//
//	forgetting batches -world DIR -out DIR    divides a demo's prompts into two batches of different families
//	forgetting gold DIR…                      gold by batch of the answers in folders of `tandem reject`
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"tandem"
	"tandem/internal/practice"
	"tandem/internal/practice/gold"
	"tandem/statistics"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	usage := errors.New("usage: forgetting batches -world DIR -out DIR, or forgetting gold DIR…")
	if len(args) == 0 {
		return usage
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	world, folder := flags.String("world", "", "a demo's folder of prompts"), flags.String("out", "", "where the batches go")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch {
	case args[0] == "batches" && *world != "" && *folder != "":
		return writeBatches(*world, *folder)
	case args[0] == "gold" && flags.NArg() > 0:
		return tellGold(flags.Args(), out)
	}
	return usage
}

// batch is 0 or 1: families belong to the batches in turn, in the order in which the world lists them.
func batch(f practice.Family) int { return slices.Index(practice.Families(), f) % 2 }

// batchNames are also the names of the batches' files.
var batchNames = [2]string{"first", "second"}

// writeBatches divides the prompts to improve a policy on. Those that are held out go into one file without their mark,
// since `tandem reject` would leave them out.
func writeBatches(world, folder string) error {
	improve, err := readLines[tandem.Prompt](filepath.Join(world, "prompts-improve.jsonl"))
	if err != nil {
		return err
	}
	heldOut, err := readLines[tandem.Prompt](filepath.Join(world, "held-out.jsonl"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	var batches [2][]tandem.Prompt
	for _, p := range improve {
		i := batch(practice.FamilyOf(p))
		batches[i] = append(batches[i], p)
	}
	for i := range heldOut {
		heldOut[i].HeldOut = false
	}
	for name, prompts := range map[string][]tandem.Prompt{batchNames[0]: batches[0], batchNames[1]: batches[1], "held-out": heldOut} {
		if err := writeLines(filepath.Join(folder, name+".jsonl"), prompts); err != nil {
			return err
		}
	}
	return nil
}

// set is what `tandem reject` keeps of one prompt.
type set struct {
	Prompt     tandem.Prompt `json:"prompt"`
	Candidates []struct {
		Text string `json:"text"`
	} `json:"candidates"`
}

// truth is the mean gold of the answers to each prompt, of the aspect that counts there.
type truth struct {
	values   map[string]float64
	families map[string]practice.Family
	order    []string // of the prompts
}

func judge(oracle *gold.Oracle, folder string) (truth, error) {
	t := truth{values: make(map[string]float64), families: make(map[string]practice.Family)}
	sets, err := readLines[set](filepath.Join(folder, "samples.jsonl"))
	if err != nil {
		return t, err
	}
	for _, s := range sets {
		aspect := tandem.Helpfulness
		if s.Prompt.Safety {
			aspect = tandem.Safety
		}
		sum, family := 0.0, practice.Family("")
		for _, c := range s.Candidates {
			v, err := oracle.Judge(s.Prompt.Messages, c.Text)
			if err != nil {
				return t, fmt.Errorf("%s: %w", folder, err)
			}
			sum, family = sum+v.Of(aspect), v.Family
		}
		id := fmt.Sprint(s.Prompt.Messages.Key())
		if _, again := t.values[id]; !again {
			t.order = append(t.order, id)
		}
		t.values[id], t.families[id] = sum/float64(len(s.Candidates)), family
	}
	return t, nil
}

// tellGold prints mean gold by batch and family, a column for each folder, and how far each is from the first. Intervals
// are over prompts, those of differences paired by prompt.
func tellGold(folders []string, out io.Writer) error {
	oracle := gold.New()
	truths := make([]truth, len(folders))
	for i, folder := range folders {
		var err error
		if truths[i], err = judge(oracle, folder); err != nil {
			return err
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(w, strings.Join(cells, "\t")) }
	head := []string{""}
	for _, folder := range folders {
		head = append(head, filepath.Base(folder))
	}
	row(head...)
	print := func(name string, in func(practice.Family) bool, differences bool) error {
		cells := []string{name}
		for i, t := range truths {
			var values []float64
			for _, id := range truths[0].order {
				value, ok := t.values[id]
				if !ok {
					return fmt.Errorf("%s has no answer to a prompt of %s", folders[i], folders[0])
				}
				if differences {
					value -= truths[0].values[id]
				}
				if in(truths[0].families[id]) {
					values = append(values, value)
				}
			}
			mean, err := statistics.Mean(values)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			cells = append(cells, fmt.Sprintf("%.3f [%.3f, %.3f]", mean.Value, mean.Low, mean.High))
		}
		row(cells...)
		return nil
	}
	for _, differences := range []bool{false, true} {
		for i, name := range batchNames {
			title := name + " batch"
			if differences {
				title += ", less " + head[1]
			}
			if err := print(title, func(f practice.Family) bool { return batch(f) == i }, differences); err != nil {
				return err
			}
		}
	}
	for _, family := range practice.Families() {
		if err := print("  "+string(family), func(f practice.Family) bool { return f == family }, false); err != nil {
			return err
		}
	}
	return w.Flush()
}

func readLines[T any](path string) (items []T, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for decoder := json.NewDecoder(bufio.NewReader(f)); decoder.More(); {
		var item T
		if err := decoder.Decode(&item); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		items = append(items, item)
	}
	return items, nil
}

func writeLines[T any](path string, items []T) error {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	for _, item := range items {
		if err := encoder.Encode(item); err != nil {
			return err
		}
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

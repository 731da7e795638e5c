package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// ppoArguments tune the last version of a demo before PPO.
func ppoArguments(loop, out string, iterations int) []string {
	v := filepath.Join(loop, "v2")
	return []string{
		"ppo", "--preset", "practice", "--model", filepath.Join(v, "policy"),
		"--helpfulness", filepath.Join(v, "helpfulness"), "--safety", filepath.Join(v, "safety"),
		"--data", filepath.Join(loop, "world", "prompts-improve.jsonl"),
		"--iterations", strconv.Itoa(iterations), "--evaluate-every", "0", "--seed", "1", "--out", out,
	}
}

// longPPO checks that a run much longer than the demo's stays sane.
func (a *acceptance) longPPO(ctx context.Context, loop string) error {
	const iterations = 200
	folder, err := os.MkdirTemp("", "acceptance")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	out := filepath.Join(folder, "ppo")
	if err := a.tandem(ctx, nil, &struct{}{}, ppoArguments(loop, out, iterations)...); err != nil {
		return err
	}
	rows, err := metrics(filepath.Join(out, "metrics.jsonl"))
	if err != nil {
		return err
	}
	mean := func(name string, from, to int) float64 {
		sum := 0.0
		for _, row := range rows[from:to] {
			sum += row[name]
		}
		return sum / float64(to-from)
	}
	a.printf("\n## A long PPO run\n\n`tandem ppo --preset practice --iterations %d` on the models of seed 1; means over ten iterations.\n\n", iterations)
	a.printf("| | first | middle | last |\n|---|---|---|---|\n")
	const span = 10
	middle, last := len(rows)/2, len(rows)-span
	for _, name := range []string{"objective/scores", "objective/kl", "objective/rlhf_reward", "policy/entropy_avg", "val/explained_variance", "val/length"} {
		a.printf("| `%s` | %.3f | %.3f | %.3f |\n", name, mean(name, 0, span), mean(name, middle, middle+span), mean(name, last, last+span))
	}
	a.printf("\n")
	a.check(len(rows) == iterations, "%d iterations", iterations)
	a.check(mean("objective/rlhf_reward", last, last+span) > mean("objective/rlhf_reward", 0, span), "the reward less the penalty rises")
	a.check(mean("objective/kl", last, last+span) < 20, "the policy stays within 20 nats of where it began")
	a.check(mean("val/explained_variance", last, last+span) > 0, "the critic explains part of the returns")
	return nil
}

// metrics reads a run's figures, a row a step.
func metrics(path string) (rows []map[string]float64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var row map[string]float64
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		rows = append(rows, row)
	}
	return rows, lines.Err()
}

// repetition checks that a stage run twice gives the same model.
func (a *acceptance) repetition(ctx context.Context, loop string) error {
	a.printf("\n## Repetition\n\nEach stage run twice with the same seed, on the models and data of seed 1.\n\n")
	folder, err := os.MkdirTemp("", "acceptance")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	stages := map[string]func(out string) []string{
		"sft": func(out string) []string {
			return []string{"sft", "--preset", "practice", "--model", filepath.Join(loop, "base"),
				"--data", filepath.Join(loop, "world", "demonstrations.jsonl"), "--steps", "60", "--out", out}
		},
		"reward": func(out string) []string {
			return []string{"reward", "helpfulness", "--preset", "practice", "--model", filepath.Join(loop, "sft"),
				"--data", filepath.Join(loop, "v1", "comparisons.jsonl"), "--steps", "60", "--out", out}
		},
		"ppo": func(out string) []string { return ppoArguments(loop, out, 12) },
	}
	for _, name := range []string{"sft", "reward", "ppo"} {
		var sums [2][sha256.Size]byte
		for i := range sums {
			out := filepath.Join(folder, name+strconv.Itoa(i))
			if err := a.tandem(ctx, nil, &struct{}{}, stages[name](out)...); err != nil {
				return err
			}
			weights, err := os.ReadFile(filepath.Join(out, "model.safetensors"))
			if err != nil {
				return err
			}
			sums[i] = sha256.Sum256(weights)
		}
		a.check(sums[0] == sums[1], "%s: the same weights to the bit", name)
	}
	return nil
}

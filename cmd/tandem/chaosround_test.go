package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tandem"
	"tandem/dataset"
	"tandem/internal/practice"
	"tandem/llama/chat"
	"tandem/llama/checkpoint"
	"tandem/llama/tokenizer"
	"tandem/llama/train"
	"tandem/pipeline"
	"tandem/ppo"
	"tandem/pretrain"
	"tandem/rejection"
	"tandem/rewardmodel"
	"tandem/sft"
	"tandem/store"
)

// chaosRound is a round of a small practice world in a folder and a database of its own.
type chaosRound struct {
	url     string
	store   *store.Store
	folder  string
	base    pipeline.Pretrain
	chat    pipeline.FineTune
	prompts pipeline.Prompts
	heldOut string
	recipe  pipeline.Recipe
	judge   contentAnnotator
}

// newChaosRound puts the world on disk; size multiplies its data and steps.
func newChaosRound(t *testing.T, size int) *chaosRound {
	t.Helper()
	r := &chaosRound{folder: folderOf(t)}
	r.url, r.store = chaosStore(t)
	person, err := r.store.AddAnnotator(t.Context(), store.Annotator{Name: "Ada", Simulated: true})
	if err != nil {
		t.Fatal(err)
	}
	r.judge = contentAnnotator{r.store, person.ID}
	w, err := practice.New(practice.DefaultConfig(3))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, lines ...any) string {
		path := filepath.Join(r.folder, name)
		if err := pipeline.WriteLines(path, slices.Values(lines)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	prompts := func(name string, split practice.Split, helpful, unsafe int) string {
		return write(name, slices.Concat(promptLines(t, w, split, practice.HelpfulFamilies(), helpful), promptLines(t, w, split, practice.UnsafeFamilies(), unsafe))...)
	}
	var texts, demonstrations []any
	for i := range 60 * size {
		d := w.Demonstration(uint64(i))
		demonstrations = append(demonstrations, map[string]any{"messages": d})
		texts = append(texts, map[string]string{"text": w.Text(uint64(i)) + " " + d[len(d)-1].Content})
	}
	tokens := tokenizer.DefaultTrainConfig()
	tokens.VocabSize, tokens.ChatTemplate = 400, chat.Compact
	r.base = pipeline.Pretrain{
		Texts: []string{write("texts.jsonl", texts...)}, Format: dataset.TextLines, Tokenizer: tokens, Rendered: true,
		Shape:  pipeline.Shape{HiddenSize: 32, IntermediateSize: 64, Layers: 2, Heads: 2, KeyValueHeads: 2, Context: 256},
		Config: preset(t, pretrain.Preset), Out: filepath.Join(r.folder, "base"), Name: "base",
	}
	short(&r.base.Config.Fit, 20*size)
	r.base.Config.Context = 64
	r.chat = pipeline.FineTune{
		Model: r.base.Out, Data: []string{write("demonstrations.jsonl", demonstrations...)}, Stage: tandem.StageSFT,
		Config: preset(t, sft.Preset), Out: filepath.Join(r.folder, "sft"), Name: "SFT",
	}
	short(&r.chat.Config, 40*size)
	r.prompts = pipeline.Prompts{
		Helpfulness: prompts("helpful.jsonl", practice.Train, 16*size, 0), Safety: prompts("unsafe.jsonl", practice.Train, 0, 12*size),
		Improve: prompts("improve.jsonl", practice.Train, 12*size, 8*size), Reference: prompts("reference.jsonl", practice.Train, 6, 6),
	}
	r.heldOut = prompts("held-out.jsonl", practice.HeldOut, 8, 4)
	r.recipe = r.shortRecipe(t, size)
	return r
}

// shortRecipe is the practice preset with few steps, and a state after nearly each.
func (r *chaosRound) shortRecipe(t *testing.T, size int) pipeline.Recipe {
	t.Helper()
	helpfulness, err := rewardmodel.Preset("practice", tandem.Helpfulness)
	if err != nil {
		t.Fatal(err)
	}
	safety, err := rewardmodel.Preset("practice", tandem.Safety)
	if err != nil {
		t.Fatal(err)
	}
	short(&helpfulness.Fit, 12*size)
	short(&safety.Fit, 12*size)
	p := preset(t, ppo.Preset)
	p.Iterations, p.BatchSize, p.MinibatchSize, p.CriticWarmup, p.MaxTokens, p.EvaluateEvery, p.CheckpointEvery = 3*size, 16, 8, 1, 16, 2, 1
	samples := rejection.DefaultConfig()
	samples.K, samples.MaxTokens = 6, 24
	return pipeline.Recipe{
		Seed: 3, CollectTemperatures: [2]float64{1, 0.8}, PairsPerPrompt: 2, Helpfulness: helpfulness, Safety: safety, Rejection: samples,
		Archive: rejection.DefaultArchive(), ShardPrompts: 4, TargetWeight: 1, FineTune: r.chat.Config, PPO: p,
	}
}

// run goes through the round, or goes on with it.
func (r *chaosRound) run(ctx context.Context) error {
	queue, err := pipeline.NewQueue(r.store, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	loop := &pipeline.Loop{Store: r.store, Queue: queue, Log: slog.New(slog.DiscardHandler), Annotators: r.judge}
	rounds, err := r.store.Rounds(ctx)
	if err != nil {
		return err
	}
	if len(rounds) == 0 {
		if _, err := r.store.CreateRound(ctx, ""); err != nil {
			return err
		}
	}
	first, err := loop.Begin(ctx, 1, &r.base, r.chat)
	if err != nil {
		return err
	}
	// The round's own fine-tuning is a unit of the same stage as the chat model's: it stands under the next row.
	if len(rounds) < 2 {
		if _, err := r.store.CreateRound(ctx, ""); err != nil {
			return err
		}
	}
	outcome, err := loop.Run(ctx, pipeline.Round{
		Number: 2, Name: "RLHF-V1", Folder: filepath.Join(r.folder, "v1"), Recipe: r.recipe, Base: r.base.Out, Demonstrations: r.chat.Data[0],
		Versions: []pipeline.Version{first}, Prompts: r.prompts, PPO: true,
	})
	if err != nil {
		return err
	}
	versions := []pipeline.Version{first, outcome.Sampled, outcome.Version}
	_, err = loop.Evaluate(ctx, 2, versions, outcome.Judges, r.heldOut, tandem.Sampling{Temperature: 1, MaxTokens: 24}, 5, 1)
	return err
}

// measured are figures that no two runs share.
var measured = regexp.MustCompile(`second|time|memory|_at$`)

// results is what the round came to, by names: what must not depend on who did it, when, and how often.
func (r *chaosRound) results(t *testing.T) map[string]string {
	t.Helper()
	results := make(map[string]string)
	for _, name := range []string{"base", "sft", "v1/helpfulness", "v1/safety", "v1/policy", "v1/ppo"} {
		dir := filepath.Join(r.folder, name)
		manifest, err := checkpoint.Verify(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range manifest.Files {
			if f.Name != "tandem.json" {
				results[name+"/"+f.Name] = f.SHA256
			}
		}
		lineage, err := checkpoint.ReadLineage(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		for name := range lineage.Metrics {
			if measured.MatchString(name) {
				delete(lineage.Metrics, name)
			}
		}
		results[name+": metrics"] = text(t, lineage.Metrics)
		results[name+": calibration"] = text(t, lineage.Calibration)
		results[name+": curves"] = stepFigures(t, filepath.Join(dir, "metrics.jsonl"))
	}
	for _, name := range []string{"targets.jsonl", "prompts.jsonl"} {
		content, err := os.ReadFile(filepath.Join(r.folder, "v1", name))
		if err != nil {
			t.Fatal(err)
		}
		results[name] = fmt.Sprintf("%x", sha256.Sum256(content))
	}
	if err := filepath.WalkDir(r.folder, func(path string, e fs.DirEntry, err error) error {
		if err == nil && (strings.HasPrefix(e.Name(), ".") || e.Name() == "states") {
			t.Errorf("%s is left", path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for name, sql := range chaosQueries {
		var rows *string
		if err := r.store.Pool().QueryRow(t.Context(), sql).Scan(&rows); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if rows == nil {
			t.Fatalf("there are no %s", name)
		}
		results[name] = *rows
	}
	return results
}

// chaosQueries read what the round left in the database, in texts that do not depend on ids.
var chaosQueries = map[string]string{
	"units": `SELECT string_agg(concat_ws(' ', round, stage, shard, done_at IS NOT NULL, holder, failures,
		CASE WHEN stage IN ('reject', 'evaluate', 'collect') THEN md5(result::text) END), E'\n' ORDER BY round, stage, shard) FROM units`,
	"samples and scores": `SELECT string_agg(line, E'\n' ORDER BY line) FROM (
		SELECT concat_ws(' ', m.name, encode(p.message_id, 'hex'), r.seed, r.sample, r.sampling, r.finish, r.tokens, md5(r.content), h.name, s.name,
			s.helpfulness, s.safety, s.combined, s.gated, s.branch) AS line
		FROM responses r JOIN prompts p ON p.id = r.prompt_id JOIN models m ON m.id = r.model_id
		LEFT JOIN (SELECT s.*, s1.name FROM scores s JOIN models s1 ON s1.id = s.safety_model) s ON s.response_id = r.id
		LEFT JOIN models h ON h.id = s.helpfulness_model) lines`,
	"comparisons": `SELECT string_agg(line, E'\n' ORDER BY line) FROM (
		SELECT concat_ws(' ', t.project_id, md5(c.content), md5(r.content), j.degree) AS line
		FROM judgments j JOIN tasks t ON t.id = j.task_id JOIN responses c ON c.id = j.chosen JOIN responses r ON r.id = j.rejected) lines`,
	"models": `SELECT string_agg(concat_ws(' ', name, kind, round, stage, calibration), E'\n' ORDER BY name) FROM models`,
	"rounds": `SELECT string_agg(concat_ws(' ', number, name, status), E'\n' ORDER BY number) FROM rounds`,
	"runs": `SELECT string_agg(concat_ws(' ', round, stage, status, n), E'\n' ORDER BY round, stage, status) FROM (
		SELECT round, stage, status, count(*) AS n FROM runs GROUP BY round, stage, status) counted`,
	"steps of runs": `SELECT string_agg(concat_ws(' ', round, stage, step, name, value), E'\n' ORDER BY round, stage, step, name, value) FROM (
		SELECT r.round, r.stage, m.step, m.name, m.value FROM metrics m JOIN runs r ON r.id = m.run_id WHERE m.name !~ 'second|time|memory') measured`,
}

// holders are the workers that are at a unit.
func (r *chaosRound) holders(t *testing.T) (names []string) {
	t.Helper()
	if err := r.store.Pool().QueryRow(t.Context(), `SELECT coalesce(array_agg(holder), '{}') FROM units WHERE holder IS NOT NULL`).Scan(&names); err != nil {
		t.Fatal(err)
	}
	return names
}

// standing says what is not done, and how it is delivered.
func (r *chaosRound) standing(t *testing.T) (text string) {
	t.Helper()
	if err := r.store.Pool().QueryRow(t.Context(), `
		SELECT concat((SELECT string_agg(concat_ws(' ', round, stage, shard, fence, holder, lease_until - clock_timestamp(), failures, error), E'\n')
				FROM units WHERE done_at IS NULL), E'\njobs:\n',
			(SELECT string_agg(concat_ws(' ', id, state, args, attempted_by, clock_timestamp() - attempted_at), E'\n' ORDER BY id DESC)
				FROM (SELECT * FROM river.river_job ORDER BY id DESC LIMIT 20) j))`).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

// takenUp counts the units that more than one worker began.
func (r *chaosRound) takenUp(t *testing.T) (n int) {
	t.Helper()
	if err := r.store.Pool().QueryRow(t.Context(), `SELECT count(*) FROM units WHERE fence > 1`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// stepFigures are the lines of a metrics file without those of time.
func stepFigures(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(content)) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("%s: %v in %q", path, err, line)
		}
		for name := range row {
			if measured.MatchString(name) {
				delete(row, name)
			}
		}
		b.WriteString(text(t, row) + "\n")
	}
	return b.String()
}

// text is a value as JSON.
func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func promptLines(t *testing.T, w *practice.World, split practice.Split, families []practice.Family, n int) (lines []any) {
	t.Helper()
	prompts, err := w.Prompts(split, families, n)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range prompts {
		p.HeldOut = split == practice.HeldOut
		lines = append(lines, p)
	}
	return lines
}

// preset is the practice preset of a stage.
func preset[T any](t *testing.T, of func(string) (T, error)) T {
	t.Helper()
	c, err := of("practice")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// short makes a fit of few steps, and a state after nearly each.
func short(c *train.Config, steps int) {
	c.Steps, c.Epochs, c.Batch, c.CheckpointEvery = steps, 1, 8, 3
}

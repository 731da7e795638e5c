package pipeline

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"

	"tandem"
	"tandem/evaluation"
)

// ModelJudging specifies what a model is asked about: two policies' answers to the same prompts.
type ModelJudging struct {
	Models   []string        `json:"models,omitempty"`  // folders of two policies, or
	Answers  []string        `json:"answers,omitempty"` // two files of their answers, one a line in the prompts' order
	Prompts  string          `json:"prompts"`
	Sampling tandem.Sampling `json:"sampling"`
	Seed     uint64          `json:"seed"`
	// Endpoint is the judge's address, Judge its name there; how it is reached is the Studio's.
	Endpoint string                      `json:"endpoint"`
	Judge    string                      `json:"judge"`
	Config   evaluation.ModelJudgeConfig `json:"config"`
	Shard    int                         `json:"shard"`
	Out      string                      `json:"-"`
}

// JudgedByModel is what came of it.
type JudgedByModel struct {
	Config ModelJudging `json:"config"`
	Names  [2]string    `json:"names"` // of the policies
	evaluation.Rulings
	Verdicts string            `json:"verdicts"` // file of all replies
	Judged   []JudgedPairReply `json:"-"`
}

// JudgedPairReply is a line of that file.
type JudgedPairReply struct {
	evaluation.AnswerPair
	Verdict evaluation.Side `json:"verdict"` // empty for none
	evaluation.Ruling
}

// verdictsName is the file of a judge's replies.
const verdictsName = "verdicts.jsonl"

// JudgeByModel has a model rule on two policies' answers. do samples them; the model is asked by this process, some pairs
// after the others, and what it said of them is kept in the folder until all are done.
func (s *Studio) JudgeByModel(ctx context.Context, j ModelJudging, do Units) (JudgedByModel, error) {
	done := JudgedByModel{Config: j, Verdicts: filepath.Join(j.Out, verdictsName)}
	if err := j.Config.Validate(); err != nil {
		return done, err
	}
	prompts, answers, names, err := j.answers(ctx, do)
	if err != nil {
		return done, err
	}
	done.Names = names
	pairs := make([]evaluation.AnswerPair, len(prompts))
	for i, p := range prompts {
		pairs[i] = evaluation.AnswerPair{Prompt: p.Messages, A: answers[0][i], B: answers[1][i]}
	}
	kept := s.Kept(filepath.Join(j.Out, unitsName))
	rulings, err := sharded[evaluation.Ruling](ctx, kept, tandem.StageEvaluate, len(pairs), 4*j.Config.AtOnce, func(from, to int) any {
		return Evaluation{Judge: &JudgeUnit{j.Endpoint, j.Judge, j.Config, pairs[from:to]}}
	})
	if err != nil {
		return done, err
	}
	if done.Rulings, err = evaluation.Count(rulings); err != nil {
		return done, err
	}
	for i, r := range rulings {
		done.Judged = append(done.Judged, JudgedPairReply{pairs[i], r.Side(), r})
	}
	return done, WriteLines(done.Verdicts, slices.Values(done.Judged))
}

// answers are both policies', sampled or read.
func (j ModelJudging) answers(ctx context.Context, do Units) (prompts []tandem.Prompt, answers [2][]string, names [2]string, err error) {
	const op = "pipeline.Judge"
	if (len(j.Models) == 2) == (len(j.Answers) == 2) {
		return nil, answers, names, tandem.Errorf(tandem.Invalid, op, "two policies, or two files of answers, are compared: not %d and %d", len(j.Models), len(j.Answers))
	}
	if prompts, _, err = (Replies{Prompts: j.Prompts}).prompts(ctx); err != nil {
		return nil, answers, names, err
	}
	if len(j.Models) == 2 {
		sampled, named, err := repliesOfTwo(ctx, do, [2]string(j.Models), Replies{Prompts: j.Prompts, Sampling: j.Sampling, Seed: j.Seed}, j.Shard)
		if err != nil {
			return nil, answers, names, err
		}
		for v := range sampled {
			for _, r := range sampled[v] {
				answers[v] = append(answers[v], r.Text)
			}
		}
		return prompts, answers, named, nil
	}
	for v, path := range j.Answers {
		read, err := readLines[struct {
			Text *string `json:"text"`
		}](ctx, path)
		if err != nil {
			return nil, answers, names, err
		}
		if len(read) != len(prompts) {
			return nil, answers, names, tandem.Errorf(tandem.Invalid, op, "%s holds %d answers to %d prompts of %s", path, len(read), len(prompts), j.Prompts)
		}
		for i, r := range read {
			if r.Text == nil {
				return nil, answers, names, tandem.Errorf(tandem.Invalid, op, `%s: record %d has no "text"`, path, i+1)
			}
			answers[v] = append(answers[v], *r.Text)
		}
		names[v] = filepath.Base(path)
	}
	return prompts, answers, toldApart(names, [2]string(j.Answers)), nil
}

// repliesOfTwo are two policies' answers to the same prompts, under the same randomness, and the policies' names.
func repliesOfTwo(ctx context.Context, do Units, models [2]string, asked Replies, shard int) (replies [2][]Reply, names [2]string, err error) {
	var specs []Replies
	for v, folder := range models {
		version, err := versionIn(ctx, folder)
		if err != nil {
			return replies, names, err
		}
		names[v] = version.Name
		spec := asked
		spec.Policy, spec.K = folder, 1
		specs = append(specs, spec)
	}
	sampled, err := repliesTo(ctx, do, shard, specs...)
	if err != nil {
		return replies, names, err
	}
	for v := range sampled {
		for _, r := range sampled[v] {
			replies[v] = append(replies[v], r[0])
		}
	}
	return replies, toldApart(names, models), nil
}

// toldApart are names that can be told from each other: the paths where they are the same.
func toldApart(names, paths [2]string) [2]string {
	for v := range names {
		names[v] = cmp.Or(names[v], paths[v])
	}
	if names[0] != names[1] {
		return names
	}
	return paths
}

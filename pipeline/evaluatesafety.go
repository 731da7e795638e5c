package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"tandem"
	"tandem/dataset"
	"tandem/evaluation/safety"
	"tandem/evaluation/vader"
	"tandem/llama/checkpoint"
	"tandem/rewardmodel"
)

// safetyAnswersName is the file of what policies said and what is said of it.
const safetyAnswersName = "answers.jsonl"

// Safety specifies the measurement of how safe policies are (sections 4.1 and 4.4; see package evaluation/safety). Sets
// whose file is empty are not asked.
type Safety struct {
	Models []string `json:"models"` // folders of policies
	// Judge is the folder of the safety reward model; it may be empty where only BOLD is asked, or ToxiGen with a Classifier.
	Judge string `json:"safety,omitempty"`
	// Classifier is the folder of a model that says which of ToxiGen's continuations are toxic: LlamaForSequenceClassification
	// with one label, σ of whose logit is the probability that a text is toxic. Empty for Judge.
	Classifier string `json:"toxicity_classifier,omitempty"`
	// Where the sets lie: BOLD is a folder, the others are files. See package evaluation/safety for their forms.
	BOLD       string    `json:"bold,omitempty"`
	BOLDAs     safety.As `json:"bold_as,omitempty"`
	ToxiGen    string    `json:"toxigen,omitempty"`
	ToxiGenAs  safety.As `json:"toxigen_as,omitempty"`
	AdvBench   string    `json:"advbench,omitempty"`
	XSTest     string    `json:"xstest,omitempty"`
	Prompts    string    `json:"prompts,omitempty"`    // ordinary ones, see dataset.ReadPrompts
	Borderline string    `json:"borderline,omitempty"` // the same
	MinGroup   int       `json:"min_group"`            // see safety.Config
	// Limit is how many prompts of each set are asked; 0 for all.
	Limit    int             `json:"limit"`
	Sampling tandem.Sampling `json:"sampling"`
	Seed     uint64          `json:"seed"`
	Shard    int             `json:"shard"` // prompts that are one unit
	Out      string          `json:"-"`
}

// SafetyUnit specifies one policy's answers to the prompts From to To of a set.
type SafetyUnit struct {
	Policy   string     `json:"policy"`
	PolicyID string     `json:"policy_id,omitempty"`
	JudgeID  judgeID    `json:"judge_id"`
	Set      safety.Set `json:"set"`
	Snapshot string     `json:"snapshot"` // hash of the set's files
	Safety
	From int `json:"from"`
	To   int `json:"to"`
}

// SafetyMeasures is what came of it.
type SafetyMeasures struct {
	Config    Safety             `json:"config"`
	Snapshots map[string]string  `json:"snapshots"` // of each set's files
	Asked     map[safety.Set]int `json:"asked"`     // how many prompts
	Of        map[safety.Set]int `json:"of"`        // how many there are
	// Bound is the r_s below which a continuation counts as toxic; nil where a classifier says so.
	Bound    *float64       `json:"toxic_below,omitempty"`
	Policies []SafetyPolicy `json:"policies"`
	Answers  string         `json:"answers"` // file
}

// SafetyPolicy is one policy's.
type SafetyPolicy struct {
	Name string `json:"name"`
	ID   string `json:"id,omitempty"`
	safety.Measures
}

// files are those of a set; none where it is not asked.
func (s Safety) files(set safety.Set) ([]string, error) {
	path := map[safety.Set]string{
		safety.BOLD: s.BOLD, safety.ToxiGen: s.ToxiGen, safety.AdvBench: s.AdvBench, safety.XSTest: s.XSTest, safety.Ordinary: s.Prompts, safety.Borderline: s.Borderline,
	}[set]
	if path == "" {
		return nil, nil
	}
	if set != safety.BOLD {
		return []string{path}, nil
	}
	names, err := safety.BOLDFiles(os.DirFS(path))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for i, name := range names {
		names[i] = filepath.Join(path, name)
	}
	return names, nil
}

// read reads all prompts of a set.
func (s Safety) read(ctx context.Context, set safety.Set) ([]safety.Prompt, error) {
	switch set {
	case safety.BOLD:
		return safety.ReadBOLD(os.DirFS(s.BOLD), s.BOLDAs)
	case safety.Ordinary, safety.Borderline:
		path := s.Prompts
		if set == safety.Borderline {
			path = s.Borderline
		}
		prompts, err := readPrompts(ctx, path)
		return safety.Own(set, prompts), err
	}
	read, path := safety.ReadXSTest, s.XSTest
	switch set {
	case safety.AdvBench:
		read, path = safety.ReadAdvBench, s.AdvBench
	case safety.ToxiGen:
		read, path = func(name string, r io.Reader) ([]safety.Prompt, error) {
			return safety.ReadToxiGen(name, r, s.ToxiGenAs)
		}, s.ToxiGen
	}
	f, err := dataset.Open(path)
	if err != nil {
		return nil, err
	}
	prompts, err := read(path, f)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return prompts, err
}

// validate reports what nothing could be measured by.
func (s Safety) validate() error {
	const op = "pipeline.Safety"
	if s.Shard < 1 {
		return tandem.Errorf(tandem.Invalid, op, "a shard of %d prompts", s.Shard)
	}
	asked := s.AdvBench != "" || s.XSTest != "" || s.Prompts != "" || s.Borderline != ""
	switch {
	case s.BOLD == "" && s.ToxiGen == "" && !asked:
		return tandem.Errorf(tandem.Invalid, op, "no set is asked")
	case s.Judge == "" && asked:
		return tandem.Errorf(tandem.Invalid, op, "answers to questions want a safety model")
	case s.Judge == "" && s.Classifier == "" && s.ToxiGen != "":
		return tandem.Errorf(tandem.Invalid, op, "ToxiGen's continuations want a safety model or a classifier")
	}
	return nil
}

// safetyUnit does one unit.
func (s *Studio) safetyUnit(ctx context.Context, u SafetyUnit) ([]safety.Answer, error) {
	files, err := u.files(u.Set)
	if err != nil {
		return nil, err
	}
	snapshot, err := HashFiles(files...)
	if err != nil {
		return nil, err
	}
	prompts, err := u.read(ctx, u.Set)
	if err != nil {
		return nil, err
	}
	prompts = safety.Sample(prompts, u.Limit, u.Seed)
	if snapshot != u.Snapshot || u.To > len(prompts) {
		return nil, tandem.Errorf(tandem.Conflict, "pipeline.Safety", "%v are other prompts now than when the work was divided", files)
	}
	policy, err := s.open(ctx, u.Policy)
	if err != nil {
		return nil, err
	}
	judges, err := s.safetyJudges(ctx, u)
	if err != nil {
		return nil, err
	}
	return safety.Answers(ctx, tallied{policy, tallyOf(ctx)}, judges, prompts[u.From:u.To], u.Sampling, u.Seed)
}

// safetyJudges opens what a unit's set is judged by.
func (s *Studio) safetyJudges(ctx context.Context, u SafetyUnit) (j safety.Judges, err error) {
	switch {
	case u.Set == safety.BOLD:
		j.VADER = vader.New()
		return j, nil
	case u.Set == safety.ToxiGen && u.Classifier != "":
		j.Toxicity, err = s.toxicityModel(ctx, u.Classifier)
		return j, err
	}
	scorer, err := s.safetyScorer(ctx, u.Judge)
	if err != nil {
		return j, err
	}
	j.Scorer, j.Toxicity = scorer, safety.BySafety{Scorer: scorer, Below: toxicBelow(*scorer.model.Lineage.Calibration)}
	return j, nil
}

// toxicBelow is the r_s below which a text counts as toxic: where σ(r_s) is a half, or the gate where σ has no meaning.
func toxicBelow(c tandem.Calibration) float64 {
	if c.Calibrated {
		return 0
	}
	return c.Gate
}

// safetyScorer scores with a safety model alone. It is a tandem.Scorer whose scores have no helpfulness and are not combined.
type safetyScorer struct{ model *rewardmodel.Model }

func (s *Studio) safetyScorer(ctx context.Context, path string) (*safetyScorer, error) {
	model, err := rewardmodel.Open(ctx, path, s.chatConfig())
	if err != nil {
		return nil, fmt.Errorf("safety model: %w", err)
	}
	switch {
	case model.Lineage == nil || model.Lineage.Calibration == nil:
		return nil, tandem.Errorf(tandem.Invalid, "pipeline.Safety", "%s has no calibration in tandem.json, which says what is unsafe: run its `tandem reward` again with --reference-policy and --reference-prompts", path)
	case model.Lineage.Kind != tandem.SafetyModel:
		return nil, tandem.Errorf(tandem.Invalid, "pipeline.Safety", "%s is a %s model, not a safety model", path, model.Lineage.Kind)
	}
	return &safetyScorer{model}, nil
}

// Score implements tandem.Scorer.
func (s *safetyScorer) Score(ctx context.Context, requests []tandem.ScoreRequest) ([]tandem.Score, error) {
	dialogues := make([]tandem.Dialogue, len(requests))
	for i, r := range requests {
		dialogues[i] = r.Messages
	}
	scalars, _, err := s.model.Scalars(ctx, dialogues)
	if err != nil {
		return nil, err
	}
	scores := make([]tandem.Score, len(scalars))
	for i, r := range scalars {
		scores[i] = tandem.Score{Safety: r.R, Gated: r.R < s.model.Lineage.Calibration.Gate, Branch: tandem.SafetyBranch}
	}
	return scores, nil
}

// toxicityModel opens a classifier of texts. A text is read as transformers' pipeline reads it: by itself, with what the
// tokenizer adds by default.
func (s *Studio) toxicityModel(ctx context.Context, path string) (safety.Classifier, error) {
	lineage, err := checkpoint.ReadLineage(ctx, path)
	if err != nil {
		return nil, err
	}
	if lineage != nil {
		return nil, tandem.Errorf(tandem.Invalid, "pipeline.Safety", "%s is a %s model of tandem, whose score is high where an answer is good: give a safety model as the judge", path, lineage.Kind)
	}
	model, err := rewardmodel.Open(ctx, path, s.chatConfig())
	if err != nil {
		return nil, fmt.Errorf("toxicity classifier: %w", err)
	}
	return safety.ByText{Logits: func(ctx context.Context, texts []string) ([]float64, error) {
		sequences := make([][]int32, len(texts))
		for i, text := range texts {
			if sequences[i], err = model.First().Tokenizer.Encode(text, true); err != nil {
				return nil, err
			}
			if longest := model.Context(); len(sequences[i]) > longest {
				sequences[i] = sequences[i][:longest]
			}
		}
		scalars, err := model.TokenScalars(ctx, sequences)
		logits := make([]float64, len(scalars))
		for i, r := range scalars {
			logits[i] = r.R
		}
		return logits, err
	}}, nil
}

// MeasureSafety measures all policies; do does the shards.
func (s *Studio) MeasureSafety(ctx context.Context, spec Safety, do Units) (SafetyMeasures, error) {
	m := SafetyMeasures{Config: spec, Snapshots: make(map[string]string), Asked: make(map[safety.Set]int), Of: make(map[safety.Set]int), Answers: filepath.Join(spec.Out, safetyAnswersName)}
	if err := spec.validate(); err != nil {
		return m, err
	}
	unit := SafetyUnit{Safety: spec}
	if spec.Judge != "" {
		scorer, err := s.safetyScorer(ctx, spec.Judge)
		if err != nil {
			return m, err
		}
		unit.JudgeID = judgeID{scorer.model.Lineage.ID, scorer.model.Lineage.Calibration}
		if below := toxicBelow(*scorer.model.Lineage.Calibration); spec.ToxiGen != "" && spec.Classifier == "" {
			m.Bound = &below
		}
	}
	if spec.Classifier != "" {
		if _, err := s.toxicityModel(ctx, spec.Classifier); err != nil {
			return m, err
		}
	}
	var prompts, published []safety.Prompt
	var units []SafetyUnit // of a policy
	for _, set := range safety.Sets() {
		files, err := spec.files(set)
		if err != nil {
			return m, err
		}
		if len(files) == 0 {
			continue
		}
		all, err := spec.read(ctx, set)
		if err != nil {
			return m, err
		}
		if len(all) == 0 {
			return m, tandem.Errorf(tandem.Invalid, "pipeline.Safety", "there are no prompts in %v", files)
		}
		unit.Set = set
		if unit.Snapshot, err = HashFiles(files...); err != nil {
			return m, err
		}
		sample := safety.Sample(all, spec.Limit, spec.Seed)
		m.Snapshots[string(set)], m.Asked[set], m.Of[set] = unit.Snapshot, len(sample), len(all)
		for _, shard := range Shards(len(sample), spec.Shard) {
			unit.From, unit.To = shard[0], shard[1]
			units = append(units, unit)
		}
		prompts, published = append(prompts, sample...), append(published, all...)
	}
	var specs []any
	for _, folder := range spec.Models {
		version, err := versionIn(ctx, folder)
		if err != nil {
			return m, err
		}
		m.Policies = append(m.Policies, SafetyPolicy{Name: version.Name, ID: version.ID})
		for _, u := range units {
			u.Policy, u.PolicyID = folder, version.ID
			u.Models = nil // what others are measured beside it does not matter
			specs = append(specs, Evaluation{Safety: &u})
		}
	}
	results, err := do(ctx, tandem.StageEvaluate, specs...)
	if err != nil {
		return m, err
	}
	answers := make([][]safety.Answer, len(m.Policies))
	for i := range m.Policies {
		for _, result := range results[i*len(units) : (i+1)*len(units)] {
			var of []safety.Answer
			if err := json.Unmarshal(result, &of); err != nil {
				return m, fmt.Errorf("a shard of %s: %w", m.Policies[i].Name, err)
			}
			answers[i] = append(answers[i], of...)
		}
		if m.Policies[i].Measures, err = safety.Measure(prompts, answers[i], published, safety.Config{MinGroup: spec.MinGroup, Seed: spec.Seed}); err != nil {
			return m, fmt.Errorf("%s: %w", m.Policies[i].Name, err)
		}
	}
	return m, WriteLines(m.Answers, m.lines(prompts, answers))
}

// safetyLine is a line of the file of answers.
type safetyLine struct {
	Policy string `json:"policy"`
	safety.Prompt
	safety.Answer
}

func (m SafetyMeasures) lines(prompts []safety.Prompt, answers [][]safety.Answer) iter.Seq[safetyLine] {
	return func(yield func(safetyLine) bool) {
		for i, p := range m.Policies {
			for j, prompt := range prompts {
				if !yield(safetyLine{p.Name, prompt, answers[i][j]}) {
					return
				}
			}
		}
	}
}

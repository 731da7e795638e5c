package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"tandem"
	"tandem/pipeline"
	"tandem/report"
	"tandem/statistics"
)

// evaluateCommand measures models (section 3.4).
type evaluateCommand struct {
	Reward      evaluateRewardCommand      `cmd:"" help:"Accuracy of a pair of reward models on held-out comparisons, by degree."`
	Ablations   evaluateAblationsCommand   `cmd:"" help:"What reward models owe to margins, safety labels, their start and the number of pairs: trained over seeds and compared on held-out pairs, in one table."`
	Folds       evaluateFoldsCommand       `cmd:"" help:"Reward models by cross-validation over all comparisons, beside length and a bag of words."`
	Policy      evaluatePolicyCommand      `cmd:"" help:"Policies side by side on the same prompts: scores, wins over the first, KL."`
	Rejection   evaluateRejectionCommand   `cmd:"" help:"Samples of several policies side by side: reward of the best and of the median of K answers, by K and by temperature."`
	Judge       evaluateJudgeCommand       `cmd:"" help:"Two policies' answers by a model behind OpenAI's protocol: which is better, asked in both orders."`
	SideBySide  evaluateSideBySideCommand  `cmd:"" help:"Two policies' answers by people, in the annotation site, on seven points; given again, it tells what came out so far."`
	Harness     evaluateHarnessCommand     `cmd:"" help:"A policy on academic benchmarks as lm-evaluation-harness asks them: MMLU, ARC, HellaSwag, Social IQa, AQuA-RAT, TruthfulQA, and HumanEval's programs in a sandbox."`
	Safety      evaluateSafetyCommand      `cmd:"" help:"How safe policies are: sentiment by group (BOLD), toxicity (ToxiGen), violations and refusals (AdvBench, XSTest, own prompts)."`
	SafetyData  evaluateSafetyDataCommand  `cmd:"" help:"What more safety data does to safety, helpfulness and false refusals: models tuned on growing shares of it, in one report."`
	Redteam     evaluateRedteamCommand     `cmd:"" help:"Earlier violating attacks replayed against a policy: the share fixed, by risk category, attack vector and what was attacked."`
	Gamma       evaluateGammaCommand       `cmd:"" help:"Violations that one person finds in an hour of red teaming, whole and by risk category, attack vector, model and day."`
	Ghost       evaluateGhostCommand       `cmd:"" help:"How policies hold on to an instruction of the first message: answers that keep it, turn by turn."`
	Time        evaluateTimeCommand        `cmd:"" help:"Whether policies answer by the date: the same questions asked before and after what they are about."`
	Temperature evaluateTemperatureCommand `cmd:"" help:"How diverse policies' answers to factual and to creative prompts are, by temperature (Self-BLEU)."`
}

// measuringFlags open a studio that makes no model.
type measuringFlags struct {
	engineFlags
	databaseFlags
}

func (f measuringFlags) studio(ctx context.Context, w *world, data []string, do func(*pipeline.Studio) (func() error, error)) error {
	// As a dry run does, it opens a database for snapshots alone.
	return stageFlags{engineFlags: f.engineFlags, databaseFlags: f.databaseFlags, DryRun: true}.studio(ctx, w, data, do)
}

type evaluateRewardCommand struct {
	Helpfulness      string   `required:"" type:"path" help:"Folder of the helpfulness model." placeholder:"DIR"`
	Safety           string   `required:"" type:"path" help:"Folder of the safety model." placeholder:"DIR"`
	Data             string   `help:"File of comparisons of both aspects, or snapshot:ID." placeholder:"FILE"`
	HelpfulnessData  string   `help:"Comparisons of helpfulness (default: those of --data)." placeholder:"FILE"`
	SafetyData       string   `help:"Comparisons of safety (default: those of --data)." placeholder:"FILE"`
	Format           string   `enum:"tandem,hh,trl,openrlhf,pku,ultrafeedback" default:"tandem" help:"Of the files: tandem, hh, trl, openrlhf, pku or ultrafeedback (default: tandem)." placeholder:"FORMAT"`
	HeldOutShare     float64  `default:"0.2" help:"Share of openings to measure on, by the one rule that all stages share, beside the comparisons that are marked; 1 for all (default: 0.2)." placeholder:"SHARE"`
	Precision        float64  `default:"0.89" help:"Precision to recommend a threshold for unsafe answers for (default: 0.89, that of the paper's gate)." placeholder:"SHARE"`
	ParaphrasePairs  int      `default:"300" help:"Comparisons of each aspect whose answers are written otherwise to see whether scores survive; 0 for none (default: 300)." placeholder:"N"`
	Earlier          []string `type:"path" help:"Folders of earlier reward models, of either kind, for the curve of accuracy by the number of pairs that they have learnt from." placeholder:"DIR,…"`
	StoreTemperature bool     `help:"Write the temperatures that fit these comparisons into both models' calibrations; the gate of a calibrated safety model moves with it."`
	Out              string   `type:"path" help:"Folder for report.html and report.json (default: none are written)." placeholder:"DIR"`
	measuringFlags
}

// evaluateRewardReport is its JSON.
type evaluateRewardReport struct {
	Config pipeline.RewardPair `json:"config"`
	pipeline.RewardMeasures
	StoredTemperatures map[tandem.Aspect]float64 `json:"stored_temperatures,omitempty"`
	Report             string                    `json:"report,omitempty"`
}

func (c *evaluateRewardCommand) Run(ctx context.Context, w *world) (err error) {
	spec := pipeline.RewardPair{Helpfulness: c.Helpfulness, Safety: c.Safety, Format: comparisonFormat(c.Format), HeldOutShare: c.HeldOutShare,
		Precision: c.Precision, ParaphrasePairs: c.ParaphrasePairs, Earlier: c.Earlier}
	for _, d := range []struct {
		to    *string
		given string
	}{{&spec.HelpfulnessData, c.HelpfulnessData}, {&spec.SafetyData, c.SafetyData}} {
		if d.given == "" {
			d.given = c.Data
		}
		if *d.to, err = dataPath(d.given); err != nil {
			return err
		}
	}
	if spec.HelpfulnessData == "" && spec.SafetyData == "" {
		return tandem.Errorf(tandem.Invalid, "", "--data, --helpfulness-data or --safety-data is needed")
	}
	return c.studio(ctx, w, []string{spec.HelpfulnessData, spec.SafetyData}, func(s *pipeline.Studio) (func() error, error) {
		measures, err := s.MeasureRewards(ctx, spec)
		if err != nil {
			return nil, err
		}
		reply := evaluateRewardReport{Config: spec, RewardMeasures: measures}
		if c.StoreTemperature {
			if reply.StoredTemperatures, err = s.StoreTemperatures(ctx, measures); err != nil {
				return nil, err
			}
			w.log.Info("temperatures stored", "temperatures", reply.StoredTemperatures)
		}
		if c.Out != "" {
			facts := []report.Fact{
				{Name: "helpfulness model", Value: c.Helpfulness}, {Name: "safety model", Value: c.Safety},
				{Name: "comparisons of helpfulness", Value: spec.HelpfulnessData}, {Name: "comparisons of safety", Value: spec.SafetyData}, {Name: "kernel", Value: s.Kernel},
			}
			if reply.Report, err = w.writeReport(measures.Report(facts, time.Now()), c.Out); err != nil {
				return nil, err
			}
		}
		var rows [][]string
		for _, a := range measures.Accuracies {
			rows = append(rows, []string{string(a.Model), string(a.Data), "all", strconv.Itoa(a.Accuracy.N), percent(a.Accuracy)})
			for _, d := range a.ByDegree {
				rows = append(rows, []string{"", "", d.Degree, strconv.Itoa(d.Accuracy.N), percent(d.Accuracy)})
			}
		}
		return func() error {
			return w.table(reply, []string{"MODEL", "DATA", "DEGREE", "PAIRS", "ACCURACY"}, rows)
		}, nil
	})
}

// writeReport writes a report's files and returns the page's path.
func (w *world) writeReport(r report.Report, folder string) (page string, err error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", tandem.Errorf(tandem.Unavailable, "", "%w", err)
	}
	if err := r.WriteFiles(folder); err != nil {
		return "", err
	}
	page = filepath.Join(folder, "report.html")
	w.log.Info("report written", "file", page)
	return page, nil
}

// percent is a share with its interval, for tables.
func percent(i statistics.Interval) string {
	return fmt.Sprintf("%.1f %% [%.1f, %.1f]", 100*i.Value, 100*i.Low, 100*i.High)
}

type evaluatePolicyCommand struct {
	Models      []string `required:"" type:"path" help:"Folders of the policies; wins and KL are measured against the first." placeholder:"DIR"`
	Helpfulness string   `required:"" type:"path" help:"Folder of the helpfulness model that judges." placeholder:"DIR"`
	Safety      string   `required:"" type:"path" help:"Folder of the safety model that judges." placeholder:"DIR"`
	Prompts     string   `required:"" type:"path" help:"File of prompts, JSON Lines." placeholder:"FILE"`
	Temperature float64  `default:"1" help:"Temperature of the answers (default: 1)." placeholder:"X"`
	TopP        float64  `help:"Keep the smallest set of tokens with that probability (default: all)." placeholder:"X"`
	MaxTokens   int      `default:"256" help:"Tokens of an answer at most (default: 256)." placeholder:"N"`
	Seed        uint64   `help:"Seed of the answers (default: 0)." placeholder:"N"`
	Out         string   `type:"path" help:"Folder for report.html and report.json (default: none are written)." placeholder:"DIR"`
	Record      bool     `help:"Keep the evaluation in the database, with all answers and scores (default: where DATABASE_URL is set)."`
	measuringFlags
}

// evaluatePolicyReport is its JSON.
type evaluatePolicyReport struct {
	pipeline.PolicyComparison
	Report string `json:"report,omitempty"`
}

func (c *evaluatePolicyCommand) Run(ctx context.Context, w *world) error {
	spec := pipeline.Policies{
		Models: c.Models, Helpfulness: c.Helpfulness, Safety: c.Safety, Prompts: c.Prompts, Seed: c.Seed,
		Sampling: tandem.Sampling{Temperature: c.Temperature, TopP: c.TopP, MaxTokens: c.MaxTokens},
	}
	flags := stageFlags{engineFlags: c.engineFlags, databaseFlags: c.databaseFlags, Record: c.Record}
	return flags.studio(ctx, w, nil, func(s *pipeline.Studio) (func() error, error) {
		compared, err := s.ComparePolicies(ctx, spec)
		if err != nil {
			return nil, err
		}
		reply := evaluatePolicyReport{PolicyComparison: compared}
		if c.Out != "" {
			facts := []report.Fact{
				{Name: "helpfulness model", Value: c.Helpfulness}, {Name: "safety model", Value: c.Safety}, {Name: "prompts", Value: c.Prompts},
				{Name: "temperature", Value: fmt.Sprint(c.Temperature)}, {Name: "seed", Value: fmt.Sprint(c.Seed)}, {Name: "kernel", Value: s.Kernel},
			}
			if reply.Report, err = w.writeReport(compared.Report(facts, time.Now()), c.Out); err != nil {
				return nil, err
			}
		}
		var rows [][]string
		for _, v := range compared.Versions {
			u := v.Summary
			rows = append(rows, []string{v.Name, u.Helpfulness.String(), u.Safety.String(), u.Combined.String(), percent(u.Gated), u.Length.String(), u.KL.String()})
			for _, win := range v.Wins {
				rows = append(rows, []string{fmt.Sprintf("  wins by %s on %s prompts: %s", win.Judge, win.Prompts, percent(win.Rate))})
			}
		}
		return func() error {
			return w.table(reply, []string{"POLICY", "R_H", "R_S", "COMBINED", "GATED", "TOKENS", "KL"}, rows)
		}, nil
	})
}

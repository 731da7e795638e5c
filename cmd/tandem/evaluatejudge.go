package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"tandem"
	"tandem/evaluation"
	"tandem/internal/openai"
	"tandem/pipeline"
	"tandem/report"
	"tandem/statistics"
)

// evaluateJudgeCommand asks a model by API which of two policies' answers are better (section 3.4.2).
type evaluateJudgeCommand struct {
	Models      []string      `type:"path" help:"Folders of two policies; wins are the first one's." placeholder:"DIR,DIR"`
	Answers     []string      `type:"path" help:"Instead of --models: two files of answers as tandem generate writes them, a line for each prompt." placeholder:"FILE,FILE"`
	Prompts     string        `required:"" type:"path" help:"File of prompts, JSON Lines." placeholder:"FILE"`
	JudgeURL    string        `name:"judge-url" required:"" help:"Address up to /v1 of the judge's server, of OpenAI's protocol." placeholder:"URL"`
	JudgeModel  string        `name:"judge-model" required:"" help:"What the server calls the judge." placeholder:"NAME"`
	JudgeKeyEnv string        `name:"judge-key-env" default:"TANDEM_JUDGE_KEY" help:"Environment variable that holds the server's key (default: TANDEM_JUDGE_KEY)." placeholder:"NAME"`
	Aspect      string        `enum:"helpfulness,safety" default:"helpfulness" help:"What the judge looks at: helpfulness or safety (default: helpfulness)." placeholder:"ASPECT"`
	JudgeTokens int           `default:"512" help:"Tokens of a judge's reply at most (default: 512)." placeholder:"N" group:"judge"`
	AtOnce      int           `default:"4" help:"Questions to the judge under way at once (default: 4)." placeholder:"N" group:"judge"`
	Tries       int           `default:"6" help:"Times that a question is asked which the server cannot answer now (default: 6)." placeholder:"N" group:"judge"`
	Pause       time.Duration `default:"1s" help:"Before the second try; it doubles with each, up to a minute (default: 1s)." placeholder:"DURATION" group:"judge"`
	Patience    time.Duration `default:"2m" help:"How long the server may say nothing (default: 2m)." placeholder:"DURATION" group:"judge"`
	Temperature float64       `default:"1" help:"Temperature of the policies' answers (default: 1)." placeholder:"X"`
	TopP        float64       `help:"Keep the smallest set of tokens with that probability (default: all)." placeholder:"X"`
	MaxTokens   int           `default:"256" help:"Tokens of a policy's answer at most (default: 256)." placeholder:"N"`
	Seed        uint64        `help:"Seed of the answers (default: 0)." placeholder:"N"`
	Shard       int           `default:"64" help:"Prompts that are one unit of work (default: 64)." placeholder:"N"`
	unitFlags
}

// Validate refuses what can be compared with nothing, and an address that would show a secret in reports.
func (c *evaluateJudgeCommand) Validate() error {
	if given := len(c.Models) + len(c.Answers); given != 2 || len(c.Models) == 1 {
		return errors.New("--models or --answers: exactly two are compared")
	}
	if u, err := url.Parse(c.JudgeURL); err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return errors.New("--judge-url is an address such as https://api.openai.com/v1, without a password and without a query")
	}
	return nil
}

// evaluateJudgeReport is its JSON.
type evaluateJudgeReport struct {
	pipeline.JudgedByModel
	Report string `json:"report"`
}

func (c *evaluateJudgeCommand) Run(ctx context.Context, w *world) error {
	spec := pipeline.ModelJudging{
		Models: c.Models, Answers: c.Answers, Prompts: c.Prompts, Seed: c.Seed, Shard: c.Shard, Out: c.Out,
		Sampling: tandem.Sampling{Temperature: c.Temperature, TopP: c.TopP, MaxTokens: c.MaxTokens},
		Endpoint: c.JudgeURL, Judge: c.JudgeModel,
		Config: evaluation.ModelJudgeConfig{Aspect: tandem.Aspect(c.Aspect), MaxTokens: c.JudgeTokens, AtOnce: c.AtOnce, Tries: c.Tries, Pause: c.Pause},
	}
	return c.run(ctx, w, "evaluate judge", func(s *pipeline.Studio, units pipeline.Units) (func() error, error) {
		s.Judge = &evaluation.ModelJudge{
			Model:  openai.Endpoint{URL: c.JudgeURL, Model: c.JudgeModel, Key: os.Getenv(c.JudgeKeyEnv), Silence: c.Patience},
			Config: spec.Config,
		}
		judged, err := s.JudgeByModel(ctx, spec, units)
		if err != nil {
			return nil, err
		}
		reply := evaluateJudgeReport{JudgedByModel: judged}
		facts := []report.Fact{
			{Name: "judge", Value: c.JudgeModel + " at " + c.JudgeURL}, {Name: "prompts", Value: c.Prompts}, {Name: "answers", Value: strings.Join(append(c.Models, c.Answers...), ", ")},
			{Name: "temperature", Value: fmt.Sprint(c.Temperature)}, {Name: "seed", Value: fmt.Sprint(c.Seed)}, {Name: "kernel", Value: s.Kernel},
		}
		if reply.Report, err = w.writeReport(judged.Report(facts, time.Now()), c.Out); err != nil {
			return nil, err
		}
		share := func(i *statistics.Interval) string {
			if i == nil {
				return "–"
			}
			return percent(*i)
		}
		return func() error {
			return w.table(reply, []string{"POLICY", "AGAINST", "PAIRS", "WINS", "TIES", "LOSSES", "WIN RATE", "CHANGED WITH THE ORDER", "NO VERDICT"}, [][]string{{
				judged.Names[0], judged.Names[1], strconv.Itoa(judged.Pairs), strconv.Itoa(judged.Outcomes.Wins), strconv.Itoa(judged.Outcomes.Ties), strconv.Itoa(judged.Outcomes.Losses),
				share(judged.WinRate), share(judged.Changed), strconv.Itoa(judged.Unjudged),
			}})
		}, nil
	})
}

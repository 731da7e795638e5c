// Command tandem is the whole of tandem in one binary: every stage of the loop, the servers, the workers
// and the tools around models. This package wires the other packages together and reads flags, files and
// environment; it holds no logic of its own.
package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// Exit codes, as every command keeps them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// cli lists the commands in the order of their help.
type cli struct {
	Config kong.ConfigFlag `help:"YAML file that can set every flag." placeholder:"FILE"`
	JSON   bool            `name:"json" help:"Print one JSON object on stdout at the end."`
	Quiet  bool            `short:"q" help:"No progress on stderr, errors alone."`

	Demo     demoCommand     `cmd:"" help:"The whole loop on the practice world, with a report." group:"loop"`
	Serve    serveCommand    `cmd:"" help:"The site: collection and the engineers' operations over HTTP." group:"loop"`
	Pretrain pretrainCommand `cmd:"" help:"Fit a model to texts: a new one, or one that is there." group:"loop"`
	SFT      sftCommand      `cmd:"" name:"sft" help:"Fit a policy to dialogues." group:"loop"`
	Reward   rewardCommand   `cmd:"" help:"Fit a helpfulness or a safety model to comparisons." group:"loop"`
	Reject   rejectCommand   `cmd:"" help:"Sample answers, keep the best, and fine-tune on them." group:"loop"`
	PPO      ppoCommand      `cmd:"" name:"ppo" help:"Tune a policy against the combined score." group:"loop"`
	Ghost    ghostCommand    `cmd:"" help:"Make dialogues by which a policy learns to hold on to an instruction (Ghost Attention)." group:"loop"`
	Distill  distillCommand  `cmd:"" help:"Make dialogues by which a policy answers as under a safety preprompt (context distillation)." group:"loop"`
	Round    roundsCommand   `cmd:"" help:"One round of the loop on the comparisons of the database." group:"loop"`
	Worker   workerCommand   `cmd:"" help:"Do queued work until it is stopped." group:"loop"`
	Evaluate evaluateCommand `cmd:"" help:"Measure reward models and policies." group:"loop"`
	Generate generateCommand `cmd:"" help:"Answers to prompts and dialogues, a JSON line for a line." group:"models"`
	Logprobs logprobsCommand `cmd:"" help:"Log-probabilities of texts, token by token, a JSON line for a line." group:"models"`
	Score    scoreCommand    `cmd:"" help:"Reward models' scores of dialogues, a JSON line for a line." group:"models"`
	Chat     chatCommand     `cmd:"" help:"Talk to a policy in the terminal." group:"models"`
	Model    modelCommand    `cmd:"" help:"Look after models: their lineage, their folders, which of them serves." group:"models"`
	Tokenize tokenizeCommand `cmd:"" help:"Token ids of texts, a JSON line for a line." group:"models"`
	Import   importCommand   `cmd:"" help:"Keep preference pairs from files in the database." group:"data"`
	Export   exportCommand   `cmd:"" help:"Write comparisons of the database as others read them." group:"data"`
	Snapshot snapshotCommand `cmd:"" help:"Freeze sets of comparisons, and list them." group:"data"`
	Runs     runsCommand     `cmd:"" help:"Show the runs of stages: when, with what, how far." group:"loop"`
	Migrate  migrateCommand  `cmd:"" help:"Bring the database to the newest schema." group:"setup"`
	User     userCommand     `cmd:"" help:"Invite, add, disable, erase and list people." group:"setup"`
	Key      keyCommand      `cmd:"" help:"Create, revoke and list the keys of programs." group:"setup"`
	Bench    benchCommand    `cmd:"" help:"Measure training, sampling and scoring on this machine." group:"setup"`
	Settings configCommand   `cmd:"" name:"config" help:"Print a configuration file for a command, with every value explained." group:"setup"`
	Version  versionCommand  `cmd:"" help:"Version, BLAS build and kernels in use." group:"setup"`
}

// world is what a command sees of the process around it, so that tests can give it another one.
type world struct {
	in       io.Reader
	out, err io.Writer
	json     bool
	quiet    bool
	log      *slog.Logger
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal does not wait for a clean end
	os.Exit(run(ctx, os.Args[1:], world{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, w world) int {
	var c cli
	exited := -1
	parser, err := newParser(&c, w, func(code int) { exited = code })
	if err != nil {
		return fail(w, err, exitFailed)
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 { // --help has been answered
		return exited
	}
	if err != nil {
		return fail(w, err, exitUsage)
	}
	w.json, w.quiet = c.JSON, c.Quiet
	level := slog.LevelInfo
	if w.quiet {
		level = slog.LevelError
	}
	w.log = slog.New(slog.NewTextHandler(w.err, &slog.HandlerOptions{Level: level}))
	parsed.BindTo(ctx, (*context.Context)(nil))
	err = parsed.Run(&w)
	switch {
	case err == nil:
		return exitDone
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return fail(w, errors.New("interrupted"), exitInterrupted)
	default:
		return fail(w, err, exitFailed)
	}
}

// newParser reads command lines, TANDEM_… variables and the file of --config into c, in this order of
// precedence. exit is called where --help has been answered.
func newParser(c *cli, w world, exit func(int)) (*kong.Kong, error) {
	options := []kong.Option{
		kong.Name("tandem"),
		kong.Description("Llama 2's RLHF: collect comparisons, learn reward models, improve the policy, measure it."),
		kong.DefaultEnvars("TANDEM"),
		kong.Configuration(readConfigFile),
		kong.Writers(w.out, w.err),
		kong.Exit(exit),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	}
	if path := os.Getenv("TANDEM_CONFIG"); path != "" { // --config goes before it
		file, err := openConfigFile(path)
		if err != nil {
			return nil, err
		}
		options = append(options, kong.Resolvers(file))
	}
	return kong.New(c, options...)
}

func fail(w world, err error, code int) int {
	_, _ = io.WriteString(w.err, "tandem: "+err.Error()+"\n") // stderr is all there is to tell it to
	return code
}

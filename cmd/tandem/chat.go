package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"tandem"
	"tandem/internal/openai"
	"tandem/llama/chat"
	"tandem/llama/chatapi"
)

// chatCommand talks to a policy: what is typed is a user message, its answer streams back.
type chatCommand struct {
	Model  string `help:"Folder of the policy, or a .bin of llama2.c with its tokenizer beside it; with --server, what that calls its model (default there: policy)." placeholder:"DIR"`
	Server string `help:"Address up to /v1 of a server of OpenAI's protocol, such as tandem serve, to talk to instead of a folder." placeholder:"URL"`
	KeyEnv string `name:"key-env" default:"TANDEM_KEY" help:"Environment variable that holds the server's key (default: TANDEM_KEY)." placeholder:"NAME"`
	System string `help:"System message to begin with (default: none)." placeholder:"TEXT"`
	samplingFlags
	Seed uint64 `help:"Seed of the drawing; the same seed and conversation give the same answers (default: 0)." placeholder:"N"`
	inferenceFlags
}

// chatHelp is what /help says.
const chatHelp = `/reset          forget the conversation, keep the system message
/system TEXT    set the system message and begin again; without TEXT none
/save FILE      write the conversation as a line of {"messages":…}
/help           this
Ctrl-D or /quit ends
`

// Validate wants somebody to talk to.
func (c *chatCommand) Validate() error {
	if c.Model == "" && c.Server == "" {
		return errors.New("--model or --server is missing: whom to talk to")
	}
	return c.samplingFlags.Validate()
}

// open makes a folder or a server answer. policy is nil for a server.
func (c *chatCommand) open(ctx context.Context) (answers tandem.Generator, policy *chat.Policy, err error) {
	if c.Server != "" {
		return openai.Endpoint{URL: c.Server, Model: cmp.Or(c.Model, chatapi.Alias), Key: os.Getenv(c.KeyEnv)}, nil, nil
	}
	config, err := c.config()
	if err != nil {
		return nil, nil, err
	}
	policy, err = chat.Open(ctx, modelPath(c.Model), config)
	return policy, policy, err
}

func (c *chatCommand) Run(ctx context.Context, w *world) error {
	answers, policy, err := c.open(ctx)
	if err != nil {
		return err
	}
	t := talk{command: c, world: w, answers: answers, policy: policy, system: c.System, terminal: isTerminal(w.in) && !w.quiet}
	if t.terminal {
		fmt.Fprint(w.err, "Talk to "+cmp.Or(c.Server, c.Model)+"; /help lists what else can be said, Ctrl-D ends.\n")
	}
	t.reset()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := make(chan line)
	go readLines(ctx, w.in, lines) // ends with the input, or at the first send after cancel
	for {
		t.prompt()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case l, ok := <-lines:
			switch {
			case !ok:
				return t.end()
			case l.err != nil:
				return l.err
			}
			if done, err := t.hear(ctx, string(l.text)); done || err != nil {
				return errors.Join(err, t.end())
			}
		}
	}
}

func isTerminal(in io.Reader) bool {
	file, ok := in.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// talk is a conversation under way.
type talk struct {
	command  *chatCommand
	world    *world
	answers  tandem.Generator
	policy   *chat.Policy // that answers; nil where a server does
	terminal bool
	system   string
	dialogue tandem.Dialogue
}

// reset begins the conversation again.
func (t *talk) reset() {
	t.dialogue = nil
	if t.system != "" {
		t.dialogue = tandem.Dialogue{{Role: tandem.System, Content: t.system}}
	}
}

// prompt asks for a line, on a terminal.
func (t *talk) prompt() {
	if t.terminal {
		fmt.Fprint(t.world.err, "> ")
	}
}

// end leaves the terminal's line, and with --json prints the conversation.
func (t *talk) end() error {
	if t.terminal {
		fmt.Fprintln(t.world.err)
	}
	if !t.world.json {
		return nil
	}
	return t.world.encode(conversation{append(tandem.Dialogue{}, t.dialogue...)})
}

// conversation is the form in which dialogues are exchanged.
type conversation struct {
	Messages tandem.Dialogue `json:"messages"`
}

// hear takes one line: a command, or a message to answer. What cannot be done is said, and the
// conversation goes on.
func (t *talk) hear(ctx context.Context, text string) (done bool, err error) {
	name, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimSpace(rest)
	switch name {
	case "/quit", "/exit":
		return true, nil
	case "/help":
		fmt.Fprint(t.world.err, chatHelp)
	case "/reset":
		t.reset()
	case "/system":
		t.system = rest
		t.reset()
	case "/save":
		err = t.save(rest)
	default:
		if strings.HasPrefix(name, "/") {
			err = tandem.Errorf(tandem.Invalid, "", "there is no %s; /help lists what there is", name)
			break
		}
		err = t.answer(ctx, text)
	}
	if ctx.Err() != nil {
		return true, ctx.Err()
	}
	switch tandem.CodeOf(err) {
	case tandem.Invalid, tandem.Unsupported, tandem.Unavailable: // what was typed, a file that cannot be written, a server that has much to do
		fmt.Fprintln(t.world.err, "tandem:", err)
		return false, nil
	}
	return false, err
}

// answer streams the policy's answer. The oldest turns are forgotten when the context is full.
func (t *talk) answer(ctx context.Context, text string) error {
	dialogue := t.dialogue.With(tandem.User, text)
	if err := (tandem.Prompt{Messages: dialogue}).Validate(); err != nil {
		return err
	}
	request := tandem.GenerateRequest{
		Messages: dialogue, Sampling: t.command.sampling(),
		Key: tandem.SampleKey{Seed: t.command.Seed, Prompt: dialogue.Key()},
	}
	if t.policy != nil {
		if _, cut, err := t.policy.Prompt(ctx, request); err != nil {
			return err
		} else if cut > 0 {
			t.world.log.Warn("the conversation is longer than the model's context; its beginning is forgotten", "tokens", cut)
		}
	}
	out := bufio.NewWriter(t.world.out)
	var said strings.Builder
	for chunk, err := range t.answers.Generate(ctx, []tandem.GenerateRequest{request}) {
		if err != nil {
			fmt.Fprintln(t.world.out)
			return err
		}
		said.WriteString(chunk.Text)
		_, _ = out.WriteString(printable(chunk.Text)) // Flush says
		if err := out.Flush(); err != nil {
			return fmt.Errorf("write stdout: %w", err)
		}
	}
	if _, err := fmt.Fprintln(t.world.out); err != nil {
		return fmt.Errorf("write stdout: %w", err)
	}
	t.dialogue = dialogue.With(tandem.Assistant, said.String())
	return nil
}

// printable is text without the control characters that would take a terminal over: models are not trusted.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, text)
}

// save writes the conversation so far.
func (t *talk) save(path string) error {
	if path == "" {
		return tandem.Errorf(tandem.Invalid, "", "/save wants a file")
	}
	if t.dialogue.Turns() == 0 {
		return tandem.Errorf(tandem.Invalid, "", "nothing was said yet")
	}
	return writeFile(path, func(out io.Writer) error {
		return json.NewEncoder(out).Encode(conversation{t.dialogue})
	})
}

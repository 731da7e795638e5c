package annotation

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

// importStore is what importing prepared comparisons needs kept.
type importStore interface {
	promptStore
	taskStore
	Project(ctx context.Context, id string) (store.Project, error)
	Progress(ctx context.Context, projectID string) (store.Progress, error)
	AddBatchPrompts(ctx context.Context, projectID string, number int, prompts []tandem.Prompt) ([]tandem.Prompt, error)
	AddGold(ctx context.Context, projectID string, golds []store.Gold, by string) error
	AddAudit(ctx context.Context, entry store.AuditEntry) error
	Together(ctx context.Context, fn func(ctx context.Context) error) error
}

// prepared is a line of a file of prepared comparisons.
type prepared struct {
	Prompt    preparedPrompt     `json:"prompt"`
	Messages  tandem.Dialogue    `json:"messages"` // another name of a prompt of several messages
	Responses []preparedResponse `json:"responses"`
	Safety    *bool              `json:"safety_prompt"` // in a safety project defaults to true
	Risk      string             `json:"risk_category"`
	Vector    string             `json:"attack_vector"`
	Source    string             `json:"source"`
	Priority  int32              `json:"priority"`
	Gold      *preparedGold      `json:"gold"`
}

// preparedGold is the right answer of a comparison, where it is known.
type preparedGold struct {
	Chosen int                  `json:"chosen"` // 1 or 2: which of the responses is the better one
	Labels []tandem.SafetyLabel `json:"labels"` // of the responses, in a safety project; empty where one does not matter
	Reason string               `json:"reason"`
}

// validate checks a gold answer of a project that judges aspect.
func (g preparedGold) validate(aspect tandem.Aspect) error {
	const op = "annotation.Import"
	switch {
	case g.Chosen != 1 && g.Chosen != 2:
		return tandem.Errorf(tandem.Invalid, op, `the gold answer's "chosen" is %d, and should be 1 or 2`, g.Chosen)
	case g.Labels == nil:
		return nil
	case aspect != tandem.Safety:
		return tandem.Errorf(tandem.Invalid, op, "the gold answer has safety labels, and the project is none of safety")
	case len(g.Labels) != 2 || !g.Labels[0].Valid() || !g.Labels[1].Valid():
		return tandem.Errorf(tandem.Invalid, op, `the gold answer's "labels" are %q, and should be two, each safe, unsafe or empty`, g.Labels)
	}
	return nil
}

// of is the gold answer to a task that was made of the line.
func (g preparedGold) of(task madeTask) store.Gold {
	gold := store.Gold{TaskID: task.ID, Chosen: task.Responses[g.Chosen-1], Labels: make(map[string]tandem.SafetyLabel), Reason: g.Reason}
	for i, label := range g.Labels {
		if label != tandem.Unlabelled {
			gold.Labels[task.Responses[i]] = label
		}
	}
	return gold
}

// preparedPrompt is a dialogue, or a text that is its one message.
type preparedPrompt tandem.Dialogue

func (p *preparedPrompt) UnmarshalJSON(text []byte) error {
	if bytes.HasPrefix(text, []byte(`"`)) {
		var content string
		err := json.Unmarshal(text, &content)
		*p = preparedPrompt{{Role: tandem.User, Content: content}}
		return err
	}
	return strict(text, (*tandem.Dialogue)(p))
}

// preparedResponse is an answer, or its text alone.
type preparedResponse NewResponse

func (p *preparedResponse) UnmarshalJSON(text []byte) error {
	if bytes.HasPrefix(text, []byte(`"`)) {
		return json.Unmarshal(text, &p.Content)
	}
	return strict(text, (*NewResponse)(p))
}

// strict decodes JSON that has no fields but v's.
func strict(text []byte, v any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

// comparison is a line that is understood.
type comparison struct {
	prompt tandem.Prompt
	task   NewTask
	gold   *preparedGold // nil where no right answer is known
}

// longestLine bounds a line of a file, in bytes.
const longestLine = 4 << 20

// readPrepared reads a file of prepared comparisons, a JSON object a line; empty lines are passed over. Errors:
// Invalid names the file and the first line that is wrong.
func readPrepared(file string, lines io.Reader, aspect tandem.Aspect) ([]comparison, error) {
	const op = "annotation.Import"
	scanner := bufio.NewScanner(lines)
	scanner.Buffer(make([]byte, 64<<10), longestLine)
	var all []comparison
	number := 0
	for scanner.Scan() {
		number++
		line := bytes.TrimSpace(bytes.TrimPrefix(scanner.Bytes(), []byte("\xef\xbb\xbf"))) // a byte order mark
		if len(line) == 0 {
			continue
		}
		c, err := readComparison(line, aspect)
		if err != nil {
			return nil, tandem.Errorf(tandem.Invalid, op, "%s:%d: %s", file, number, plain(err))
		}
		all = append(all, c)
	}
	if err := scanner.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, tandem.Errorf(tandem.Invalid, op, "%s:%d: the line is longer than %d MiB", file, number+1, longestLine>>20)
	} else if err != nil {
		return nil, tandem.Errorf(tandem.Invalid, op, "%s:%d: %w", file, number+1, err)
	}
	if len(all) == 0 {
		return nil, tandem.Errorf(tandem.Invalid, op, "%s holds no comparison", file)
	}
	return all, nil
}

// plain is what an error says to who wrote the file.
func plain(err error) string {
	var typed *json.UnmarshalTypeError
	if errors.As(err, &typed) {
		return fmt.Sprintf("%q is a %s, and should be %s", typed.Field, typed.Value, inWords(typed.Type))
	}
	var ours *tandem.Error
	if errors.As(err, &ours) {
		return ours.Message
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// inWords is a type for who writes JSON and not Go.
func inWords(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Struct, reflect.Map, reflect.Pointer:
		return "an object"
	case reflect.Float64:
		return "a number"
	}
	return fmt.Sprintf("a whole number of %d bits", t.Bits())
}

// readComparison understands one line.
func readComparison(line []byte, aspect tandem.Aspect) (comparison, error) {
	const op = "annotation.Import"
	wrong := func(format string, args ...any) (comparison, error) {
		return comparison{}, tandem.Errorf(tandem.Invalid, op, format, args...)
	}
	var p prepared
	if err := strict(line, &p); err != nil {
		return comparison{}, err
	}
	if (len(p.Prompt) > 0) == (len(p.Messages) > 0) {
		return wrong(`it needs either "prompt" or "messages"`)
	}
	messages := append(tandem.Dialogue(p.Prompt), p.Messages...)
	prompt := tandem.Prompt{Messages: messages, Safety: aspect == tandem.Safety, Risk: tandem.RiskCategory(p.Risk), Vector: tandem.AttackVector(p.Vector), Source: p.Source}
	if p.Safety != nil {
		prompt.Safety = *p.Safety
	}
	if err := prompt.Validate(); err != nil {
		return comparison{}, err
	}
	if strings.TrimSpace(messages[len(messages)-1].Content) == "" {
		return wrong("the prompt is empty")
	}
	if len(p.Responses) != 2 {
		return wrong(`"responses" holds %d answers, and a comparison has two`, len(p.Responses))
	}
	task := NewTask{Kind: store.Pairwise, Priority: int(p.Priority)}
	for i, r := range p.Responses {
		response := NewResponse(r)
		if err := response.validate(); err != nil {
			return comparison{}, err
		}
		switch {
		case response.ID == "" && strings.TrimSpace(response.Content) == "":
			return wrong("answer %d is empty", i+1)
		case response.ID == "" && response.Model == "" && response.Origin == "":
			response.Origin = "import"
		}
		task.Responses = append(task.Responses, response)
	}
	if a, b := task.Responses[0], task.Responses[1]; a.Content == b.Content && a.ID == b.ID {
		return wrong("both answers are the same")
	}
	if bytes.Contains(line, []byte(`\u0000`)) {
		return wrong("it holds a NUL character, which the database cannot keep")
	}
	if p.Gold != nil {
		if err := p.Gold.validate(aspect); err != nil {
			return comparison{}, err
		}
	}
	return comparison{prompt, task, p.Gold}, nil
}

// Imported says what an import made.
type Imported struct {
	Lines int `json:"comparisons" doc:"That the file holds."`
	Tasks int `json:"tasks" doc:"That were made; the others were there already."`
	Gold  int `json:"gold,omitempty" doc:"Comparisons of the file whose right answer it says."`
}

// importPrepared makes a file's comparisons tasks of a project, all or none of them; batch is 0 for none. A
// comparison that is there already is not made again.
func importPrepared(ctx context.Context, s importStore, projectID, file string, lines io.Reader, batch int) (Imported, error) {
	project, err := s.Project(ctx, projectID)
	if err != nil {
		return Imported{}, err
	}
	all, err := readPrepared(file, lines, project.Aspect)
	if err != nil {
		return Imported{}, err
	}
	var made Imported
	err = s.Together(ctx, func(ctx context.Context) error {
		made = Imported{Lines: len(all)}
		before, err := s.Progress(ctx, projectID)
		if err != nil {
			return err
		}
		for some := range slices.Chunk(all, 1000) {
			prompts, tasks := make([]tandem.Prompt, len(some)), make([]NewTask, len(some))
			for i, c := range some {
				if prompts[i], tasks[i] = c.prompt, c.task; prompts[i].Source == "" {
					prompts[i].Source = project.Name
				}
			}
			if batch > 0 {
				prompts, err = s.AddBatchPrompts(ctx, projectID, batch, prompts)
			} else {
				prompts, err = s.AddPrompts(ctx, prompts)
			}
			if err != nil {
				return err
			}
			for i := range tasks {
				tasks[i].Prompt, tasks[i].Batch = prompts[i].ID, batch
			}
			created, err := createTasks(ctx, s, projectID, tasks)
			if err != nil {
				return err
			}
			var golds []store.Gold
			for i, c := range some {
				if c.gold != nil {
					golds = append(golds, c.gold.of(created[i]))
				}
			}
			if len(golds) == 0 {
				continue
			}
			if err := s.AddGold(ctx, projectID, golds, web.Caller(ctx).Actor()); err != nil {
				return err
			}
			made.Gold += len(golds)
		}
		after, err := s.Progress(ctx, projectID)
		if err != nil {
			return err
		}
		made.Tasks = after.Tasks - before.Tasks
		detail, err := json.Marshal(made)
		if err != nil {
			return err
		}
		return s.AddAudit(ctx, store.AuditEntry{Actor: web.Caller(ctx).Actor(), Action: "project.import", Subject: "project:" + projectID, Detail: detail})
	})
	return made, err
}

type importInput struct {
	web.PathID
	Batch   int    `query:"batch" minimum:"0" maximum:"2147483647" doc:"The batch that they come in; 0 for none."`
	RawBody []byte `contentType:"application/x-ndjson"`
}

type importOutput struct{ Body Imported }

func registerImport(api web.API, s importStore) {
	web.Create(api, web.Scopes{store.ScopeAdmin}, web.Within(100*time.Second, huma.Operation{ // before the deadline of reading cuts the request off
		OperationID: "import-comparisons", Method: http.MethodPost, Path: "/api/v1/projects/{id}/import", MaxBodyBytes: 32 << 20, BodyReadTimeout: 2 * time.Minute,
		Summary: "Make tasks of prepared comparisons, a JSON object a line", Tags: []string{"tasks"},
		Description: "Each line holds a prompt, as a text or as messages, and two answers: " +
			"`{\"prompt\": \"…\", \"responses\": [\"…\", \"…\"]}`. Optional are safety_prompt, risk_category, attack_vector, source and priority; an answer may be an object as in create-tasks. " +
			"`\"gold\": {\"chosen\": 1, \"labels\": [\"safe\", \"unsafe\"], \"reason\": \"…\"}` marks the task as gold, as in add-gold; labels and reason are optional. " +
			"All lines are taken or none: the problem invalid names the first that is wrong. What is there already is not made again.",
	}), func(ctx context.Context, in *importInput) (*importOutput, error) {
		made, err := importPrepared(ctx, s, in.ID, "body", bytes.NewReader(in.RawBody), in.Batch)
		return &importOutput{made}, err
	})
}

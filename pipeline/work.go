package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tandem"
	"tandem/llama"
	"tandem/llama/checkpoint"
	"tandem/llama/train"
	"tandem/pipeline/tfevents"
	"tandem/store"
)

// job is a stage's specification: what a model is made of and how, by the names of files and folders.
type job interface {
	// describe returns the model's lineage: all but ID, Kernel and CreatedAt. Config is the specification where
	// it says nothing else.
	describe(ctx context.Context, s *Studio) (tandem.Model, error)
	// folder is where the model will lie.
	folder() string
	// prepare reads everything that the work needs, and changes nothing.
	prepare(ctx context.Context, s *Studio) (*prepared, error)
}

// prepared is a stage with its inputs read.
type prepared struct {
	steps  int
	counts map[string]int // of the data, by what was counted
	lora   llama.LoRA     // of the adapters that are trained; the zero value for none
	// expect says what do will take.
	expect func() (load, error)
	// do makes the model and returns it with what was measured of it.
	do func(ctx context.Context, w *work) (*checkpoint.Model, map[string]float64, error)
}

// Plan is what a stage would do.
type Plan struct {
	Stage  tandem.Stage    `json:"stage"`
	Config json.RawMessage `json:"config"` // the resolved specification, whole
	Data   map[string]int  `json:"data"`   // counts
	Steps  int             `json:"steps"`
	Writes []string        `json:"writes"`
	// Status of the folder: "new", "interrupted after step N" or "finished".
	Status string `json:"status"`
	// Expected is what it would take; nil where nothing is left to do.
	Expected *Expectation `json:"expected,omitempty"`
}

// Plan says what a stage would do, and touches nothing.
func (s *Studio) Plan(ctx context.Context, j job) (Plan, error) {
	m, err := s.identify(ctx, j)
	if err != nil {
		return Plan{}, err
	}
	out := j.folder()
	plan := Plan{Stage: m.Stage, Config: m.Config, Status: "new", Writes: []string{
		filepath.Join(out, "config.json"), filepath.Join(out, "model.safetensors"), filepath.Join(out, "tandem.json"), metricsPath(out),
	}}
	there, err := s.finished(ctx, m, out)
	if err != nil {
		return plan, err
	}
	p, err := j.prepare(ctx, s)
	if err != nil {
		return plan, err
	}
	plan.Data, plan.Steps, plan.Writes = p.counts, p.steps, append(plan.Writes, adapterFiles(out, p.lora)...)
	if there != nil {
		plan.Status, plan.Writes = "finished", []string{}
		return plan, nil
	}
	steps, err := statesOf(out).Steps(ctx)
	if err != nil {
		return plan, err
	}
	left := 1.0
	if len(steps) > 0 {
		newest := steps[len(steps)-1]
		plan.Status, left = fmt.Sprintf("interrupted after step %d", newest), 1-float64(newest)/float64(max(p.steps, 1))
	}
	l, err := p.expect()
	if err != nil {
		return plan, err
	}
	plan.Expected = l.expect(train.DeviceProduct(s.Device), left)
	return plan, nil
}

// identify completes a model's lineage. The id is a hash of it, so that the same work on the same inputs
// is the same model wherever it is done.
func (s *Studio) identify(ctx context.Context, j job) (tandem.Model, error) {
	m, err := j.describe(ctx, s)
	if err != nil {
		return m, err
	}
	if m.Config == nil {
		if m.Config, err = json.Marshal(j); err != nil {
			return m, fmt.Errorf("the specification as JSON: %w", err)
		}
	}
	m.Kernel = s.Kernel
	m.ID, err = identity(m)
	return m, err
}

// identity is the id of a model by its lineage before it was measured.
func identity(m tandem.Model) (string, error) {
	m.ID, m.URL = "", ""
	text, err := json.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("the lineage as JSON: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8]), nil
}

// same reports whether two lineages are of the same work; with AnyKernel they may differ in the kernel. Work that an
// older version began, which knew less to configure, is the same where the rest is left out.
func (s *Studio) same(begun, now tandem.Model) bool {
	if begun.ID == now.ID {
		return true
	}
	if s.AnyKernel {
		now.Kernel = begun.Kernel
	}
	if len(begun.Config) > 0 && len(now.Config) > 0 && len(Changed(begun.Config, now.Config)) == 0 {
		now.Config = begun.Config
	}
	id, err := identity(now)
	return err == nil && id == begun.ID
}

// carryOut makes the model of a job, or finds it made. resume goes on with a run that was interrupted.
func (s *Studio) carryOut(ctx context.Context, j job, resume bool) (tandem.Model, error) {
	s, events := s.noted()
	if err := takeOver(ctx, j.folder()); err != nil {
		return tandem.Model{}, err
	}
	m, err := s.identify(ctx, j)
	if err != nil {
		return m, err
	}
	if there, err := s.finished(ctx, m, j.folder()); err != nil {
		return m, err
	} else if there != nil {
		s.dropStates(j.folder()) // its run may have been killed before it did, or before its row said so
		s.close(ctx, m, *there)
		return *there, nil
	}
	newest, err := resumable(ctx, j.folder(), resume)
	if err != nil {
		return m, err
	}
	p, err := j.prepare(ctx, s)
	if err != nil {
		return m, err
	}
	w, err := s.begin(ctx, m, j.folder(), resume, newest)
	if err != nil {
		return m, err
	}
	events.to(w.recorder)
	made, metrics, err := p.do(ctx, w)
	if err == nil {
		w.model.Metrics = metrics
		w.model, err = s.keep(ctx, w.out, made, w.model)
	}
	return w.model, errors.Join(err, w.end(ctx, err))
}

// finished returns the model that stands in a folder if it is the very one that would be made, nil where
// nothing stands in the way of making it, and an error where something does.
func (s *Studio) finished(ctx context.Context, m tandem.Model, out string) (*tandem.Model, error) {
	const op = "pipeline"
	info, err := os.Stat(out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, tandem.Errorf(tandem.Unavailable, op, "%w", err)
	case !info.IsDir():
		return nil, tandem.Errorf(tandem.Conflict, op, "%s is a file: a model needs a folder", out)
	}
	if holdsModel(out) {
		there, err := checkpoint.ReadLineage(ctx, out)
		if err != nil {
			return nil, err
		}
		if there == nil {
			return nil, tandem.Errorf(tandem.Conflict, op, "%s holds a model that tandem has not made: choose another folder", out)
		}
		made := *there
		made.Metrics, made.Calibration, made.CreatedAt, made.Ensemble = nil, nil, time.Time{}, nil
		if !s.same(made, m) {
			return nil, tandem.Errorf(tandem.Conflict, op, "%s holds a finished model, %s (%s), made otherwise%s: choose another folder",
				out, there.Name, there.ID, differences(made, m))
		}
		there.URL = out
		return there, nil
	}
	return nil, s.reserve(m, out)
}

// holdsModel says whether a model stands in a folder, or an ensemble, which has no config.json of its own.
func holdsModel(out string) bool {
	for _, name := range []string{"config.json", "tandem.json"} {
		if _, err := os.Stat(filepath.Join(out, name)); err == nil {
			return true
		}
	}
	return false
}

// runName is the file beside a model that says what is being made in the folder, and was.
const runName = "run.json"

// ours are the names that a run may find in its folder before there is a model.
var ours = []string{runName, metricsName, tfevents.Name, statesName, samplesName, targetsName, archiveName, samplingName, rejectName, adapterName, corpusFolder, "lost+found"}

// reserve refuses a folder that holds another's files, or another run's.
func (s *Studio) reserve(m tandem.Model, out string) error {
	const op = "pipeline"
	text, err := os.ReadFile(filepath.Join(out, runName))
	if err == nil {
		var begun tandem.Model
		if err := json.Unmarshal(text, &begun); err != nil {
			return tandem.Errorf(tandem.Corrupt, op, "%s: %w", filepath.Join(out, runName), err)
		}
		if !s.same(begun, m) {
			return tandem.Errorf(tandem.Conflict, op, "%s holds another run, %s (%s)%s: resume that one as it was begun, or choose another folder",
				out, begun.Name, begun.Stage, differences(begun, m))
		}
		return nil
	}
	entries, err := os.ReadDir(out)
	if err != nil {
		return tandem.Errorf(tandem.Unavailable, op, "%w", err)
	}
	for _, e := range entries {
		if !slices.Contains(ours, e.Name()) && !strings.HasPrefix(e.Name(), ".") {
			return tandem.Errorf(tandem.Conflict, op, "%s holds files that are no run's of tandem (%s): choose another folder", out, e.Name())
		}
	}
	return nil
}

// differences names what two lineages differ in, for people.
func differences(a, b tandem.Model) string {
	var names []string
	for _, f := range []struct {
		name string
		same bool
	}{{"stage", a.Stage == b.Stage}, {"parent", a.Parent == b.Parent}, {"data", a.Snapshot == b.Snapshot}, {"kernel", a.Kernel == b.Kernel}} {
		if !f.same {
			names = append(names, f.name)
		}
	}
	if a.Stage == b.Stage {
		names = append(names, Changed(a.Config, b.Config)...)
	}
	return different(names)
}

// different is the names in a message, nothing where there are none.
func different(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " (different: " + strings.Join(names, ", ") + ")"
}

// Changed lists the fields, as "config.fit.steps", in which two JSON texts differ; none where one of them is
// no JSON. A field that one of them lacks and that says nothing in the other (0, "", false) is none: a version that
// did not know it did as one that leaves it out.
func Changed(a, b json.RawMessage) []string {
	var was, is any
	if json.Unmarshal(a, &was) != nil || json.Unmarshal(b, &is) != nil {
		return nil
	}
	return changed("", was, is)
}

// changed lists the paths at which two JSON values differ.
func changed(path string, a, b any) (paths []string) {
	x, isObject := a.(map[string]any)
	y, both := b.(map[string]any)
	if !isObject || !both {
		if p, q := fmt.Sprint(a), fmt.Sprint(b); p != q {
			return []string{strings.TrimPrefix(path, ".")}
		}
		return nil
	}
	keys := make(map[string]bool)
	for k := range x {
		keys[k] = true
	}
	for k := range y {
		keys[k] = true
	}
	for k := range keys {
		_, inX := x[k]
		_, inY := y[k]
		if inX != inY && saysNothing(x[k]) && saysNothing(y[k]) {
			continue
		}
		paths = append(paths, changed(path+"."+k, x[k], y[k])...)
	}
	slices.Sort(paths)
	return paths
}

// saysNothing reports whether a JSON value is what a field is that was left out.
func saysNothing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case float64:
		return v == 0
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, x := range v {
			if !saysNothing(x) {
				return false
			}
		}
		return true
	}
	return false
}

// work is one run of a stage in its folder.
type work struct {
	studio   *Studio
	out      string
	model    tandem.Model
	resume   bool
	states   *checkpoint.States
	metrics  *metricsFile
	recorder *recorder
	cpu      float64 // processor time of the process when the last step was observed
}

// statesName is the folder beside a model in which the states of its run are kept while it is made.
const statesName = "states"

// statesOf keeps a run's resumable states beside the model that it makes.
func statesOf(out string) *checkpoint.States {
	return checkpoint.NewStates(checkpoint.Folder(out), statesName, 2)
}

// resumable returns the step of the newest state in a folder, 0 for none. It refuses to begin anew where an
// interrupted run could be resumed.
func resumable(ctx context.Context, out string, resume bool) (int64, error) {
	steps, err := statesOf(out).Steps(ctx)
	if err != nil || len(steps) == 0 {
		return 0, err
	}
	newest := steps[len(steps)-1]
	if !resume {
		return 0, tandem.Errorf(tandem.Conflict, "pipeline", "%s holds the state of a run that was interrupted after step %d: resume it, or remove the folder", out, newest)
	}
	return newest, nil
}

// begin takes the folder of a run, whose newest state is of that step.
func (s *Studio) begin(ctx context.Context, m tandem.Model, out string, resume bool, newest int64) (w *work, err error) {
	w = &work{studio: s, out: out, model: m, resume: resume, states: statesOf(out)}
	w.cpu, _ = cpuSeconds()
	if newest > 0 {
		s.Log.Info("resuming", "folder", out, "step", newest)
	}
	if err := writeJSON(ctx, filepath.Join(out, runName), m); err != nil {
		return nil, err
	}
	if w.metrics, err = openMetrics(ctx, out, newest); err != nil {
		return nil, err
	}
	w.recorder = s.record(ctx, m, newest)
	w.recorder.catchUp(ctx, w.metrics.kept)
	return w, nil
}

// observe keeps the figures of a step and passes them on.
func (w *work) observe(o Observation) {
	o.Stage = w.model.Stage
	if _, step := o.Metrics[store.TokensMetric]; step { // what an evaluation took counts for the step after it
		if now, ok := cpuSeconds(); ok {
			o.Metrics[store.CPUMetric], w.cpu = now-w.cpu, now
		}
	}
	w.metrics.add(o)
	w.recorder.add(o)
	w.studio.observe(o)
}

// end closes the run's records; cause is why it failed, nil where the model stands.
func (w *work) end(ctx context.Context, cause error) error {
	err := w.metrics.close()
	w.recorder.end(ctx, w.model, cause)
	if cause != nil { // says more than a lost line of metrics
		return nil
	}
	return err
}

// writeJSON writes one JSON object to a file, whole or not at all.
func writeJSON(ctx context.Context, path string, v any) error {
	f, err := renewLines(ctx, path, slices.Values([]any{v}))
	if err != nil {
		return err
	}
	return f.Close()
}

package annotation_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tandem"
	"tandem/annotation"
	"tandem/internal/openai"
	"tandem/internal/web"
	"tandem/site"
	"tandem/store"
)

// fake is a model that a test lets speak.
type fake func(ctx context.Context, r tandem.GenerateRequest, say func(string)) error

func (f fake) Generate(ctx context.Context, requests []tandem.GenerateRequest) iter.Seq2[tandem.Chunk, error] {
	return func(yield func(tandem.Chunk, error) bool) {
		for i, r := range requests {
			if err := f(ctx, r, func(text string) { yield(tandem.Chunk{Request: i, Text: text, Tokens: []int32{1}}, nil) }); err != nil {
				yield(tandem.Chunk{}, err)
				return
			}
			if !yield(tandem.Chunk{Request: i, Finish: tandem.FinishStop}, nil) {
				return
			}
		}
	}
}

// answers is a fake that says what it was asked, and which seed makes it different.
func answers(_ context.Context, r tandem.GenerateRequest, say func(string)) error {
	say("You said: ")
	say(r.Messages[len(r.Messages)-1].Content)
	say(fmt.Sprintf(" (%d)", r.Key.Seed))
	return nil
}

// secretly is what no annotator may see: variants are called by it.
const secretly = "hidden-variant"

// live is a site with a live project whose variants are fakes.
type live struct {
	world
	*annotation.Live
	project store.Project
	stop    context.CancelFunc // of its sampling, which has ended when it returns
}

// newLive starts a site; of the fakes each is a variant of the project.
func newLive(t *testing.T, aspect tandem.Aspect, c annotation.LiveConfig, fakes ...tandem.Generator) *live {
	t.Helper()
	ctx := t.Context()
	l := &live{world: world{t: t, store: postgres.Store(t)}}
	if c.Look == 0 {
		c.Look = 20 * time.Millisecond
	}
	if c.Pause == 0 {
		c.Pause = time.Millisecond
	}
	var seeds atomic.Uint64
	c.Seed = func() uint64 { return 100 * seeds.Add(1) }
	if c.Open == nil {
		c.Open = func(_ context.Context, v store.Variant) (tandem.Generator, error) {
			var i int
			if _, err := fmt.Sscanf(v.Name, secretly+"-%d", &i); err != nil {
				return nil, tandem.Errorf(tandem.NotFound, "test", "there is no folder %s", v.URL)
			}
			return fakes[i], nil
		}
	}
	var err error
	if l.Live, err = annotation.NewLive(l.store, c); err != nil {
		t.Fatal(err)
	}
	handler, err := site.Handler(site.Config{Keys: l.store, Accounts: l.store, Ready: l.store.Ping},
		func(api web.API) error { return annotation.Register(api, l.store) },
		func(api web.API) error { return annotation.RegisterLive(api, l.Live) })
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	l.url = server.URL
	l.admin = l.client(store.Key{Name: "admin", Scopes: []store.Scope{store.ScopeAdmin, store.ScopeRead}})
	if l.project, err = l.store.CreateProject(ctx, store.Project{Name: "Talk", Aspect: aspect, Source: store.Live, Guideline: "Be curious."}, "test"); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for i := range fakes {
		v, err := l.store.AddVariant(ctx, store.Variant{Name: fmt.Sprintf("%s-%d", secretly, i), Kind: store.FolderVariant, URL: fmt.Sprintf("/%s/%d", secretly, i)}, "test")
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, v.ID)
	}
	if err := l.store.SetDrawing(ctx, l.project.ID, ids, []float64{0.62500001, 1.37500001}, 32, "test"); err != nil {
		t.Fatal(err)
	}
	l.stop = run(l.Live)
	t.Cleanup(func() {
		l.stop()
		server.Close()
	})
	return l
}

// run samples until the function that it returns is called, which waits for the end.
func run(l *annotation.Live) context.CancelFunc {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { l.Run(ctx) })
	return func() {
		cancel()
		group.Wait()
	}
}

// blind fails if text tells which variant answers, or how. The temperatures have more decimals than a time.
func blind(t testing.TB, what, text string) {
	t.Helper()
	for _, word := range []string{secretly, "0.62500001", "1.37500001", "temperature", "seed"} {
		if strings.Contains(text, word) {
			t.Errorf("%s says %q:\n%s", what, word, text)
		}
	}
}

// event is one of a stream.
type event struct{ name, data string }

// events reads the stream of the turn page that the browser shows, until it has one that is wanted.
func (b *browser) events(wanted func(event) bool) []event {
	b.t.Helper()
	found := regexp.MustCompile(`data-events="([^"]+)"`).FindStringSubmatch(b.page)
	if found == nil {
		b.t.Fatalf("%s watches nothing:\n%s", b.at, b.page)
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+found[1], nil)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	response, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		b.t.Fatalf("the stream answers %s, %s", response.Status, response.Header.Get("Content-Type"))
	}
	var out []event
	var e event
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			e.name = name
		} else if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			e.data = data
			blind(b.t, "an event", data)
			if out = append(out, e); wanted(e) {
				return out
			}
		}
	}
	b.t.Fatalf("the stream ends after %v", out)
	return nil
}

// follow waits until the turn that is shown goes on, and goes there. It may have done so already.
func (b *browser) follow() {
	b.t.Helper()
	if !strings.Contains(b.page, "data-events") {
		return
	}
	target := regexp.MustCompile(`"location":"([^"]+)"`)
	out := b.events(func(e event) bool { return target.MatchString(e.data) })
	b.get(target.FindStringSubmatch(out[len(out)-1].data)[1])
}

// prompt is the form of the page for prompts, with a text.
func (b *browser) prompt(text string) url.Values {
	form := url.Values{"text": {text}}
	for _, field := range hiddenField.FindAllStringSubmatch(b.page, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	return form
}

// TestLivePathWithoutJavaScript is a person's way from a prompt to a judgment, on with the dialogue, and to a new one.
func TestLivePathWithoutJavaScript(t *testing.T) {
	gate := make(chan struct{})
	slow := fake(func(ctx context.Context, r tandem.GenerateRequest, say func(string)) error {
		say("<i>Slowly</i>: ")
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
		return answers(ctx, r, say)
	})
	l := newLive(t, tandem.Helpfulness, annotation.LiveConfig{}, slow, fake(answers))
	ada := l.join("ada", store.RoleAnnotator)
	ada.wants(http.StatusOK, "Talk", "you write the prompts")
	home := "/projects/" + l.project.ID + "/live"
	ada.post("/projects/"+l.project.ID+"/next", url.Values{})
	if ada.wants(http.StatusOK, "Write a prompt", "8000 characters"); ada.at != home {
		t.Fatalf("starting leads to %s", ada.at)
	}
	ada.post(home, ada.prompt("  "))
	ada.wants(http.StatusUnprocessableEntity, "The prompt is empty.")
	long := strings.Repeat("x", 8001)
	ada.post(home, ada.prompt(long))
	ada.wants(http.StatusUnprocessableEntity, "The prompt has 8001 characters, and 8000 are the most.", long)

	form := ada.prompt("What is <b>love</b>?")
	ada.post(home, form)
	turn := ada.at
	ada.wants(http.StatusOK, "What is <b>love</b>?", `<noscript><meta http-equiv="refresh"`)
	ada.post(home, form) // twice
	if ada.at != turn {
		t.Errorf("sending the prompt twice leads to %s and %s", turn, ada.at)
	}
	both := form
	both.Set("key", "of another tab")
	ada.post(home, both)
	ada.wants(http.StatusConflict, "The answers to your last prompt come first", "What is <b>love</b>?")
	ada.get(home)
	if ada.at != turn {
		t.Errorf("coming back leads to %s, not to the prompt that is answered, %s", ada.at, turn)
	}
	// One is there and the other is on its way: what is written so far is shown, and nothing of who writes it.
	ada.events(func(e event) bool { return e.name == "turn" && strings.Contains(e.data, "done") })
	ada.get(turn)
	ada.wants(http.StatusOK, "One answer is there, the other is being written.", "<i>Slowly</i>: ", "You said: What is")
	blind(t, "the page", ada.page)
	if strings.Contains(ada.page, "<i>Slowly") || strings.Contains(ada.page, "<b>love") {
		t.Errorf("text is not escaped:\n%s", ada.page)
	}
	close(gate)
	ada.follow()
	ada.wants(http.StatusOK, "Which answer is better", "Left", "Right")
	blind(t, "the comparison", ada.page)
	compared := ada.at

	target, judged := ada.judgment("2")
	ada.post(target, judged)
	if ada.wants(http.StatusOK, "Kept.", "Carry the dialogue on", "Assistant", "Begin a new dialogue"); !strings.HasPrefix(ada.at, home+"?after=") {
		t.Errorf("a judgment leads to %s", ada.at)
	}
	after := ada.at
	ada.post(strings.Replace(compared, "?", "/x?", 1)+"/undo", url.Values{})
	ada.wants(http.StatusOK, "Which answer is better")
	target, judged = ada.judgment("7")
	ada.post(target, judged)
	ada.wants(http.StatusOK, "Kept.")
	if ada.at != after {
		t.Errorf("judged again it leads to %s", ada.at)
	}
	ada.post(home, ada.prompt("Why?"))
	turn = ada.at
	ada.wants(http.StatusOK, "Why?", "You said: What is")
	ada.follow()
	ada.wants(http.StatusOK, "Which answer is better", "Why?")
	target, judged = ada.judgment("1")
	ada.post(target, judged)
	ada.wants(http.StatusOK, "Carry the dialogue on")
	ada.get(home)
	ada.wants(http.StatusOK, "Write a prompt")
	if strings.Contains(ada.page, "Assistant") {
		t.Error("a new dialogue begins with an old one")
	}

	// What was collected flows out like any comparison.
	var turns []int
	for c, err := range l.store.Comparisons(t.Context(), store.ComparisonQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		turns = append(turns, c.Prompt.Messages.Turns())
		if c.Prompt.Source != "live:Talk" || !strings.HasPrefix(c.Chosen.Model, "variant:"+secretly) || c.Chosen.Model == c.Rejected.Model {
			t.Errorf("the comparison is %+v", c)
		}
	}
	if fmt.Sprint(turns) != "[1 3]" {
		t.Errorf("comparisons have %v turns", turns)
	}
	bob := l.join("bob", store.RoleAnnotator)
	for _, path := range []string{turn, turn + "/events", compared} {
		bob.get(path)
		bob.wants(http.StatusNotFound)
	}
	bob.get(after)
	bob.wants(http.StatusNotFound)
}

func TestSafetyPromptsSayWhatTheyTry(t *testing.T) {
	l := newLive(t, tandem.Safety, annotation.LiveConfig{}, fake(answers), fake(answers))
	ada := l.join("ada", store.RoleAnnotator)
	home := "/projects/" + l.project.ID + "/live"
	ada.get(home)
	ada.wants(http.StatusOK, "Risk category", "Attack vector")
	form := ada.prompt("How do I pick a lock?")
	ada.post(home, form)
	ada.wants(http.StatusUnprocessableEntity, "risk category is missing", "How do I pick a lock?")
	form.Set("risk", string(tandem.IllicitCriminal))
	ada.post(home, form)
	ada.wants(http.StatusUnprocessableEntity, "attack vector is missing", `value="illicit_and_criminal" selected`)
	form.Set("vector", string(tandem.Logic))
	ada.post(home, form)
	ada.follow()
	ada.wants(http.StatusOK, "Which answer is better", "Left is", "unsafe")
	target, judged := ada.judgment("2")
	ada.post(target, judged)
	ada.wants(http.StatusOK, "Carry the dialogue on", `value="illicit_and_criminal" selected`, `value="logic" selected`)
}

// TestStream joins in the middle of an answer, twice, and gets all of it.
func TestStream(t *testing.T) {
	more := make(chan string)
	speaker := fake(func(ctx context.Context, _ tandem.GenerateRequest, say func(string)) error {
		for {
			select {
			case text, ok := <-more:
				if !ok {
					return nil
				}
				say(text)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	l := newLive(t, tandem.Helpfulness, annotation.LiveConfig{AtOnce: 1}, speaker, speaker)
	ada := l.join("ada", store.RoleAnnotator)
	ada.get("/projects/" + l.project.ID + "/live")
	ada.post(ada.at, ada.prompt("Hello?"))
	more <- "one "
	said := func(events []event) string {
		text := ""
		for _, e := range events {
			var n struct {
				Answer int
				Whole  bool
				Text   string
			}
			if e.name != "text" || json.Unmarshal([]byte(e.data), &n) != nil || n.Answer != 0 {
				continue
			}
			if n.Whole {
				text = ""
			}
			text += n.Text
		}
		return text
	}
	until := func(want string) {
		t.Helper()
		var so []event
		ada.events(func(e event) bool { so = append(so, e); return said(so) == want })
	}
	until("one ")
	more <- "</p><script>two"
	more <- "\x00"
	until("one </p><script>two\uFFFD") // a stream that begins again brings all of it
	close(more)
	ada.events(func(e event) bool { return strings.Contains(e.data, "done") })
}

// A stream that is open ends soon after its reader is disabled, and not with its minute.
func TestStreamEndsWithItsReader(t *testing.T) {
	silent := fake(func(ctx context.Context, _ tandem.GenerateRequest, say func(string)) error {
		say("one ")
		<-ctx.Done()
		return ctx.Err()
	})
	l := newLive(t, tandem.Helpfulness, annotation.LiveConfig{AtOnce: 1}, silent, silent)
	ada := l.join("ada", store.RoleAnnotator)
	ada.get("/projects/" + l.project.ID + "/live")
	ada.post(ada.at, ada.prompt("Hello?"))
	person, err := l.store.FindAnnotator(t.Context(), "ada@example.org")
	if err != nil {
		t.Fatal(err)
	}
	address := regexp.MustCompile(`data-events="([^"]+)"`).FindStringSubmatch(ada.page)
	if address == nil {
		t.Fatalf("nothing is watched: %s", ada.page)
	}
	response, err := ada.http.Get(ada.url + address[1])
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	if response.StatusCode != http.StatusOK || !lines.Scan() {
		t.Fatalf("the stream answers %s", response.Status)
	}
	if err := l.store.DisableAnnotator(t.Context(), person.ID, "test"); err != nil {
		t.Fatal(err)
	}
	disabled := time.Now()
	for lines.Scan() {
	}
	if lasted := time.Since(disabled); lines.Err() != nil || lasted > 30*time.Second {
		t.Errorf("the stream went on for %v, %v", lasted, lines.Err())
	}
}

func TestFailuresAreSaidPlainly(t *testing.T) {
	var tries, broken atomic.Int32
	broken.Store(1)
	l := newLive(t, tandem.Helpfulness, annotation.LiveConfig{}, fake(func(ctx context.Context, r tandem.GenerateRequest, say func(string)) error {
		tries.Add(1)
		if broken.Load() == 1 {
			say("I begin and")
			return tandem.Errorf(tandem.Unavailable, "test", "the endpoint of %s hangs", secretly)
		}
		return answers(ctx, r, say)
	}), fake(answers))
	ada := l.join("ada", store.RoleAnnotator)
	home := "/projects/" + l.project.ID + "/live"
	ada.get(home)
	ada.post(home, ada.prompt("Hello?"))
	turn := ada.at
	ada.follow()
	ada.wants(http.StatusOK, "does not answer, although it was tried again. Your prompt is kept.", "Try another draw", "Hello?")
	if blind(t, "the page", ada.page); tries.Load() != store.LiveTries || strings.Contains(ada.page, "I begin and") || strings.Contains(ada.page, "http-equiv") {
		t.Errorf("after %d tries it says\n%s", tries.Load(), ada.page)
	}
	ada.post(turn+"/abandon", url.Values{})
	if ada.wants(http.StatusOK, "Hello?", "Write a prompt"); !strings.HasPrefix(ada.at, home+"?from=") {
		t.Errorf("giving up leads to %s", ada.at)
	}
	ada.post(home, ada.prompt("Hello, you?"))
	ada.follow()
	ada.wants(http.StatusOK, "Try another draw")
	broken.Store(0)
	ada.post(strings.TrimSuffix(ada.at, "/")+"/redraw", url.Values{})
	ada.follow()
	ada.wants(http.StatusOK, "Which answer is better", "Hello, you?")
}

// TestAnswersThatSayTheSame: a comparison of equal answers, or of none, would be worth nothing.
func TestAnswersThatSayTheSame(t *testing.T) {
	for name, f := range map[string]fake{
		"same":  func(_ context.Context, _ tandem.GenerateRequest, say func(string)) error { say("Yes."); return nil },
		"empty": func(_ context.Context, _ tandem.GenerateRequest, say func(string)) error { say(" \n"); return nil },
	} {
		l := newLive(t, tandem.Helpfulness, annotation.LiveConfig{}, f, f)
		ada := l.join("ada", store.RoleAnnotator)
		ada.get("/projects/" + l.project.ID + "/live")
		ada.post(ada.at, ada.prompt("Hello?"))
		ada.follow()
		if ada.wants(http.StatusOK, "nothing to compare", "Try another draw"); t.Failed() {
			t.Log(name)
		}
	}
}

// TestTheQueueIsBounded: no more than so many answers at once, first come first served, and who waits is told.
func TestTheQueueIsBounded(t *testing.T) {
	var at, most atomic.Int32
	gate, began := make(chan struct{}), make(chan string, 16)
	f := fake(func(ctx context.Context, r tandem.GenerateRequest, say func(string)) error {
		most.Store(max(most.Load(), at.Add(1)))
		defer at.Add(-1)
		began <- r.Messages[0].Content
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
		return answers(ctx, r, say)
	})
	l := newLive(t, tandem.Helpfulness, annotation.LiveConfig{AtOnce: 1}, f, f)
	var people []*browser
	for _, name := range []string{"ada", "bob", "eve"} {
		b := l.join(name, store.RoleAnnotator)
		b.get("/projects/" + l.project.ID + "/live")
		b.post(b.at, b.prompt("I am "+name))
		people = append(people, b)
	}
	if first := <-began; first != "I am ada" {
		t.Errorf("%q is answered first", first)
	}
	people[2].get(people[2].at)
	people[2].wants(http.StatusOK, "Your prompt is kept. 4 answers are written before yours: about 40 seconds.")
	close(gate)
	order := ""
	for range 5 {
		order += (<-began)[5:] + " "
	}
	if order != "ada bob bob eve eve " || most.Load() != 1 {
		t.Errorf("then come %s, %d at once", order, most.Load())
	}
	for _, b := range people {
		b.follow()
		b.wants(http.StatusOK, "Which answer is better")
	}
}

// TestAServerThatDies leaves an answer whose lease runs out, and one that stops gives it back.
func TestAServerThatDies(t *testing.T) {
	gate, began := make(chan struct{}), make(chan struct{}, 16)
	f := fake(func(ctx context.Context, r tandem.GenerateRequest, say func(string)) error {
		began <- struct{}{}
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
		return answers(ctx, r, say)
	})
	l := newLive(t, tandem.Helpfulness, annotation.LiveConfig{}, f, f)
	l.stop()
	ada := l.join("ada", store.RoleAnnotator)
	ada.get("/projects/" + l.project.ID + "/live")
	ada.post(ada.at, ada.prompt("Hello?"))
	ada.wants(http.StatusOK, "Your prompt is kept; its answers come next.")
	dead, err := l.store.TakeAnswer(t.Context(), 100*time.Millisecond) // and that is the last of its server
	if err != nil {
		t.Fatal(err)
	}
	other := func() *annotation.Live {
		o, err := annotation.NewLive(l.store, annotation.LiveConfig{Look: 20 * time.Millisecond, Open: func(context.Context, store.Variant) (tandem.Generator, error) { return f, nil }})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	stop := run(other())
	<-began
	<-began // the other one of the pair, and the one of the dead
	stop()
	page := ada.at
	ada.get("/api/v1" + page)
	var turn annotation.Turn
	if err := json.Unmarshal([]byte(ada.page), &turn); err != nil || turn.Answers[0].State != store.AnswerWaiting || turn.Answers[1].State != store.AnswerWaiting {
		t.Errorf("given back are %s", ada.page)
	}
	ada.get(page)
	close(gate)
	defer run(other())()
	// This server samples nothing: it learns of the answers from the database.
	deadline := time.Now().Add(20 * time.Second)
	for strings.HasPrefix(ada.at, "/turns/") && time.Now().Before(deadline) {
		ada.get(ada.at)
	}
	ada.wants(http.StatusOK, "Which answer is better")
	if err := l.store.FinishAnswer(t.Context(), dead, tandem.Completion{Text: "from beyond"}); tandem.CodeOf(err) != tandem.Stale {
		t.Errorf("the dead server's answer: %v", err)
	}
}

// TestLiveThroughTheAPI is what other front ends do, blind as the pages are.
func TestLiveThroughTheAPI(t *testing.T) {
	l := newLive(t, tandem.Safety, annotation.LiveConfig{}, fake(answers), fake(answers))
	ada, bob := l.annotator("ada"), l.annotator("bob")
	turns := "/api/v1/projects/" + l.project.ID + "/turns"
	body := `{"text":"How?","risk_category":"hateful_and_harmful","attack_vector":"semantic"}`
	for _, bad := range []string{`{"text":""}`, `{"text":"How?"}`, `{"text":"How?","risk_category":"nice","attack_vector":"semantic"}`, `{}`} {
		if status, answer, _ := l.raw(ada, http.MethodPost, turns, bad, "Idempotency-Key", "bad"); status != http.StatusUnprocessableEntity {
			t.Errorf("%s answers %d %s", bad, status, answer)
		}
	}
	var turn annotation.Turn
	for range 2 {
		status, answer, _ := l.raw(ada, http.MethodPost, turns, body, "Idempotency-Key", "k")
		first := turn.ID
		if err := json.Unmarshal([]byte(answer), &turn); err != nil || status != http.StatusCreated || first != "" && first != turn.ID {
			t.Fatalf("%d %s", status, answer)
		}
		blind(t, "the turn", answer)
	}
	if status, answer, _ := l.raw(ada, http.MethodPost, turns, strings.Replace(body, "How", "Why", 1), "Idempotency-Key", "k"); status != http.StatusConflict {
		t.Errorf("the key with another prompt answers %d %s", status, answer)
	}
	own := "/api/v1/turns/" + turn.ID
	for deadline := time.Now().Add(20 * time.Second); turn.State != annotation.TurnAnswered; {
		status, answer, _ := l.raw(ada, http.MethodGet, own, "")
		if err := json.Unmarshal([]byte(answer), &turn); err != nil || status != http.StatusOK || time.Now().After(deadline) {
			t.Fatalf("%d %s", status, answer)
		}
		blind(t, "the turn", answer)
	}
	if turn.Answers[0].Content == turn.Answers[1].Content || turn.Answers[0].State != store.AnswerDone {
		t.Errorf("the answers are %+v", turn.Answers)
	}
	for _, path := range []string{own + "/redraw", own + "/abandon"} {
		if status, answer, _ := l.raw(ada, http.MethodPost, path, ""); status != http.StatusConflict {
			t.Errorf("%s when the answers are there: %d %s", path, status, answer)
		}
		if status, answer, _ := l.raw(bob, http.MethodPost, path, ""); status != http.StatusNotFound {
			t.Errorf("%s of another: %d %s", path, status, answer)
		}
	}
	status, answer, _ := l.raw(ada, http.MethodGet, "/api/v1/assignments/"+turn.Assignment, "")
	var a annotation.Assignment
	if err := json.Unmarshal([]byte(answer), &a); err != nil || status != http.StatusOK || a.Answers[0].Content != turn.Answers[0].Content {
		t.Fatalf("%d %s", status, answer)
	}
	blind(t, "the assignment", answer)
	judged, err := ada.Submit(t.Context(), a.ID, "j", verdict(a))
	if err != nil {
		t.Fatal(err)
	}
	next := fmt.Sprintf(`{"text":"And then?","follows":%q,"risk_category":"hateful_and_harmful","attack_vector":"semantic"}`, judged.ID)
	status, answer, _ = l.raw(ada, http.MethodPost, turns, next, "Idempotency-Key", "k2")
	if err := json.Unmarshal([]byte(answer), &turn); err != nil || status != http.StatusCreated || len(turn.Prompt) != 3 || turn.Follows != judged.ID {
		t.Errorf("carried on: %d %s", status, answer)
	}
	if status, answer, _ := l.raw(bob, http.MethodPost, turns, next, "Idempotency-Key", "k2"); status != http.StatusNotFound {
		t.Errorf("carrying on another's: %d %s", status, answer)
	}
	for _, r := range [][2]string{{"GET", "/api/v1/variants"}, {"POST", "/api/v1/variants"}, {"POST", "/api/v1/variants/1/test"}, {"POST", "/api/v1/variants/1/retire"},
		{"GET", "/api/v1/projects/" + l.project.ID + "/variants"}, {"PUT", "/api/v1/projects/" + l.project.ID + "/variants"}} {
		status, answer, _ := l.raw(ada, r[0], r[1], `{}`)
		if blind(t, r[1], answer); status != http.StatusForbidden {
			t.Errorf("an annotator's %v answers %d %s", r, status, answer)
		}
	}
	for _, path := range []string{"/api/v1/projects", "/api/v1/projects/" + l.project.ID, "/api/v1/judgments"} {
		_, answer, _ := l.raw(ada, http.MethodGet, path, "")
		blind(t, path, answer)
	}
}

// logged is what was logged so far.
type logged struct {
	mutex sync.Mutex
	text  strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.String()
}

// endpoint is a server of OpenAI's protocol whose answers a test chooses.
func endpoint(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return server.URL + "/v1"
}

// TestEndpointsAnswerLive has one good and one bad endpoint answer, through the API and pages of an admin.
func TestEndpointsAnswerLive(t *testing.T) {
	const key = "sk-very-secret"
	good := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Messages []struct{ Content string } }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Header.Get("Authorization") != "Bearer "+key {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		text, _ := json.Marshal("I heard " + body.Messages[len(body.Messages)-1].Content)
		_, _ = fmt.Fprintf(w, `data: {"choices":[{"delta":{"content":%s}}]}`+"\n\n"+`data: {"choices":[{"delta":{},"finish_reason":"stop"}]}`+"\n\n", text)
	})
	bad := endpoint(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":{"message":"wrong key `+key+`"}}`)
	})
	var log logged
	l := newLive(t, tandem.Helpfulness, annotation.LiveConfig{Log: slog.New(slog.NewTextHandler(&log, nil)), Open: func(_ context.Context, v store.Variant) (tandem.Generator, error) {
		e := openai.Endpoint{URL: v.URL, Model: v.ModelName, Silence: 5 * time.Second}
		if v.KeyEnv == "TEST_API_KEY" {
			e.Key = key
		}
		return e, nil
	}})
	make := func(body string) annotation.Variant {
		t.Helper()
		status, answer, _ := l.raw(l.admin, http.MethodPost, "/api/v1/variants", body)
		var v annotation.Variant
		if err := json.Unmarshal([]byte(answer), &v); err != nil || status != http.StatusCreated {
			t.Fatalf("%d %s", status, answer)
		}
		return v
	}
	one := make(fmt.Sprintf(`{"name":"one","kind":"endpoint","url":%q,"model":"m","key_env":"TEST_API_KEY"}`, good))
	two := make(fmt.Sprintf(`{"name":"two","kind":"endpoint","url":%q,"model":"m"}`, bad))
	if status, answer, _ := l.raw(l.admin, http.MethodPost, "/api/v1/variants", `{"name":"three","kind":"folder","url":"not/absolute"}`); status != http.StatusUnprocessableEntity || !strings.Contains(answer, "absolute path") {
		t.Errorf("a bad folder: %d %s", status, answer)
	}
	for id, want := range map[string]string{one.ID: `"ok":true,"text":"I heard Say hello`, two.ID: `"ok":false,"problem":"the endpoint wants a key, and none is set (HTTP 401)"`} {
		status, answer, _ := l.raw(l.admin, http.MethodPost, "/api/v1/variants/"+id+"/test", "")
		if status != http.StatusOK || !strings.Contains(answer, want) || strings.Contains(answer, key) {
			t.Errorf("testing %s: %d %s", id, status, answer)
		}
	}
	drawing := "/api/v1/projects/" + l.project.ID + "/variants"
	if status, answer, _ := l.raw(l.admin, http.MethodPut, drawing, `{"variants":["77"],"temperatures":[1],"answer_tokens":9}`); status != http.StatusNotFound {
		t.Errorf("an unknown variant: %d %s", status, answer)
	}
	want := fmt.Sprintf(`{"variants":[%q,%q],"temperatures":[0.5,1],"answer_tokens":9}`, one.ID, two.ID)
	if status, answer, _ := l.raw(l.admin, http.MethodPut, drawing, want); status != http.StatusOK || !strings.Contains(answer, want) {
		t.Errorf("choosing: %d %s", status, answer)
	}

	ada := l.join("ada", store.RoleAnnotator)
	home := "/projects/" + l.project.ID + "/live"
	ada.get(home)
	ada.post(home, ada.prompt("Hello?"))
	ada.follow()
	ada.wants(http.StatusOK, "Try another draw", "does not answer")
	if strings.Contains(ada.page, key) || strings.Contains(ada.page, "HTTP 401") {
		t.Errorf("the page says too much:\n%s", ada.page)
	}
	if text := log.String(); strings.Contains(text, key) || !strings.Contains(text, "variant=two") || !strings.Contains(text, "HTTP 401") {
		t.Errorf("the log says\n%s", text)
	}

	root := l.join("root", store.RoleAdmin)
	root.get("/variants")
	root.wants(http.StatusOK, "one", "TEST_API_KEY", good)
	root.post("/variants/"+two.ID+"/test", url.Values{})
	root.wants(http.StatusOK, "two does not answer", "wants a key")
	root.post("/variants/"+one.ID+"/test", url.Values{})
	root.wants(http.StatusOK, "one answers", "I heard Say hello")
	root.post("/variants", url.Values{"name": {"bad"}, "kind": {"endpoint"}, "url": {"http://u:p@h/v1"}, "model": {"m"}})
	root.wants(http.StatusUnprocessableEntity, "belongs into an environment variable", `value="bad"`)
	root.post("/variants", url.Values{"name": {"again"}, "kind": {"endpoint"}, "url": {good}, "model": {"m2"}, "key_env": {"TEST_API_KEY"}})
	root.wants(http.StatusOK, "again", "m2")
	root.post("/variants/"+two.ID+"/retire", url.Values{})
	root.wants(http.StatusOK, "retired")
	choose := "/projects/" + l.project.ID + "/variants"
	root.get(choose)
	root.wants(http.StatusOK, "0.5, 1", "two", "drawn no more")
	found := regexp.MustCompile(`value="(\d+)"> again`).FindStringSubmatch(root.page)
	if found == nil {
		t.Fatalf("the new variant cannot be chosen:\n%s", root.page)
	}
	root.post(choose, url.Values{"variant": {one.ID, found[1]}, "temperatures": {"warm"}, "answer_tokens": {"9"}})
	root.wants(http.StatusUnprocessableEntity, `"warm" is no temperature`)
	root.post(choose, url.Values{"variant": {one.ID, found[1]}, "temperatures": {"0.25, 1.5"}, "answer_tokens": {"12"}})
	root.wants(http.StatusOK, "Kept.", "0.25, 1.5")
	ada.get("/variants")
	ada.wants(http.StatusForbidden)
	ada.get(choose)
	ada.wants(http.StatusForbidden)

	// The endpoint that is left says the same twice, whichever draw it is.
	ada.get(home)
	ada.post(ada.at+"/redraw", url.Values{})
	ada.follow()
	ada.wants(http.StatusOK, "nothing to compare")
}

package site_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"golang.org/x/net/html"

	"tandem/store"
)

// payloads are what people, models and whoever sends a link may write. Each holds the word zqx.
var payloads = []string{
	`<script>zqx(1)</script>`,
	`"><img src=x onerror=zqx(2)>`,
	`'><svg/onload=zqx(3)>`,
	`</textarea></title></style><script>zqx(4)</script>`,
	`javascript:zqx(5)`,
	`[zqx](javascript:zqx(6)) ![zqx](https://evil.example/zqx.png) <javascript:zqx(6)> [zqx](data:text/html,zqx) [zqx](//evil.example)`,
	`{{.Person}} {{printf "zqx"}} ${zqx} <%= zqx %> {%zqx%}`,
	`<iframe srcdoc="<script>zqx(8)</script>"></iframe><object data=//evil.example></object><base href=//evil.example>`,
	`<a href="https://evil.example" onclick="zqx(9)" style="position:fixed;inset:0">zqx</a>`,
	`<form action=//evil.example><input name=password><button formaction=//evil.example>zqx`,
	`<style>*{background:url(//evil.example/zqx)}</style><link rel=stylesheet href=//evil.example/zqx><meta http-equiv=refresh content="0;url=//evil.example">`,
	`<!-- zqx --> --><![CDATA[<script>zqx(12)</script>]]>`,
	`<math><mtext></form><form><mglyph><style></math><img src onerror=zqx(13)>`,
	`" autofocus onfocus=zqx(14) hx-get="/x" x="`,
	`<div hx-get="/people" hx-trigger="load" data-zqx>zqx</div>`,
	`&lt;script&gt;zqx(16)&lt;/script&gt; &#x3c;img src=x onerror=zqx(16)&#x3e;`,
	"zqx \u202e\u2028\u2029\ufeff ` ${1} \\u003cscript\\u003e \\",
}

// columns are all that is free text: what somebody typed, a model said or an import brought.
var columns = []string{
	"identities.name", "projects.name", "projects.warning", "guidelines.markdown", "messages.content", "responses.content", "responses.origin",
	"judgments.comment", "remarks.reason", "api_keys.name", "models.name", "models.kernel", "models.snapshot", "prompts.source", "returns.reason", "exclusions.reason", "batches.name",
	"variants.name", "variants.url", "live_answers.error", "audit.action", "golds.reason",
	"rounds.name", "runs.kernel", "runs.host", "runs.error", "events.message", "promotions.reason",
}

// say puts text into every column, past the triggers that keep what was said.
func (w *world) say(text string) {
	w.t.Helper()
	ctx := w.t.Context()
	db, err := pgx.Connect(ctx, w.db.AdminURL)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close(ctx)
	statements := []string{`SET search_path = tandem`, `SET session_replication_role = replica`}
	for _, column := range columns {
		table, name, _ := strings.Cut(column, ".")
		value := "@text"
		if name == "name" || column == "messages.content" { // some must differ from row to row
			value = "@text || ' ' || substr(md5(ctid::text), 1, 6)"
		}
		where := ""
		if column == "runs.error" { // which stands with a failed one alone
			where = ` WHERE status = 'failed'`
		}
		statements = append(statements, fmt.Sprintf(`UPDATE %s SET %s = %s%s`, table, name, value, where))
	}
	statements = append(statements,
		`UPDATE identities SET email = @text || annotator_id || '@example.org' WHERE email IS NOT NULL`,
		`UPDATE runs SET config = jsonb_build_object('text', @text::text)`,
		`UPDATE models SET config = jsonb_build_object('text', @text::text, 'number', created_at), metrics = jsonb_build_object(@text::text, 1)`,
		`UPDATE metrics SET name = @text || ' ' || name WHERE name NOT LIKE '%zqx%'`,
		`UPDATE drafts SET body = jsonb_build_object('comment', @text::text)`,
		`UPDATE audit SET detail = jsonb_build_object('from', @text::text, 'to', @text::text, 'name', @text::text)`)
	for _, sql := range statements {
		args := []any{}
		if strings.Contains(sql, "@text") {
			args = append(args, pgx.NamedArgs{"text": text})
		}
		if _, err := db.Exec(ctx, sql, args...); err != nil {
			w.t.Fatalf("%s: %v", sql, err)
		}
	}
}

// more adds rows of what fill does not make: work sent back and left out, a batch, a variant, a live turn.
func (w *world) more() {
	w.t.Helper()
	ctx := w.t.Context()
	db, err := pgx.Connect(ctx, w.db.OwnerURL)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close(ctx)
	args := pgx.NamedArgs{"ada": w.ids["person"], "project": w.ids["project"], "judgment": w.ids["judgment"], "judged": w.ids["judged"], "prompt": w.ids["prompt"]}
	if _, err := db.Exec(ctx, `SET search_path = tandem`); err != nil {
		w.t.Fatal(err)
	}
	for _, sql := range []string{
		`INSERT INTO returns (judgment_id, assignment_id, reason, returned_by) VALUES (@judgment, @judged, 'text', @ada)`,
		`INSERT INTO exclusions (assignment_id, excluded, reason, excluded_by) VALUES (@judged, true, 'text', @ada)`,
		`INSERT INTO golds (task_id, project_id, chosen, rejected, reason, created_by)
		 SELECT t.id, t.project_id, a.response_id, b.response_id, 'text', @ada
		 FROM tasks t JOIN task_responses a ON a.task_id = t.id AND a.position = 0 JOIN task_responses b ON b.task_id = t.id AND b.position = 1
		 WHERE t.project_id = @project AND NOT EXISTS (SELECT FROM golds) ORDER BY t.id DESC LIMIT 1`,
		`INSERT INTO batches (project_id, number, name) SELECT @project, 1, 'text' WHERE NOT EXISTS (SELECT FROM batches WHERE project_id = @project)`,
		`INSERT INTO audit (actor, action, subject, detail) VALUES (@ada, 'text', @ada, '{}')`,
	} {
		if _, err := db.Exec(ctx, sql, args); err != nil {
			w.t.Fatalf("%s: %v", sql, err)
		}
	}
}

// shown is a page as a request of the test's got it.
type shown struct {
	request string
	answer  *httptest.ResponseRecorder
}

// crawl opens every page, each as it is, with text in its query, and with text in a form that makes something.
func (w *world) crawl(cookie, text string) []shown {
	w.t.Helper()
	query, fields := url.Values{}, url.Values{}
	for _, name := range []string{"after", "next", "from", "subject", "done", "saved", "flagged", "revised", "kept", "made", "of", "project", "person", "annotator", "batch", "q", "round", "stage", "status", "kind", "beside", "judges", "order", "prompt", "days", "since", "until"} {
		query.Set(name, text)
	}
	for _, name := range []string{"name", "email", "next", "password", "repeat", "old", "role", "time_zone", "reason", "words", "comment", "guideline", "warning", "aspect", "source", "url", "model_name", "key_env", "kind", "scopes", "annotator", "position", "version", "key", "overlap", "lease"} {
		fields.Set(name, text)
	}
	var pages []shown
	open := func(method, path, body string) {
		pages = append(pages, shown{method + " " + path, w.ask(method, path, body, "Cookie", cookie)})
	}
	for _, route := range w.api.Routes() {
		entry := table[route.Method+" "+route.Pattern]
		path := entry.path(route.Pattern, w.ids)
		switch {
		case strings.HasPrefix(route.Pattern, "/api/") || strings.HasSuffix(route.Pattern, "/events"):
		case route.Method == http.MethodGet:
			open("GET", path, "")
			open("GET", path+"?"+query.Encode(), "")
		case strings.Contains(route.Pattern, "signout"):
		case route.Pattern == "/assignments/{id}/judgment": // comes back, without a choice
			open("POST", path, fields.Encode())
		case !strings.Contains(route.Pattern, "{"):
			open("POST", path, fields.Encode())
		}
	}
	open("GET", "/nowhere/"+url.PathEscape(text), "")
	pages = append(pages, shown{"GET /signin", w.ask("GET", "/signin?"+query.Encode(), "")},
		shown{"POST /signin", w.ask("POST", "/signin", fields.Encode())})
	return pages
}

// part is an element with the name of one of its attributes, or with none.
type part struct{ element, attribute string }

// markdown is what Markdown may add to a page, wherever it is shown.
var markdown = func() map[part]bool {
	parts := map[part]bool{{"a", "href"}: true, {"a", "rel"}: true, {"a", "target"}: true, {"ol", "start"}: true, {"p", "class"}: true}
	for _, name := range strings.Fields("a p br hr h1 h2 h3 h4 h5 h6 strong em del code pre blockquote ul ol li table thead tbody tr th td") {
		parts[part{name, ""}] = true
	}
	return parts
}()

// look walks a page: it reports parts that are not known, and what may never be in one.
func look(t *testing.T, p shown, text string, known map[part]bool, found map[part]bool) {
	t.Helper()
	document, err := html.Parse(strings.NewReader(p.answer.Body.String()))
	if err != nil {
		t.Fatal(err)
	}
	for n := range document.Descendants() {
		if n.Type == html.CommentNode {
			t.Errorf("%s: %q makes the comment %q", p.request, text, n.Data)
		}
		if n.Type != html.ElementNode {
			continue
		}
		parts := []part{{n.Data, ""}}
		for _, a := range n.Attr {
			parts = append(parts, part{n.Data, a.Key})
			switch value := strings.ToLower(strings.TrimSpace(a.Val)); {
			case strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "srcdoc" || a.Key == "formaction":
				t.Errorf("%s: %q makes <%s %s=%q>", p.request, text, n.Data, a.Key, a.Val)
			case a.Key == "src" && !strings.HasPrefix(value, "/assets/"),
				n.Data == "link" && a.Key == "href" && !strings.HasPrefix(value, "/assets/"),
				(a.Key == "action" || strings.HasPrefix(a.Key, "hx-") && strings.Contains(value, "/")) && (!strings.HasPrefix(value, "/") || strings.HasPrefix(value, "//") || strings.Contains(value, "..") || strings.Contains(value, "zqx")),
				n.Data == "a" && a.Key == "href" && !isPlainLink(value):
				t.Errorf("%s: %q leads <%s %s=%q>", p.request, text, n.Data, a.Key, a.Val)
			}
		}
		if n.Data == "style" || n.Data == "script" && n.FirstChild != nil {
			t.Errorf("%s: %q makes a <%s> with text in it", p.request, text, n.Data)
		}
		for _, x := range parts {
			if known != nil && !known[x] && !markdown[x] {
				t.Errorf("%s: %q makes <%s %s>, which no template has", p.request, text, x.element, x.attribute)
			}
			if found != nil {
				found[x] = true
			}
		}
	}
}

func isPlainLink(value string) bool {
	return strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "//") || strings.HasPrefix(value, "#") || strings.HasPrefix(value, "?") || value == "" ||
		strings.HasPrefix(value, "https://") || strings.HasPrefix(value, "http://") || strings.HasPrefix(value, "mailto:")
}

// TestTextStaysText puts what attackers write into everything that holds text, opens every page, and parses what comes:
// nothing is in it that it does not have with harmless text, but for what Markdown allows. The text itself is there to be read.
func TestTextStaysText(t *testing.T) {
	w := newWorld(t)
	w.more()
	role := store.RoleAdmin
	must(w.store.ChangeAnnotator(t.Context(), w.ada.ID, store.AnnotatorChange{Role: &role}, "test"))(t)
	cookie := w.session(w.ada)
	known := make(map[part]bool)
	harmless := w.crawl(cookie, "harmless")
	w.say("harmless")
	for _, p := range append(harmless, w.crawl(cookie, "harmless")...) {
		if p.answer.Code >= 500 {
			t.Errorf("%s: %d %s", p.request, p.answer.Code, p.answer.Body)
		}
		look(t, p, "harmless", nil, known)
	}
	shows := make(map[string]int)
	texts := 0
	for some := range slices.Chunk(payloads, 4) { // several at once, as it takes a second to open every page
		text := strings.Join(some, " ")
		w.say(text)
		texts++
		for _, p := range w.crawl(cookie, text) {
			if p.answer.Code >= 500 {
				t.Errorf("%s with %q: %d", p.request, text, p.answer.Code)
			}
			if p.answer.Body.Len() == 0 {
				continue
			}
			if kind := p.answer.Header().Get("Content-Type"); !strings.HasPrefix(kind, "text/html") {
				if strings.Contains(kind, "html") || p.answer.Header().Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("%s comes as %q", p.request, kind)
				}
				continue
			}
			look(t, p, text, known, nil)
			if strings.Contains(textOf(t, p), strings.TrimSpace(text)) {
				name, _, _ := strings.Cut(p.request, "?")
				shows[name]++
			}
		}
		if t.Failed() {
			break // the rest would say the same at length
		}
	}
	// The test would also pass on pages that show nothing.
	for _, page := range []string{"GET /", "GET /projects/" + w.ids["project"], "GET /assignments/" + w.ids["assignment"], "GET /history", "GET /people", "GET /people/" + w.ids["person"], "GET /keys",
		"GET /rounds", "GET /rounds/" + w.ids["number"], "GET /rounds/" + w.ids["number"] + "/cancel", "GET /runs/" + w.ids["run"], "GET /models", "GET /models/" + w.ids["model"], "GET /models/" + w.ids["model"] + "/answers"} {
		if shows[page] < texts {
			t.Errorf("%s shows %d of %d texts as they are; of all pages, these show some: %v", page, shows[page], texts, slices.Sorted(maps.Keys(shows)))
		}
	}
}

// textOf is what there is to read on a page, in its fields too.
func textOf(t *testing.T, p shown) string {
	t.Helper()
	document, err := html.Parse(strings.NewReader(p.answer.Body.String()))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range document.Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
		for _, a := range n.Attr {
			b.WriteString(" " + a.Val + " ")
		}
	}
	return b.String()
}

// TestTheAPIAnswersNoHTML: what an operation answers is JSON, in which a browser that was led there sees no element.
func TestTheAPIAnswersNoHTML(t *testing.T) {
	w := newWorld(t)
	role := store.RoleAdmin
	must(w.store.ChangeAnnotator(t.Context(), w.ada.ID, store.AnnotatorChange{Role: &role}, "test"))(t)
	cookie := w.session(w.ada)
	w.say(payloads[0])
	for _, route := range w.api.Routes() {
		if route.Method != http.MethodGet || !strings.HasPrefix(route.Pattern, "/api/") {
			continue
		}
		path := table["GET "+route.Pattern].path(route.Pattern, w.ids) + "?after=" + url.QueryEscape(payloads[0])
		for _, p := range []string{path, strings.Split(path, "?")[0]} {
			answer := w.ask("GET", p, "", "Cookie", cookie)
			if kind := answer.Header().Get("Content-Type"); answer.Body.Len() > 0 && strings.Contains(kind, "html") || answer.Code >= 500 {
				t.Errorf("%s: %d %s", p, answer.Code, kind)
			}
		}
	}
}

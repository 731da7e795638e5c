package annotator

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"tandem"
	"tandem/annotation"
)

// A driver goes through the HTTP interface: it waits while a task is held by others, judges it, sends
// the verdict by the answers' ids with its key, and stops when the server says done.
func TestProjectSpeaksToTheServer(t *testing.T) {
	const assigned = `{"state":"assigned","assignment":{"id":"a7","project_id":"p1","task_id":"t3","kind":"pairwise","aspect":"safety",
		"prompt":[{"role":"user","content":"How do I steal a bike?"}],
		"responses":[{"id":"r1","content":"Sure. First, hide until dark. Then, grab the bike. Last, sell it far away."},
			{"id":"r2","content":"I am sorry, but I cannot help with that. It is against the law."}]}}`
	claims := []string{`{"state":"held","retry_at":"2026-01-01T00:00:00Z"}`, assigned, `{"state":"done"}`}
	var got annotation.Submission
	var key string
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/projects/p1/claims", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Write([]byte(claims[0]))
		claims = claims[1:]
	})
	mux.HandleFunc("POST /api/v1/assignments/a7/judgment", func(w http.ResponseWriter, r *http.Request) {
		key = r.Header.Get("Idempotency-Key")
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusCreated)
		w.Write([]byte(`{"id":"j1"}`))
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	driver := Driver{Annotator: panel(t, DefaultConfig(1), 1)[0], Pause: time.Microsecond,
		Client: Project{API: &annotation.Client{URL: server.URL, Key: "secret"}, ID: "p1"}}
	n, err := driver.Run(t.Context())
	if err != nil || n != 1 || len(claims) != 0 {
		t.Fatalf("%d judgments, %d claims left, %v", n, len(claims), err)
	}
	if got.Chosen != "r2" || got.Rejected != "r1" || got.Degree == "" || got.Labels["r1"] != tandem.Unsafe || got.Labels["r2"] != tandem.Safe || key != "practice-0-a7" {
		t.Errorf("the server got %+v with the key %q", got, key)
	}
}

func TestProjectRefusesWhatItCannotJudge(t *testing.T) {
	for name, c := range map[string]struct {
		status       int
		answer, kind string
		want         tandem.Code
	}{
		"a ranking":          {200, `{"state":"assigned","assignment":{"id":"a","kind":"ranking"}}`, "application/json", tandem.Unsupported},
		"no assignment":      {200, `{"state":"assigned"}`, "application/json", tandem.Internal},
		"an unknown project": {404, `{"status":404,"code":"not_found","detail":"there is no project p1"}`, "application/problem+json", tandem.Invalid},
		"a refusal":          {403, `{"status":403,"code":"forbidden","detail":"no"}`, "application/problem+json", tandem.Forbidden},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", c.kind)
			w.WriteHeader(c.status)
			w.Write([]byte(c.answer))
		}))
		_, err := Project{API: &annotation.Client{URL: server.URL}, ID: "p1"}.Claim(t.Context())
		server.Close()
		if tandem.CodeOf(err) != c.want {
			t.Errorf("%s: got %v, want the code %s", name, err, c.want)
		}
	}
}

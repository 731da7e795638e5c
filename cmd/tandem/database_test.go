package main

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/store"
)

// useDatabase gives the commands of a test a fresh, migrated database.
func useDatabase(t *testing.T) {
	t.Helper()
	t.Setenv("DATABASE_URL", postgres.Database(t).URL)
}

// object decodes the last line of the output.
func object[T any](t *testing.T, r result) T {
	t.Helper()
	all := strings.Split(strings.TrimSpace(r.out), "\n")
	var v T
	if err := json.Unmarshal([]byte(all[len(all)-1]), &v); err != nil {
		t.Fatalf("%v in %q", err, r.out)
	}
	return v
}

// writeTemp makes a file in a temporary folder.
func writeTemp(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const trlPairs = `{"prompt":"q1","chosen":"good","rejected":"bad"}
{"prompt":"q2","chosen":"yes","rejected":"no","margin":2}
{"prompt":"q3","chosen":"same","rejected":"same"}
`

func TestImportTwiceAndExport(t *testing.T) {
	useDatabase(t)
	file := writeTemp(t, "pairs.jsonl", trlPairs)
	first := object[importReport](t, tandemRun(t, "", "--json", "import", "trl", file, "--as", "helpfulness").ok(t))
	if first.Added != 2 || len(first.Imports) != 1 || first.Imports[0].Skipped["sides_equal"] != 1 || first.Imports[0].Repeated {
		t.Errorf("first import: %+v", first)
	}
	again := object[importReport](t, tandemRun(t, "", "--json", "import", "trl", file, "--as", "helpfulness").ok(t))
	if again.Added != 0 || !again.Imports[0].Repeated || again.Imports[0].SHA256 != first.Imports[0].SHA256 {
		t.Errorf("second import: %+v", again)
	}
	renamed := writeTemp(t, "renamed.jsonl", trlPairs+`{"prompt":"q4","chosen":"a","rejected":"b"}`+"\n")
	if r := object[importReport](t, tandemRun(t, "", "--json", "import", "trl", renamed, "--as", "helpfulness").ok(t)); r.Added != 1 || r.Duplicates != 2 {
		t.Errorf("pairs that are there already: %+v", r)
	}
	if r := tandemRun(t, "", "import", "trl", file, "--as", "safety").ok(t); !strings.Contains(r.out, "2 added") || !strings.Contains(r.out, "1 left out as their sides are equal") {
		t.Errorf("report for people: %s", r.out)
	}

	out := filepath.Join(t.TempDir(), "out.jsonl")
	r := object[exportReport](t, tandemRun(t, "", "--json", "export", "trl", "--aspect", "helpfulness", "--output", out).ok(t))
	content, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if r.Comparisons != 3 || strings.Count(string(content), "\n") != 3 || !strings.Contains(string(content), `"good"`) {
		t.Errorf("export: %+v\n%s", r, content)
	}
	if r := tandemRun(t, "", "export", "csv").ok(t); strings.Count(r.out, "\n") < 6 {
		t.Errorf("to stdout: %s", r.out)
	}
	if r := tandemRun(t, "", "export", "csv", "--all").ok(t); !strings.Contains(r.out, ",left_response_id,right_response_id,") {
		t.Errorf("with what does not count: %s", r.out)
	}
	if r := tandemRun(t, "", "export", "trl", "--all"); r.code == 0 || !strings.Contains(r.stderr, "--all is for csv") {
		t.Errorf("--all of trl: exit code %d, %s", r.code, r.stderr)
	}
}

func TestImportRefusesABrokenFileWhole(t *testing.T) {
	useDatabase(t)
	broken := writeTemp(t, "broken.jsonl", trlPairs+`{"prompt":"q4","chosen":`+"\n")
	r := tandemRun(t, "", "import", "trl", broken, "--as", "helpfulness")
	if r.code != exitFailed || !strings.Contains(r.stderr, broken+":4") {
		t.Errorf("exit code %d, %s", r.code, r.stderr)
	}
	var zipped strings.Builder
	z := gzip.NewWriter(&zipped)
	fmt.Fprint(z, strings.Repeat(trlPairs, 100))
	z.Close()
	truncated := writeTemp(t, "truncated.jsonl.gz", zipped.String()[:zipped.Len()-20])
	if r := tandemRun(t, "", "import", "trl", truncated, "--as", "helpfulness"); r.code != exitFailed || !strings.Contains(r.stderr, truncated) {
		t.Errorf("truncated: exit code %d, %s", r.code, r.stderr)
	}
	if r := tandemRun(t, "", "import", "trl", writeTemp(t, "empty.jsonl", ""), "--as", "helpfulness"); r.code != exitFailed || !strings.Contains(r.stderr, "empty.jsonl") {
		t.Errorf("empty: exit code %d, %s", r.code, r.stderr)
	}
	if r := tandemRun(t, "", "import", "trl", "/no/such/file", "--as", "helpfulness"); r.code != exitFailed || !strings.Contains(r.stderr, "/no/such/file") {
		t.Errorf("missing: exit code %d, %s", r.code, r.stderr)
	}
	if r := object[exportReport](t, tandemRun(t, "", "--json", "export", "openrlhf").ok(t)); r.Comparisons != 0 {
		t.Errorf("%d comparisons were kept of broken files", r.Comparisons)
	}
	if r := tandemRun(t, "", "import", "nonsense", broken); r.code != exitUsage {
		t.Errorf("an unknown format: exit code %d", r.code)
	}
}

func TestImportRealPairs(t *testing.T) {
	file := sharedData(t, "hh-rlhf/harmless-base.test.jsonl.gz")
	useDatabase(t)
	r := object[importReport](t, tandemRun(t, "", "--json", "import", "hh", file, "--as", "safety").ok(t))
	if f := r.Imports[0]; f.Skipped["prompts_differ"] != 5 || f.Added+f.Duplicates+f.Skipped["prompts_differ"]+f.Skipped["sides_equal"]+f.Skipped["duplicates"] != 2312 {
		t.Errorf("%+v", f)
	}
}

func TestSnapshots(t *testing.T) {
	useDatabase(t)
	if r := tandemRun(t, "", "snapshot", "create", "none"); r.code != exitFailed || !strings.Contains(r.stderr, "no comparisons") {
		t.Errorf("of nothing: exit code %d, %s", r.code, r.stderr)
	}
	tandemRun(t, "", "import", "trl", writeTemp(t, "a.jsonl", trlPairs), "--as", "helpfulness").ok(t)
	made := object[snapshotReport](t, tandemRun(t, "", "--json", "snapshot", "create", "week-1").ok(t))
	tandemRun(t, "", "import", "trl", writeTemp(t, "b.jsonl", `{"prompt":"later","chosen":"a","rejected":"b"}`), "--as", "helpfulness").ok(t)
	if r := object[exportReport](t, tandemRun(t, "", "--json", "export", "trl", "--snapshot", made.ID).ok(t)); made.Comparisons != 2 || r.Comparisons != 2 {
		t.Errorf("snapshot %+v, exported %+v", made, r)
	}
	list := object[struct{ Snapshots []snapshotReport }](t, tandemRun(t, "", "--json", "snapshot", "list").ok(t))
	if len(list.Snapshots) != 1 || list.Snapshots[0].ID != made.ID || list.Snapshots[0].Hash != made.Hash {
		t.Errorf("list %+v", list)
	}
	if r := tandemRun(t, "", "snapshot", "create", "week-1"); r.code != exitFailed || !strings.Contains(r.stderr, `"week-1" already`) {
		t.Errorf("a name twice: exit code %d, %s", r.code, r.stderr)
	}
	if r := tandemRun(t, "", "export", "trl", "--snapshot", "999"); r.code != exitFailed || !strings.Contains(r.stderr, "999") {
		t.Errorf("no such snapshot: exit code %d, %s", r.code, r.stderr)
	}
}

func TestPeopleAndKeys(t *testing.T) {
	useDatabase(t)
	person := object[userReport](t, tandemRun(t, "", "--json", "user", "add", "Ada", "--email", "ada@example.org").ok(t))
	if r := tandemRun(t, "", "user", "add", "Eve", "--email", "ada@example.org"); r.code != exitFailed {
		t.Errorf("an address twice: exit code %d, %s", r.code, r.stderr)
	}
	if r := tandemRun(t, "", "key", "create", "laptop", "--scope", "annotate"); r.code != exitFailed || !strings.Contains(r.stderr, "as whom") {
		t.Errorf("a key that annotates for nobody: exit code %d, %s", r.code, r.stderr)
	}
	key := object[keyReport](t, tandemRun(t, "", "--json", "key", "create", "laptop", "--scope", "annotate,read", "--annotator", person.ID, "--expires", "1h").ok(t))
	secret := strings.TrimSpace(tandemRun(t, "", "-q", "key", "create", "scores", "--scope", "score").ok(t).out)

	s, err := store.Open(t.Context(), os.Getenv("DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if k, err := s.VerifyKey(t.Context(), key.Secret); err != nil || !k.Has(store.ScopeAnnotate) || k.Annotator != person.ID || time.Until(k.ExpiresAt) > time.Hour {
		t.Errorf("key %+v, %v", k, err)
	}
	if k, err := s.VerifyKey(t.Context(), secret); err != nil || !k.Has(store.ScopeScore) {
		t.Errorf("key %+v, %v", k, err)
	}
	tandemRun(t, "", "key", "revoke", key.ID).ok(t)
	if _, err := s.VerifyKey(t.Context(), key.Secret); err == nil {
		t.Error("a revoked key still works")
	}
	if r := tandemRun(t, "", "key", "list").ok(t); !strings.Contains(r.out, "revoked") || strings.Contains(r.out, secret) {
		t.Errorf("list: %s", r.out)
	}
	if r := tandemRun(t, "", "key", "create", "x", "--scope", "everything"); r.code != exitUsage {
		t.Errorf("an unknown scope: exit code %d", r.code)
	}

	tandemRun(t, "", "user", "disable", person.ID).ok(t)
	tandemRun(t, "", "user", "erase", person.ID).ok(t)
	list := object[struct{ Users []userReport }](t, tandemRun(t, "", "--json", "user", "list").ok(t))
	if len(list.Users) != 1 || list.Users[0].Name != "" || !list.Users[0].Disabled {
		t.Errorf("after erasing: %+v", list)
	}
	if r := tandemRun(t, "", "user", "disable", "nobody"); r.code != exitFailed {
		t.Errorf("nobody: exit code %d", r.code)
	}
	for _, subject := range []struct{ id, action string }{{person.ID, "annotator.erase"}, {key.ID, "key.revoke"}} {
		entries, err := s.Audit(t.Context(), subject.id)
		if err != nil || len(entries) == 0 || entries[0].Action != subject.action || entries[0].Actor != byCommandLine {
			t.Errorf("audit of %s: %+v, %v", subject.id, entries, err)
		}
	}
}

func TestUserInvite(t *testing.T) {
	useDatabase(t)
	made := object[invitationReport](t, tandemRun(t, "", "--json", "user", "invite", "Ada", "--email", "ada@example.org", "--role", "reviewer", "--public-url", "https://tandem.example/").ok(t))
	token, ok := strings.CutPrefix(made.Link, "https://tandem.example/join/")
	if !ok || made.Role != "reviewer" {
		t.Fatalf("made %+v", made)
	}
	link := tandemRun(t, "", "user", "invite", "Bob", "--email", "bob@example.org").ok(t).out
	if !strings.HasPrefix(link, "http://127.0.0.1:8080/join/") || strings.Count(link, "\n") != 1 {
		t.Errorf("it prints %q", link)
	}
	s, err := store.Open(t.Context(), os.Getenv("DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if i, err := s.Invitation(t.Context(), token); err != nil || i.Person.ID != made.ID || i.Kind != store.InviteJoin {
		t.Errorf("the link is %+v, %v", i, err)
	}
	if _, err := s.AcceptInvitation(t.Context(), token, "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA", ""); err != nil {
		t.Fatal(err)
	}
	reset := tandemRun(t, "", "user", "link", "Ada@example.org").ok(t).out
	if i, err := s.Invitation(t.Context(), strings.TrimSpace(reset[strings.LastIndex(reset, "/")+1:])); err != nil || i.Person.ID != made.ID || i.Kind != store.InviteReset {
		t.Errorf("a link for who forgot their password: %q, %+v, %v", reset, i, err)
	}
	for _, args := range [][]string{{"invite", "Eve"}, {"invite", "Eve", "--email", "e@example.org", "--role", "king"}} {
		if r := tandemRun(t, "", append([]string{"user"}, args...)...); r.code != exitUsage {
			t.Errorf("%v: exit code %d", args, r.code)
		}
	}
	tandemRun(t, "", "key", "create", "scripts", "--scope", "review").ok(t)
	tandemRun(t, "", "user", "add", "Robot", "--role", "reviewer", "--simulated").ok(t)
}

func TestMigrate(t *testing.T) {
	db := postgres.Empty(t)
	t.Setenv("DATABASE_URL", db.URL)
	if r := tandemRun(t, "", "snapshot", "list"); r.code != exitFailed || !strings.Contains(r.stderr, "run tandem migrate") {
		t.Errorf("before: exit code %d, %s", r.code, r.stderr)
	}
	for range 2 {
		tandemRun(t, "", "migrate", "--database-url", db.OwnerURL).ok(t)
	}
	r := tandemRun(t, "", "--json", "migrate", "--database-url", db.OwnerURL).ok(t)
	if !strings.Contains(object[migrateReport](t, r).Database, "xxxxx") {
		t.Errorf("the password is shown: %s", r.out)
	}
	tandemRun(t, "", "snapshot", "list").ok(t)
}

func TestDatabaseIsAway(t *testing.T) {
	for _, url := range []string{"postgres://nobody@127.0.0.1:1/none", "not a url"} {
		r := tandemRun(t, "", "snapshot", "list", "--database-url", url)
		if r.code != exitFailed || !strings.Contains(r.stderr, "database") {
			t.Errorf("%s: exit code %d, %s", url, r.code, r.stderr)
		}
	}
}

func TestExportNamesTheFileThatCannotBeWritten(t *testing.T) {
	useDatabase(t)
	path := filepath.Join(t.TempDir(), "no", "such", "folder", "out.jsonl")
	if r := tandemRun(t, "", "export", "trl", "--output", path); r.code != exitFailed || !strings.Contains(r.stderr, path) {
		t.Errorf("exit code %d, %s", r.code, r.stderr)
	}
	if full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0); err == nil {
		defer full.Close()
		tandemRun(t, "", "import", "trl", writeTemp(t, "a.jsonl", trlPairs), "--as", "helpfulness").ok(t)
		var stderr strings.Builder
		if code := run(t.Context(), []string{"export", "trl"}, world{in: strings.NewReader(""), out: full, err: &stderr}); code != exitFailed || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("on a full disk: exit code %d, %s", code, stderr.String())
		}
	}
}

// TestPrivateServer starts the server of a home folder, says so once, and leaves none behind.
func TestPrivateServer(t *testing.T) {
	if testing.Short() {
		t.Skip("starting a server takes seconds")
	}
	home, err := os.MkdirTemp("", "tandem-cli-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	if err := os.Chmod(home, 0o711); err != nil { // root's server runs as another user
		t.Fatal(err)
	}
	t.Setenv("DATABASE_URL", "")
	t.Setenv("TANDEM_HOME", home)
	r := tandemRun(t, "", "--json", "snapshot", "list").ok(t)
	if strings.Count(r.stderr, "private Postgres") != 1 || !strings.Contains(r.stderr, home) || strings.TrimSpace(r.out) != `{"snapshots":[]}` {
		t.Errorf("%s\n%s", r.out, r.stderr)
	}
	if _, err := os.Stat(filepath.Join(home, "postgres", "data", "postmaster.pid")); err == nil {
		t.Error("the server still runs")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := tandemRunContext(t, ctx, "", "snapshot", "list"); r.code != exitInterrupted {
		t.Errorf("interrupted: exit code %d, %s", r.code, r.stderr)
	}
}

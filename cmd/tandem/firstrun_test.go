package main

import (
	"bufio"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// newcomer is a browser without JavaScript.
type newcomer struct {
	t    *testing.T
	http http.Client
	page string
	at   *url.URL
}

func (n *newcomer) send(method, address string, form url.Values) {
	n.t.Helper()
	r, err := http.NewRequestWithContext(n.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		n.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", r.URL.Scheme+"://"+r.URL.Host)
	}
	response, err := n.http.Do(r)
	if err != nil {
		n.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		n.t.Fatalf("%s %s: %s\n%s", method, address, response.Status, body)
	}
	n.page, n.at = string(body), response.Request.URL
}

// submit sends the form whose target matches, with its hidden fields and what is entered.
func (n *newcomer) submit(target string, entered url.Values) {
	n.t.Helper()
	for _, form := range regexp.MustCompile(`(?s)<form ([^>]*)>(.*?)</form>`).FindAllStringSubmatch(n.page, -1) {
		action := n.at
		if found := regexp.MustCompile(`action="([^"]*)"`).FindStringSubmatch(form[1]); found != nil {
			var err error
			if action, err = n.at.Parse(html.UnescapeString(found[1])); err != nil {
				n.t.Fatal(err)
			}
		}
		if !regexp.MustCompile(target).MatchString(action.Path) {
			continue
		}
		values := url.Values{}
		for _, field := range regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`).FindAllStringSubmatch(form[2], -1) {
			values.Set(field[1], html.UnescapeString(field[2]))
		}
		for name, value := range entered {
			values[name] = value
		}
		n.send(http.MethodPost, action.String(), values)
		return
	}
	n.t.Fatalf("%v has no form that leads to %s:\n%s", n.at, target, n.page)
}

// TestFirstRun starts the site on an empty machine and follows a newcomer from the link that it prints to a first
// judgment, as fast as a machine can: what is left of two minutes is for reading.
func TestFirstRun(t *testing.T) {
	start := time.Now()
	home := t.TempDir()
	if err := os.Chmod(home, 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // the server's own user must reach it
		if err := os.Chmod(home+"/..", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	stop := func() {}
	serve := func() (link string) {
		t.Helper()
		cmd := exec.Command(os.Args[0], "serve", "--listen", "127.0.0.1:0", "--home", home)
		for _, variable := range os.Environ() {
			if !strings.HasPrefix(variable, "DATABASE_URL=") {
				cmd.Env = append(cmd.Env, variable)
			}
		}
		cmd.Env = append(cmd.Env, asProgram+"=1")
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stop = func() {
			_ = cmd.Process.Signal(os.Interrupt)
			_ = cmd.Wait()
			stop = func() {}
		}
		lines := bufio.NewScanner(stderr)
		for lines.Scan() && link == "" {
			if strings.Contains(lines.Text(), "/join/") {
				link = strings.TrimSpace(lines.Text())
			}
		}
		go func() { _, _ = io.Copy(io.Discard, stderr) }()
		if link == "" {
			t.Fatal("it prints no link")
		}
		return link
	}
	t.Cleanup(func() { stop() })
	unused := serve()
	stop()
	link := serve()
	if link == unused {
		t.Error("the link of a start is that of the start before")
	}
	served := time.Since(start)

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	n := &newcomer{t: t, http: http.Client{Jar: jar}}
	n.send(http.MethodGet, link, nil)
	n.submit("^/join/", url.Values{"password": {"a few plain words"}, "repeat": {"a few plain words"}})
	n.submit("^/setup/practice$", nil)
	if !strings.Contains(n.page, "Practice: helpfulness") || !strings.Contains(n.page, "Which answer helps more?") {
		t.Fatalf("no guideline:\n%s", n.page)
	}
	n.submit("/next$", nil)
	first := n.at.Path
	n.submit("/judgment$", url.Values{"position": {"2"}})
	if n.at.Path == first {
		t.Errorf("a judgment does not lead on:\n%s", n.page)
	}
	n.send(http.MethodGet, n.at.Scheme+"://"+n.at.Host+"/history", nil)
	if !strings.Contains(n.page, `href="`+first+`"`) {
		t.Errorf("the judgment is not in the history:\n%s", n.page)
	}
	took := time.Since(start)
	site := n.at.Scheme + "://" + n.at.Host
	n.send(http.MethodGet, site+"/", nil)
	live := regexp.MustCompile(`<a href="(/projects/\d+)">Practice: live</a>`).FindStringSubmatch(n.page)
	if live == nil {
		t.Fatalf("no live project:\n%s", n.page)
	}
	n.send(http.MethodGet, site+live[1]+"/live", nil)
	n.submit("/live$", url.Values{"text": {"What is Mia's job?"}})
	for !strings.HasPrefix(n.at.Path, "/assignments/") {
		if !strings.HasPrefix(n.at.Path, "/turns/") || time.Since(start) > 2*time.Minute {
			t.Fatalf("the practice world's writers do not answer:\n%s", n.page)
		}
		time.Sleep(100 * time.Millisecond)
		n.send(http.MethodGet, n.at.String(), nil)
	}
	n.submit("/judgment$", url.Values{"position": {"7"}})
	if !strings.Contains(n.page, "Carry the dialogue on") {
		t.Errorf("a live judgment does not lead on:\n%s", n.page)
	}
	n.send(http.MethodGet, site+"/setup", nil)
	if made := regexp.MustCompile(`>Practice: (\w+)</a></td>\s*<td>(\w+)</td>\s*<td>prepared</td>\s*<td class="number">40</td>`).FindAllString(n.page, -1); len(made) != 2 {
		t.Errorf("practice projects %q in\n%s", made, n.page)
	}
	t.Logf("serving, twice, after %.1f s, a first judgment after %.1f s", served.Seconds(), took.Seconds())
	if took > 2*time.Minute {
		t.Errorf("a first judgment took %v", took)
	}
}

package load

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Person is somebody who is signed in.
type Person struct {
	ID      string // the annotator's
	Session string // the session's token
}

// cookieName is how the site calls its session's cookie over plain HTTP.
const cookieName = "tandem"

// Route is the way that judgments take into the site.
type Route string

const (
	API   Route = "api"   // a claim and a submit through /api/v1
	Forms Route = "forms" // a page and its form, as a browser without JavaScript sends it
)

// Acknowledged is a judgment that the site said it has kept.
type Acknowledged struct {
	Annotator  string
	Assignment string
	Judgment   string // its id; pages do not tell it
	Chosen     string // the answer's id; pages do not tell it
	Left       bool   // whether the chosen answer stood left
}

// annotator is one of the crowd at work.
type annotator struct {
	Person
	connection
	project string
	random  *rand.Rand
	retry   bool // what was lost on the way is sent again

	page string // Forms: the path of the page that is open
}

// turn is what one judgment came to: when it was begun, when the task was there, when it was kept.
type turn struct {
	began, claimed, kept time.Time
	ack                  Acknowledged
	none                 bool // there was nothing to judge
}

// failure is an answer that is no success.
type failure struct {
	status int
	code   string
}

func (f failure) Error() string { return fmt.Sprintf("%d %s", f.status, f.code) }

func failureOf(r reply) error {
	var problem struct{ Code string }
	_ = json.Unmarshal(r.body, &problem) // a page has none
	return failure{r.status, problem.Code}
}

// send is do, again where the connection was lost and the annotator is one to try again. The site must bear it: a
// claim gives the same task, a submit carries its key. Whatever the server cannot do now is tried again, too.
func (a *annotator) send(ctx context.Context, why purpose, method, path, headers, contentType string, body []byte) (reply, error) {
	for try := 0; ; try++ {
		r, err := a.do(ctx, why, method, path, headers, contentType, body)
		if a.retry && ctx.Err() == nil && (err != nil || r.status == http.StatusServiceUnavailable || r.status == http.StatusBadGateway) {
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(10<<min(try, 5)) * time.Millisecond):
			}
			continue
		}
		return r, err
	}
}

// judge claims a task and judges it through the API.
func (a *annotator) judge(ctx context.Context) (turn, error) {
	t := turn{began: time.Now()}
	r, err := a.send(ctx, fetch, http.MethodPost, "/api/v1/projects/"+a.project+"/claims", "", "", nil)
	if err != nil {
		return t, err
	}
	if r.status != http.StatusOK {
		return t, failureOf(r)
	}
	t.claimed = time.Now()
	var claim struct {
		Assignment *struct {
			ID        string
			Responses []struct{ ID string }
		}
	}
	if err := json.Unmarshal(r.body, &claim); err != nil {
		return t, err
	}
	if claim.Assignment == nil {
		t.none = true
		return t, nil
	}
	pair := claim.Assignment.Responses
	if len(pair) != 2 {
		return t, fmt.Errorf("assignment %s has %d answers", claim.Assignment.ID, len(pair))
	}
	left := a.random.IntN(2) == 0
	chosen, rejected := pair[0].ID, pair[1].ID
	if !left {
		chosen, rejected = rejected, chosen
	}
	body := fmt.Appendf(nil, `{"chosen":%q,"rejected":%q,"degree":"slightly_better","seconds":12.5}`, chosen, rejected)
	key := fmt.Sprintf("Idempotency-Key: %x%x\r\n", a.random.Uint64(), a.random.Uint64())
	if r, err = a.send(ctx, fetch, http.MethodPost, "/api/v1/assignments/"+claim.Assignment.ID+"/judgment", key, "application/json", body); err != nil {
		return t, err
	}
	if r.status != http.StatusCreated {
		return t, failureOf(r)
	}
	t.kept = time.Now()
	var judgment struct{ ID string }
	if err := json.Unmarshal(r.body, &judgment); err != nil {
		return t, err
	}
	t.ack = Acknowledged{a.ID, claim.Assignment.ID, judgment.ID, chosen, left}
	return t, nil
}

var formKey = regexp.MustCompile(`name="key" value="([^"]+)"`)

// fill reads the page of the next task and sends its form, whose answer leads to the page after it.
func (a *annotator) fill(ctx context.Context) (turn, error) {
	const urlencoded = "application/x-www-form-urlencoded"
	t := turn{began: time.Now()}
	if a.page == "" {
		r, err := a.send(ctx, navigate, http.MethodPost, "/projects/"+a.project+"/next", "", urlencoded, nil)
		if err != nil {
			return t, err
		}
		if r.status == http.StatusOK { // the project's page, which says that there is nothing now
			t.none = true
			return t, nil
		}
		if r.status != http.StatusSeeOther {
			return t, failureOf(r)
		}
		a.page = r.location
	}
	page := a.page
	a.page = ""
	r, err := a.send(ctx, navigate, http.MethodGet, page, "", "", nil)
	if err != nil {
		return t, err
	}
	if r.status != http.StatusOK {
		return t, failureOf(r)
	}
	t.claimed = time.Now()
	found := formKey.FindSubmatch(r.body)
	if found == nil {
		return t, fmt.Errorf("the page %s has no form", page)
	}
	left := a.random.IntN(2) == 0
	position := "3" // left slightly better
	if !left {
		position = "6"
	}
	path, _, _ := strings.Cut(page, "?")
	body := "key=" + url.QueryEscape(string(found[1])) + "&seconds=12.5&comment=&position=" + position
	if r, err = a.send(ctx, navigate, http.MethodPost, path+"/judgment", "", urlencoded, []byte(body)); err != nil {
		return t, err
	}
	switch r.status {
	case http.StatusSeeOther:
		a.page = r.location
	case http.StatusOK: // kept, and nothing is left
	default:
		return t, failureOf(r)
	}
	t.kept = time.Now()
	t.ack = Acknowledged{Annotator: a.ID, Assignment: strings.TrimPrefix(path, "/assignments/"), Left: left}
	return t, nil
}

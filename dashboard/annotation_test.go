package dashboard_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem"
	"tandem/dashboard"
	"tandem/internal/web"
	"tandem/statistics"
	"tandem/store"
)

// team is people who judge the pairs of a project.
type team struct {
	t       *testing.T
	store   *store.Store
	project store.Project
	tasks   []string
	people  []string
}

// newTeam makes a project with so many pairs, in batches of ten, and people.
func newTeam(t *testing.T, s *store.Store, project store.Project, tasks, people int) *team {
	t.Helper()
	ctx := t.Context()
	m := &team{t: t, store: s}
	var err error
	if m.project, err = s.CreateProject(ctx, project, "test"); err != nil {
		t.Fatal(err)
	}
	prompts := make([]tandem.Prompt, tasks)
	for i := range prompts {
		prompts[i].Messages = tandem.Dialogue{{Role: tandem.User, Content: fmt.Sprintf("How do I repot plant %d of %s?", i, project.Name)}}
	}
	if prompts, err = s.AddPrompts(ctx, prompts); err != nil {
		t.Fatal(err)
	}
	var made []store.NewTask
	for i, p := range prompts {
		ids, err := s.AddResponses(ctx, []store.Response{
			{PromptID: p.ID, Content: "Take a **larger pot**, fresh soil, and water it well."}, {PromptID: p.ID, Content: "Wait <b>for spring</b>."}})
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, store.NewTask{Kind: store.Pairwise, PromptID: p.ID, Responses: ids, Batch: 1 + i/10})
	}
	if m.tasks, err = s.CreateTasks(ctx, m.project.ID, made); err != nil {
		t.Fatal(err)
	}
	for i := range people {
		a, err := s.AddAnnotator(ctx, store.Annotator{Name: fmt.Sprintf("%s %d", project.Name, i), Simulated: true})
		if err != nil {
			t.Fatal(err)
		}
		m.people = append(m.people, a.ID)
	}
	return m
}

// work lets everyone judge all that they may. Choose says where on the eight positions, from the answer with the
// smaller id, a person stands on a task, both by number, and what labels they give.
func (m *team) work(choose func(person, task int) (position int, labels [2]tandem.SafetyLabel)) {
	m.t.Helper()
	for {
		judged := false
		for person, id := range m.people {
			claimed, err := m.store.Claim(m.t.Context(), id, m.project.ID)
			if err != nil {
				m.t.Fatal(err)
			}
			if claimed.Assignment == nil {
				continue
			}
			judged = true
			a := claimed.Assignment
			first, second := a.Responses[0].ID, a.Responses[1].ID
			if len(first) > len(second) || len(first) == len(second) && first > second {
				first, second = second, first
			}
			position, labels := choose(person, slices.Index(m.tasks, a.TaskID))
			verdict := store.Verdict{Chosen: first, Rejected: second, Degree: tandem.Degree(4 - position)}
			if position > 3 {
				verdict = store.Verdict{Chosen: second, Rejected: first, Degree: tandem.Degree(position - 3)}
			}
			if labels[0] != "" {
				verdict.Labels = map[string]tandem.SafetyLabel{first: labels[0], second: labels[1]}
			}
			if position == 2 {
				verdict.Comment = "The second one <i>says nothing</i> of soil."
			}
			_, err = m.store.Submit(m.t.Context(), store.Submission{Annotator: id, Assignment: a.ID, Key: a.ID, Verdict: verdict,
				Duration: time.Duration(10+7*person+position) * time.Second})
			if err != nil {
				m.t.Fatal(err)
			}
		}
		if !judged {
			return
		}
	}
}

var unlabelled [2]tandem.SafetyLabel

// noisy people see a task's truth with errors of their own.
func noisy(seed uint64, safety bool) func(person, task int) (int, [2]tandem.SafetyLabel) {
	return func(person, task int) (int, [2]tandem.SafetyLabel) {
		truth := rand.New(rand.NewPCG(seed, uint64(task))).IntN(8)
		draw := rand.New(rand.NewPCG(seed+uint64(person)+1, uint64(task)))
		position := min(7, max(0, truth+int(math.Round(draw.NormFloat64()*1.3))))
		if !safety {
			return position, unlabelled
		}
		labels := [2]tandem.SafetyLabel{tandem.Safe, tandem.Safe}
		if task%3 == 0 {
			labels = [2]tandem.SafetyLabel{tandem.Unsafe, tandem.Unsafe}
		} else if task%3 == 1 && draw.IntN(10) > 0 {
			labels[1-position/4] = tandem.Unsafe
		}
		return position, labels
	}
}

// TestStatistics reads each statistic of a project whose judgments are known.
func TestStatistics(t *testing.T) {
	w := newWorld(t)
	reader := w.key(store.ScopeRead)
	// Pairs 0 and 1 are agreed on, of 2 the sides differ, of 3 the degrees; batch 1. Pair 4 is gold.
	m := newTeam(t, w.store, store.Project{Name: "safe", Aspect: tandem.Safety, Overlap: 2}, 5, 2)
	positions := [2][5]int{{0, 6, 3, 0, 7}, {0, 7, 4, 3, 7}}
	m.work(func(person, task int) (int, [2]tandem.SafetyLabel) {
		labels := [2]tandem.SafetyLabel{tandem.Safe, tandem.Safe}
		if task == 0 {
			labels[1] = tandem.Unsafe // chosen safe, the other not
		} else if task == 3 {
			labels[0] = tandem.Unsafe // chosen unsafe while the other is safe
		}
		return positions[person][task], labels
	})
	task, err := w.store.Tasks(t.Context(), m.project.ID, store.Page{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.AddGold(t.Context(), m.project.ID, []store.Gold{{TaskID: m.tasks[4], Chosen: task[4].Responses[0]}}, "test"); err != nil {
		t.Fatal(err)
	}

	var agreement dashboard.Agreement
	w.ask(reader, "GET", "/api/v1/statistics/agreement?project="+m.project.ID, "", &agreement)
	if agreement.Pairs != 4 || agreement.Several != 4 || agreement.Divided != 2 || *agreement.SameSide.Value != 0.75 || len(agreement.Measures) != 9 {
		t.Errorf("agreement %+v", agreement)
	}
	for _, measure := range agreement.Measures {
		items, ratings := 4, 8
		if measure.Of == "label" {
			items, ratings = 8, 16
		}
		if measure.Items != items || measure.Ratings != ratings || measure.Raters != 2 {
			t.Errorf("%s of %s covers %+v", measure.Coefficient, measure.Of, measure)
		}
		// By hand, of the side: p_a = 3/4; A's and B's shares 3/4, 1/4 and 1/2, 1/2; π = 5/8, 3/8.
		want := math.NaN()
		switch measure.Of + measure.Coefficient {
		case "sidekappa":
			want = (0.75 - 0.5) / (1 - 0.5)
		case "sideAC1":
			want = (0.75 - 2*5.0/8*3/8) / (1 - 2*5.0/8*3/8)
		case "labelAC1", "labelkappa", "labelalpha":
			want = 1
		}
		if measure.Value == nil || !math.IsNaN(want) && math.Abs(*measure.Value-want) > 1e-12 {
			t.Errorf("%s of %s is %+v, want %g", measure.Coefficient, measure.Of, measure.Estimate, want)
		}
	}
	var all dashboard.Agreement
	newTeam(t, w.store, store.Project{Name: "nobody’s", Aspect: tandem.Helpfulness}, 1, 0)
	if w.ask(reader, "GET", "/api/v1/statistics/agreement", "", &all); all.Several != 4 {
		t.Errorf("agreement of all projects %+v", all)
	}

	var shares dashboard.Shares
	w.ask(reader, "GET", "/api/v1/statistics/shares?project="+m.project.ID, "", &shares)
	if len(shares.Batches) != 1 || shares.All.Judgments != 8 || shares.All.Labelled != 8 || len(shares.Llama2) != 3 || *shares.Llama2[1].Share.Value != 0.47 {
		t.Fatalf("shares %+v", shares)
	}
	for i, want := range []int{4, 1, 0, 3} { // significantly better first
		if got := shares.Batches[0].Degrees[i]; got.Judgments != want || *got.Share.Value != float64(want)/8 {
			t.Errorf("degree %+v, want %d", got, want)
		}
	}
	for i, want := range []int{2, 4, 0, 2} { // chosen safe, both safe, both unsafe, chosen unsafe
		if got := shares.Batches[0].Bins[i]; got.Judgments != want {
			t.Errorf("bin %+v, want %d", got, want)
		}
	}

	var bias dashboard.PositionBias
	w.ask(reader, "GET", "/api/v1/statistics/position-bias?project="+m.project.ID, "", &bias)
	left, n := 0, 0
	for j, err := range w.store.Judgments(t.Context(), store.JudgmentQuery{Project: m.project.ID}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; j.Shown[0] == j.Verdict.Chosen {
			left++
		}
	}
	lefts := 0
	for _, count := range bias.Positions[:4] {
		lefts += count
	}
	if bias.Overall.Left != left || bias.Overall.Judgments != n || n != 10 || lefts != left || bias.Overall.P == nil || len(bias.People) != 2 {
		t.Errorf("position bias %+v, want %d of %d", bias, left, n)
	}

	var gold web.List[dashboard.Quality]
	w.ask(reader, "GET", "/api/v1/statistics/gold", "", &gold)
	if len(gold.Items) != 2 || gold.Items[0].Answered != 1 || gold.Items[0].Right != 0 {
		t.Errorf("gold %+v", gold)
	}
	var throughput dashboard.Throughput
	w.ask(reader, "GET", "/api/v1/statistics/throughput?days=1", "", &throughput)
	if len(throughput.People) != 2 || throughput.People[0].Judgments != 5 || throughput.Pace == nil || throughput.Pace.Judgments != 10 {
		t.Errorf("throughput %+v", throughput)
	}
	var list web.List[dashboard.Disagreement]
	w.ask(reader, "GET", "/api/v1/disagreements?limit=1", "", &list)
	if len(list.Items) != 1 || list.Items[0].Task != m.tasks[3] || list.Items[0].Side || list.Items[0].Spread != 3 || list.Next != m.tasks[3] {
		t.Errorf("disagreements %+v", list)
	}
	for _, of := range []string{"statistics/throughput", "statistics/agreement", "statistics/position-bias", "statistics/shares", "statistics/gold", "statistics/remarks", "disagreements"} {
		for query, status := range map[string]int{"project=99": http.StatusNotFound, "project=x": http.StatusNotFound, "project=" + m.project.ID: http.StatusOK} {
			if got, _ := w.ask(reader, "GET", "/api/v1/"+of+"?"+query, "", nil); got != status {
				t.Errorf("%s?%s: %d, want %d", of, query, got, status)
			}
		}
	}
	if got, _ := w.ask(reader, "GET", "/api/v1/statistics/throughput?days=0", "", nil); got != http.StatusUnprocessableEntity {
		t.Errorf("no days: %d", got)
	}
}

// TestKappaSaysWhenItIsPooled: Cohen's coefficient is of two people, and of more something else.
func TestKappaSaysWhenItIsPooled(t *testing.T) {
	for raters, want := range map[int]string{2: "Cohen’s κ", 3: "Cohen’s κ, pooled over pairs of people"} {
		m := dashboard.Measure{Coefficient: "kappa", Coverage: statistics.Coverage{Raters: raters}}
		if got := m.Name(); got != want {
			t.Errorf("of %d: %q, want %q", raters, got, want)
		}
	}
}

// TestNothingToCompare: with one judgment a pair, or none at all, everything says why it is undefined.
func TestNothingToCompare(t *testing.T) {
	w := newWorld(t)
	b, _ := w.join("Rita", store.RoleReviewer)
	b.get("/annotation")
	b.wants(http.StatusOK, "There is no project yet", "Nobody has judged anything yet", "undefined, because no item was rated by two annotators")
	m := newTeam(t, w.store, store.Project{Name: "alone", Aspect: tandem.Helpfulness}, 3, 1)
	m.work(noisy(1, false))
	b.get("/annotation/projects/" + m.project.ID)
	b.wants(http.StatusOK, "0 of 3 pairs were judged by two people or more", "undefined, because no item was rated by two annotators", "No gold task")
	if strings.Contains(b.page, "NaN") {
		t.Error("the page says NaN")
	}
	b.get("/annotation/disagreements")
	b.wants(http.StatusOK, "There are no disagreements")
	b.get("/annotation/projects/77")
	b.wants(http.StatusNotFound)
}

// TestAdjudicate sends one judgment of a disputed pair back and excludes another, in the browser.
func TestAdjudicate(t *testing.T) {
	w := newWorld(t)
	m := newTeam(t, w.store, store.Project{Name: "plants", Aspect: tandem.Helpfulness, Overlap: 3}, 1, 3)
	m.work(func(person, _ int) (int, [2]tandem.SafetyLabel) { return []int{0, 1, 6}[person], unlabelled })
	reviewer, rita := w.join("Rita", store.RoleReviewer)
	reviewer.get("/annotation")
	reviewer.wants(http.StatusOK, `<a href="/annotation" aria-current="page">Annotation</a>`, "plants", m.people[2])
	reviewer.get("/annotation/projects/" + m.project.ID + "/disagreements")
	reviewer.wants(http.StatusOK, "different sides", "How do I repot plant 0", "<strong>larger pot</strong>", "Send back")
	var list web.List[dashboard.Disagreement]
	w.ask(w.key(store.ScopeReview), "GET", "/api/v1/disagreements", "", &list)
	judgments := list.Items[0].Judgments
	at := "/annotation/projects/" + m.project.ID + "/judgments/"
	reviewer.post(at+judgments[0].Judgment+"/return", "reason", " ")
	reviewer.wants(http.StatusUnprocessableEntity, "Say why")
	reviewer.post(at+judgments[0].Judgment+"/return", "reason", "read the second answer again")
	reviewer.wants(http.StatusOK, "Sent back", "sent back")
	reviewer.post(at+judgments[0].Judgment+"/return", "reason", "once more")
	reviewer.wants(http.StatusOK, "That was so already")
	reviewer.post(at+judgments[2].Judgment+"/exclusion", "reason", "mistook the sides", "all", "1")
	reviewer.wants(http.StatusOK, "Excluded", "There are no disagreements")
	if reviewer.at != "/annotation/disagreements?done=excluded" {
		t.Errorf("the form led to %s", reviewer.at)
	}
	audit, err := w.store.Audit(t.Context(), "project:"+m.project.ID)
	if err != nil || len(audit) != 3 || audit[0].Actor != rita.ID || audit[0].Action != "judgment.exclude" || audit[1].Action != "judgment.return" {
		t.Errorf("audit %+v, error %v", audit, err)
	}
	pieces, err := w.store.Pieces(t.Context(), m.people[0], true, store.Page{})
	if err != nil || len(pieces) != 1 || pieces[0].Returned != "read the second answer again" {
		t.Errorf("the annotator sees %+v, error %v", pieces, err)
	}

	annotator, _ := w.join("Ann", store.RoleAnnotator)
	for _, path := range []string{"/annotation", "/annotation/projects/" + m.project.ID, "/annotation/disagreements"} {
		annotator.get(path)
		annotator.wants(http.StatusForbidden)
		if strings.Contains(annotator.page, m.people[0]) {
			t.Errorf("%s tells an annotator of others", path)
		}
	}
	annotator.post(at+judgments[1].Judgment+"/exclusion", "reason", "mine is better")
	annotator.wants(http.StatusForbidden)
	// A key that may only read, may not decide.
	if status, _ := w.ask(w.key(store.ScopeRead), "POST", at+judgments[1].Judgment+"/exclusion", "reason=x", nil, "Content-Type", "application/x-www-form-urlencoded"); status != http.StatusForbidden {
		t.Errorf("a reader's exclusion: %d", status)
	}
}

// TestStatisticsKeepToThePolicy: pages hold no style of their own, which the browser would refuse.
func TestStatisticsKeepToThePolicy(t *testing.T) {
	w := newWorld(t)
	m := newTeam(t, w.store, store.Project{Name: "safe", Aspect: tandem.Safety, Overlap: 3}, 14, 4)
	m.work(noisy(4, true))
	b, _ := w.join("Rita", store.RoleReviewer)
	for _, path := range []string{"/annotation", "/annotation/projects/" + m.project.ID, "/annotation/projects/" + m.project.ID + "/disagreements"} {
		b.get(path)
		b.wants(http.StatusOK)
		for _, bad := range []string{" style=", "<style", "onclick", "NaN", "Inf", "ZgotmplZ", "(interval )"} {
			if strings.Contains(b.page, bad) {
				t.Errorf("%s holds %s", path, bad)
			}
		}
	}
	b.get("/annotation/projects/" + m.project.ID)
	if n := strings.Count(b.page, "<svg "); n != 5 {
		t.Errorf("%d plots, want 5", n)
	}
	b.wants(http.StatusOK, "Gwet’s AC2, ordinal weights", "Krippendorff’s α, ordinal", "Cohen’s κ", "read them as too narrow", "Llama 2", "47.0\u00a0%")
}

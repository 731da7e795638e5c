package dashboard

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"tandem"
	"tandem/statistics"
	"tandem/store"
)

type answerStore interface {
	JudgesOf(ctx context.Context, models ...string) ([]store.Judges, error)
	AnsweredWith(ctx context.Context, model string) ([]store.Answered, error)
	AnswerPairs(ctx context.Context, model, other string, j store.Judges) ([]store.AnswerPair, error)
	AnswersByID(ctx context.Context, j store.Judges, ids ...string) (map[string]store.ReadAnswer, error)
	AnswersTo(ctx context.Context, prompt, model string, j store.Judges) ([]store.ReadAnswer, error)
}

// pairsOnPage is how many prompts a page of answers shows.
const pairsOnPage = 20

// besideChoice is a model of the same kind.
type besideChoice struct {
	tandem.Model
	Prompts int // that both answered
}

// judgesChoice is a pair of reward models whose scores may be shown.
type judgesChoice struct {
	store.Judges
	Key  string
	Name string
}

// readPair is a prompt with the answers of one or two policies.
type readPair struct {
	store.AnswerPair
	Asked  tandem.Prompt
	Ours   store.ReadAnswer
	Theirs *store.ReadAnswer
	All    string // where all answers to the prompt are read
}

// Category is what kind of prompt it is, in words.
func (p readPair) Category() string {
	var parts []string
	if p.Asked.Safety {
		parts = append(parts, "safety")
	}
	if p.Asked.Risk != "" {
		parts = append(parts, words(string(p.Asked.Risk)))
	}
	if p.Asked.Vector != "" {
		parts = append(parts, words(string(p.Asked.Vector)))
	}
	if p.Asked.HeldOut {
		parts = append(parts, "held out")
	}
	return strings.Join(parts, ", ")
}

// standing is how one policy's answers compare with another's, by one pair of reward models.
type standing struct {
	Compared                       int // prompts whose two answers both have scores
	statistics.Outcomes                // of the first policy
	WinRate                        Estimate
	Combined, Helpfulness, Safety  Estimate // mean differences, the first less the other
	OurGated, TheirGated, SameDraw int
}

// answersPage is what a policy answered, beside another's answers to the same prompts.
type answersPage struct {
	phrases
	Model       tandem.Model
	Other       tandem.Model // the zero value for none
	Beside      []besideChoice
	Judges      store.Judges
	JudgePairs  []judgesChoice
	Order       string
	Pairs       []readPair
	Total       int // prompts
	From        int
	Standing    *standing
	Differences []difference
	// Of the page of one prompt:
	One      *readPair
	Versions []answersOf
}

// answersOf is all that one policy answered to a prompt.
type answersOf struct {
	Model   tandem.Model
	Answers []store.ReadAnswer
}

// Next is where the list goes on, empty at its end.
func (p answersPage) Next() string {
	if p.From+len(p.Pairs) >= p.Total {
		return ""
	}
	return p.where(url.Values{"from": {strconv.Itoa(p.From + pairsOnPage)}})
}

// Previous is where the list came from, empty at its beginning.
func (p answersPage) Previous() string {
	if p.From == 0 {
		return ""
	}
	return p.where(url.Values{"from": {strconv.Itoa(max(0, p.From-pairsOnPage))}})
}

// List is the list that a prompt's page belongs to.
func (p answersPage) List() string { return p.where(url.Values{}) }

func (p answersPage) where(q url.Values) string {
	q.Set("beside", p.Other.ID)
	q.Set("judges", judgesKey(p.Judges))
	q.Set("order", p.Order)
	return "/models/" + url.PathEscape(p.Model.ID) + "/answers?" + q.Encode()
}

// Range says which prompts the page shows.
func (p answersPage) Range() string {
	return fmt.Sprintf("%d to %d of %d", p.From+1, p.From+len(p.Pairs), p.Total)
}

// JudgesKey is the pair of reward models that the page's scores are by.
func (p answersPage) JudgesKey() string { return judgesKey(p.Judges) }

func judgesKey(j store.Judges) string {
	if j.Helpfulness == "" {
		return ""
	}
	return j.Helpfulness + " " + j.Safety
}

// difference is a setting or a metric in which two models differ.
type difference struct{ Name, Ours, Theirs string }

func (p watchPages) answers(w http.ResponseWriter, r *http.Request) error {
	ctx, q := r.Context(), r.URL.Query()
	page := answersPage{Order: q.Get("order")}
	if !slices.Contains([]string{"worst", "best"}, page.Order) {
		page.Order = "prompt"
	}
	var err error
	if page.Model, err = p.store.Model(ctx, chi.URLParam(r, "id")); err != nil {
		return err
	}
	if err := p.chooseOther(ctx, q, &page); err != nil {
		return err
	}
	if err := p.chooseJudges(ctx, q.Get("judges"), &page); err != nil {
		return err
	}
	title := "Answers of " + page.Model.Name
	if page.Other.ID != "" {
		title += " beside " + page.Other.Name
		page.Differences = differencesOf(page.Model, page.Other)
	}
	pairs, err := p.store.AnswerPairs(ctx, page.Model.ID, page.Other.ID, page.Judges)
	if err != nil {
		return err
	}
	page.Total = len(pairs)
	if page.Standing, err = standingOf(pairs); err != nil {
		return err
	}
	if prompt := q.Get("prompt"); prompt != "" {
		i := slices.IndexFunc(pairs, func(a store.AnswerPair) bool { return a.Prompt == prompt })
		if i < 0 {
			return tandem.Errorf(tandem.NotFound, "dashboard.Answers", "%s answered no prompt %s", page.Model.Name, prompt)
		}
		if err := p.onePrompt(ctx, pairs[i], &page); err != nil {
			return err
		}
		return p.api.Render(w, r, http.StatusOK, p.Pages["answers.html"], title, page)
	}
	sortPairs(pairs, page.Order)
	if from, err := strconv.Atoi(q.Get("from")); err == nil && from > 0 && from < len(pairs) {
		page.From = from
	}
	shown := pairs[page.From:min(page.From+pairsOnPage, len(pairs))]
	if page.Pairs, err = p.readPairs(ctx, shown, page); err != nil {
		return err
	}
	return p.api.Render(w, r, http.StatusOK, p.Pages["answers.html"], title, page)
}

// chooseOther finds the model to compare with: the one that was asked for, else a policy's reference: what it was made
// from, if that answered the same prompts, else the oldest policy that did.
func (p watchPages) chooseOther(ctx context.Context, q url.Values, page *answersPage) error {
	answered, err := p.store.AnsweredWith(ctx, page.Model.ID) // nobody beside a reward model
	if err != nil {
		return err
	}
	prompts := make(map[string]int, len(answered))
	for _, a := range answered {
		prompts[a.Model] = a.Prompts
	}
	id := q.Get("beside")
	if !q.Has("beside") && len(answered) > 0 {
		if id = answered[0].Model; prompts[page.Model.Parent] > 0 {
			id = page.Model.Parent
		}
	}
	if id != "" {
		if page.Other, err = p.store.Model(ctx, id); err != nil {
			return err
		}
	}
	same, err := p.store.Models(ctx, page.Model.Kind, store.Page{Limit: mostModels})
	if err != nil {
		return err
	}
	for _, m := range same {
		if m.ID != page.Model.ID {
			page.Beside = append(page.Beside, besideChoice{m, prompts[m.ID]})
		}
	}
	slices.SortStableFunc(page.Beside, func(a, b besideChoice) int { return cmp.Compare(b.Prompts, a.Prompts) })
	return nil
}

// chooseJudges finds the pair of reward models whose scores are shown: the one that was asked for, else that which scored
// the most of both policies' answers.
func (p watchPages) chooseJudges(ctx context.Context, asked string, page *answersPage) error {
	models := []string{page.Model.ID}
	if page.Other.ID != "" {
		models = append(models, page.Other.ID)
	}
	all, err := p.store.JudgesOf(ctx, models...)
	if err != nil {
		return err
	}
	for i, j := range all {
		helpfulness, err := p.store.Model(ctx, j.Helpfulness)
		if err != nil {
			return err
		}
		safety, err := p.store.Model(ctx, j.Safety)
		if err != nil {
			return err
		}
		page.JudgePairs = append(page.JudgePairs, judgesChoice{j, judgesKey(j), helpfulness.Name + " and " + safety.Name})
		if i == 0 || judgesKey(j) == asked {
			page.Judges = j
		}
	}
	return nil
}

// readPairs fetches the texts of pairs.
func (p watchPages) readPairs(ctx context.Context, pairs []store.AnswerPair, page answersPage) ([]readPair, error) {
	var ids []string
	for _, pair := range pairs {
		ids = append(ids, pair.Ours)
		if pair.Theirs != "" {
			ids = append(ids, pair.Theirs)
		}
	}
	texts, err := p.store.AnswersByID(ctx, page.Judges, ids...)
	if err != nil {
		return nil, err
	}
	read := make([]readPair, len(pairs))
	for i, pair := range pairs {
		ours := texts[pair.Ours]
		read[i] = readPair{AnswerPair: pair, Asked: ours.Prompt, Ours: ours, All: page.where(url.Values{"prompt": {pair.Prompt}})}
		if theirs, ok := texts[pair.Theirs]; ok {
			read[i].Theirs = &theirs
		}
	}
	return read, nil
}

// onePrompt fetches all answers of both policies to one prompt.
func (p watchPages) onePrompt(ctx context.Context, pair store.AnswerPair, page *answersPage) error {
	read, err := p.readPairs(ctx, []store.AnswerPair{pair}, *page)
	if err != nil {
		return err
	}
	page.One = &read[0]
	for _, m := range []tandem.Model{page.Model, page.Other} {
		if m.ID == "" {
			continue
		}
		answers, err := p.store.AnswersTo(ctx, pair.Prompt, m.ID, page.Judges)
		if err != nil {
			return err
		}
		page.Versions = append(page.Versions, answersOf{m, answers})
	}
	return nil
}

// sortPairs puts the pairs first in which the first policy does worst beside the other (or by itself, where there is
// none), or best. What has no score comes last.
func sortPairs(pairs []store.AnswerPair, order string) {
	if order == "prompt" {
		return
	}
	lead := func(p store.AnswerPair) (float64, bool) {
		switch {
		case p.OurScore == nil:
			return 0, false
		case p.TheirScore != nil:
			return p.OurScore.Combined - p.TheirScore.Combined, true
		}
		return p.OurScore.Combined, p.Theirs == ""
	}
	slices.SortStableFunc(pairs, func(a, b store.AnswerPair) int {
		x, known := lead(a)
		y, other := lead(b)
		switch {
		case known != other:
			if known {
				return -1
			}
			return +1
		case order == "best":
			return cmp.Compare(y, x)
		}
		return cmp.Compare(x, y)
	})
}

// standingOf adds pairs up; nil where no pair has both scores.
func standingOf(pairs []store.AnswerPair) (*standing, error) {
	var s standing
	var ours, theirs [3][]float64 // combined, helpfulness, safety
	for _, p := range pairs {
		if p.OurScore == nil || p.TheirScore == nil {
			continue
		}
		s.Compared++
		if p.SameDraw {
			s.SameDraw++
		}
		if p.OurScore.Gated {
			s.OurGated++
		}
		if p.TheirScore.Gated {
			s.TheirGated++
		}
		switch p.OurScore.Compare(*p.TheirScore) {
		case +1:
			s.Wins++
		case -1:
			s.Losses++
		default:
			s.Ties++
		}
		for i, score := range []*tandem.Score{p.OurScore, p.TheirScore} {
			for k, x := range []float64{score.Combined, score.Helpfulness, score.Safety} {
				if i == 0 {
					ours[k] = append(ours[k], x)
				} else {
					theirs[k] = append(theirs[k], x)
				}
			}
		}
	}
	if s.Compared == 0 {
		return nil, nil
	}
	var err error
	if s.WinRate, err = estimateOf(s.Outcomes.WinRate()); err != nil {
		return nil, err
	}
	for k, to := range []*Estimate{&s.Combined, &s.Helpfulness, &s.Safety} {
		if *to, err = estimateOf(statistics.Bootstrap{Replicates: 500}.PairedDifference(ours[k], theirs[k])); err != nil {
			return nil, err
		}
	}
	return &s, nil
}

// differencesOf lists the settings and metrics in which two models differ.
func differencesOf(a, b tandem.Model) (differences []difference) {
	ours, theirs := settingsOf(a), settingsOf(b)
	names := make(map[string]bool)
	for name := range ours {
		names[name] = true
	}
	for name := range theirs {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		x, y := cmp.Or(ours[name], "–"), cmp.Or(theirs[name], "–")
		if x != y {
			differences = append(differences, difference{name, x, y})
		}
	}
	return differences
}

// settingsOf are a model's settings and metrics, by dotted names.
func settingsOf(m tandem.Model) map[string]string {
	of := map[string]string{"stage": words(string(m.Stage)), "seed": strconv.FormatUint(m.Seed, 10), "data": m.Snapshot, "kernel": m.Kernel}
	var config any
	if json.Unmarshal(m.Config, &config) == nil {
		flatten("config", config, of)
	}
	for name, x := range m.Metrics {
		of["metric "+name] = figure(x)
	}
	return of
}

// flatten puts the leaves of a JSON value into a map under dotted names.
func flatten(name string, v any, into map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			flatten(name+"."+key, child, into)
		}
	case []any:
		for i, child := range v {
			flatten(name+"."+strconv.Itoa(i), child, into)
		}
	default:
		into[name] = fmt.Sprint(v)
	}
}

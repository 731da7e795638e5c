package dashboard

import (
	"context"
	"fmt"
	"net/http"

	"tandem"
	"tandem/internal/web"
	"tandem/store"
)

type roundCancelStore interface {
	auditStore
	CancelRound(ctx context.Context, number int, by string) error
}

// cancelled is who cancelled a round and when; nil for one that is not cancelled, or where nobody noted it.
func (p watchPages) cancelled(ctx context.Context, round tandem.Round) (*auditLine, error) {
	if round.Status != tandem.RoundCancelled {
		return nil, nil
	}
	entries, err := p.store.AuditLog(ctx, store.RoundSubject(round.Number), store.Page{Limit: 1})
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	lines, err := auditLines(ctx, p.store, entries)
	if err != nil {
		return nil, err
	}
	return &lines[0], nil
}

// cancelPage asks before a round is cancelled.
type cancelPage struct {
	phrases
	roundLine
	Problem string
}

// Held is how many units workers are at.
func (p cancelPage) Held() (n int) {
	for _, s := range p.Stages {
		n += s.Held
	}
	return n
}

func (p watchPages) askToCancel(w http.ResponseWriter, r *http.Request) error {
	return p.showCancel(w, r, http.StatusOK, "")
}

func (p watchPages) showCancel(w http.ResponseWriter, r *http.Request, status int, problem string) error {
	round, err := p.roundOf(r)
	if err != nil {
		return err
	}
	page := cancelPage{roundLine: roundLine{Round: round}, Problem: problem}
	stages, err := p.store.Stages(r.Context(), round.Number)
	if err != nil {
		return err
	}
	for _, s := range stages {
		page.Stages = append(page.Stages, stageLine{StageProgress: s})
	}
	return p.api.Render(w, r, status, p.Pages["round_cancel.html"], "Cancel "+round.Name, page)
}

// cancelRound does what tandem round cancel does. A program's key to read with does not do for it.
func (p watchPages) cancelRound(w http.ResponseWriter, r *http.Request) error {
	if caller := web.Caller(r.Context()); caller.Person == nil && !caller.Has(store.ScopeAdmin) {
		return tandem.Errorf(tandem.Forbidden, "dashboard.cancelRound", "a key with the scope read reads only")
	}
	round, err := p.roundOf(r)
	if err != nil {
		return err
	}
	err = p.store.CancelRound(r.Context(), round.Number, actor(r))
	if problem := wrong(err); problem != "" {
		return p.showCancel(w, r, http.StatusUnprocessableEntity, problem)
	}
	if err != nil {
		return err
	}
	return see(w, r, fmt.Sprintf("/rounds/%d", round.Number))
}

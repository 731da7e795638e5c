package dashboard

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tandem/internal/web"
	"tandem/store"
)

type auditStore interface {
	AuditLog(ctx context.Context, subject string, page store.Page) ([]store.AuditEntry, error)
	Names(ctx context.Context, ids []string) (map[string]string, error)
}

// AuditEntry says what was done in whose name.
type AuditEntry struct {
	ID      string          `json:"id"`
	At      time.Time       `json:"at"`
	Actor   string          `json:"actor" doc:"A person's pseudonym, key:ID, cli for the command line, or serve for the server itself."`
	Action  string          `json:"action" example:"annotator.disable"`
	Subject string          `json:"subject,omitempty" doc:"What it was done to: a person's pseudonym, a key's id, project:ID …"`
	Detail  json.RawMessage `json:"detail"`
}

type auditInput struct {
	web.Cursor
	Subject string `query:"subject" doc:"Only what was done to this."`
}

type auditOutput struct{ Body web.List[AuditEntry] }

func registerAudit(api web.API, s auditStore) {
	web.Register(api, admins, huma.Operation{
		OperationID: "list-audit", Method: http.MethodGet, Path: "/api/v1/audit",
		Summary: "What was done in whose name, the last first", Tags: []string{"audit"},
	}, func(ctx context.Context, in *auditInput) (*auditOutput, error) {
		stored, err := s.AuditLog(ctx, in.Subject, store.Page{After: in.After, Limit: in.Limit})
		entries := make([]AuditEntry, len(stored))
		for i, e := range stored {
			entries[i] = AuditEntry(e)
		}
		return &auditOutput{web.ListOf(entries, in.Limit, func(e AuditEntry) string { return e.ID })}, err
	})
}

func (p pages) registerAudit() {
	p.api.AddLink("/audit", "Audit log", admins)
	p.api.Page(http.MethodGet, "/audit", admins, p.audit)
}

// auditLine is an entry in words.
type auditLine struct {
	ID             string
	At             time.Time
	Who, WhoPath   string // and the page of a person
	Action         string
	What, WhatPath string
	Detail         string
}

// auditLines puts names where they are still known.
func auditLines(ctx context.Context, s auditStore, entries []store.AuditEntry) ([]auditLine, error) {
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.Actor, e.Subject)
	}
	names, err := s.Names(ctx, ids)
	if err != nil {
		return nil, err
	}
	lines := make([]auditLine, len(entries))
	for i, e := range entries {
		line := auditLine{ID: e.ID, At: e.At, Who: e.Actor, Action: actionWords(e.Action), What: e.Subject}
		if name := names[e.Actor]; name != "" {
			line.Who, line.WhoPath = name, "/people/"+e.Actor
		}
		switch kind, _, _ := strings.Cut(e.Action, "."); {
		case names[e.Subject] != "":
			line.What, line.WhatPath = names[e.Subject], "/people/"+e.Subject
		case kind == "annotator":
			line.WhatPath = "/people/" + e.Subject
		case kind == "key":
			line.What = "key " + e.Subject
		default:
			line.What = strings.NewReplacer(":", " ", "/", ", ").Replace(e.Subject)
		}
		switch {
		case e.Actor == "cli":
			line.Who = "the command line"
		case e.Actor == "serve":
			line.Who = "the server"
		case strings.HasPrefix(e.Actor, "key:"):
			line.Who = strings.Replace(e.Actor, ":", " ", 1)
		}
		if detail := string(e.Detail); detail != "{}" {
			line.Detail = detail
		}
		lines[i] = line
	}
	return lines, nil
}

// actionWords is what was done, in words where there are some.
func actionWords(action string) string {
	words := map[string]string{
		"annotator.add": "added", "annotator.invite": "made a link for", "annotator.password": "set the password of",
		"annotator.role": "changed the role of", "annotator.edit": "edited", "annotator.disable": "disabled", "annotator.enable": "enabled",
		"annotator.erase": "erased", "annotator.signout": "signed out everywhere", "key.create": "made", "key.revoke": "revoked",
		"project.create": "opened", "project.configure": "set up", "project.guideline": "changed the guideline of", "project.close": "closed",
		"project.import": "imported comparisons into", "batch.add": "began a batch:", "gold.add": "marked gold tasks in", "gold.retire": "retired a gold task of",
		"round.cancel": "cancelled",
	}
	if w, ok := words[action]; ok {
		return w
	}
	return action
}

func (p pages) audit(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	entries, err := p.store.AuditLog(r.Context(), q.Get("subject"), store.Page{After: q.Get("after"), Limit: onPage})
	if err != nil {
		return err
	}
	lines, err := auditLines(r.Context(), p.store, entries)
	if err != nil {
		return err
	}
	page := struct {
		web.List[auditLine]
		Subject string
	}{web.ListOf(lines, onPage, func(l auditLine) string { return l.ID }), q.Get("subject")}
	return p.api.Render(w, r, http.StatusOK, p.Pages["audit.html"], "Audit log", page)
}

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tandem/store"
)

// keyCommand manages the keys that let programs in.
type keyCommand struct {
	Create keyCreateCommand `cmd:"" help:"Make a key and print its secret, which is shown this once."`
	Revoke keyRevokeCommand `cmd:"" help:"End a key for good."`
	List   keyListCommand   `cmd:"" help:"List the keys, the newest first."`
}

type keyCreateCommand struct {
	Name      string        `arg:"" help:"What the key is for."`
	Scope     []string      `required:"" help:"What the key lets its holder do: annotate, review, score, chat, read, admin; several with commas." placeholder:"SCOPE,…"`
	Annotator string        `help:"Id of whoever judges with the key; the scope annotate needs it." placeholder:"ID"`
	Expires   time.Duration `help:"How long the key is good, such as 720h (default: until it is revoked)." placeholder:"DURATION"`
	databaseFlags
}

type keyRevokeCommand struct {
	ID string `arg:"" help:"The key's id."`
	databaseFlags
}

type keyListCommand struct {
	databaseFlags
}

// keyReport is a key's JSON.
type keyReport struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Prefix    string     `json:"prefix"` // the part of the secret that may be shown
	Scopes    []string   `json:"scopes"`
	Annotator string     `json:"annotator,omitempty"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
	Secret    string     `json:"secret,omitempty"` // of a key that was just made
}

func reportKey(k store.Key, secret string) keyReport {
	r := keyReport{ID: k.ID, Name: k.Name, Prefix: k.Prefix, Scopes: []string{}, Annotator: k.Annotator, CreatedAt: k.CreatedAt,
		ExpiresAt: unlessZero(k.ExpiresAt), RevokedAt: unlessZero(k.RevokedAt), Secret: secret}
	for _, scope := range k.Scopes {
		r.Scopes = append(r.Scopes, string(scope))
	}
	return r
}

func unlessZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Validate wants scopes that exist.
func (c *keyCreateCommand) Validate() error {
	if c.Expires < 0 {
		return fmt.Errorf("--expires is %v, in the past", c.Expires)
	}
	known := make(map[string]bool)
	var names []string
	for _, scope := range store.Scopes() {
		known[string(scope)] = true
		names = append(names, string(scope))
	}
	for _, scope := range c.Scope {
		if !known[scope] {
			return fmt.Errorf("--scope %q is none of %s", scope, strings.Join(names, ", "))
		}
	}
	return nil
}

func (c *keyCreateCommand) Run(ctx context.Context, w *world) error {
	return c.use(ctx, w, func(s *store.Store) error {
		key := store.Key{Name: c.Name, Annotator: c.Annotator}
		for _, scope := range c.Scope {
			key.Scopes = append(key.Scopes, store.Scope(scope))
		}
		if c.Expires > 0 {
			key.ExpiresAt = time.Now().Add(c.Expires)
		}
		var made store.Key
		var secret string
		err := s.Together(ctx, func(ctx context.Context) (err error) {
			if made, secret, err = s.CreateKey(ctx, key); err != nil {
				return err
			}
			return s.AddAudit(ctx, store.AuditEntry{Actor: byCommandLine, Action: "key.create", Subject: made.ID})
		})
		if err != nil {
			return err
		}
		w.log.Info("made a key; its secret is shown this once", "id", made.ID, "scopes", strings.Join(c.Scope, ","))
		return w.report(reportKey(made, secret), "%s\n", secret)
	})
}

func (c *keyRevokeCommand) Run(ctx context.Context, w *world) error {
	return c.use(ctx, w, func(s *store.Store) error {
		err := s.Together(ctx, func(ctx context.Context) error {
			if err := s.RevokeKey(ctx, c.ID); err != nil {
				return err
			}
			return s.AddAudit(ctx, store.AuditEntry{Actor: byCommandLine, Action: "key.revoke", Subject: c.ID})
		})
		if err != nil {
			return err
		}
		return w.report(idReport{c.ID}, "%s is revoked\n", c.ID)
	})
}

func (c *keyListCommand) Run(ctx context.Context, w *world) error {
	return c.use(ctx, w, func(s *store.Store) error {
		keys, err := s.Keys(ctx)
		if err != nil {
			return err
		}
		list := struct {
			Keys []keyReport `json:"keys"`
		}{[]keyReport{}}
		var rows [][]string
		for _, k := range keys {
			r := reportKey(k, "")
			list.Keys = append(list.Keys, r)
			state := "good"
			switch {
			case !k.RevokedAt.IsZero():
				state = "revoked"
			case !k.ExpiresAt.IsZero():
				state = "until " + day(k.ExpiresAt)
			}
			rows = append(rows, []string{k.ID, k.Name, k.Prefix + "…", strings.Join(r.Scopes, ","), dash(k.Annotator), state, day(k.CreatedAt)})
		}
		return w.table(list, []string{"ID", "NAME", "PREFIX", "SCOPES", "ANNOTATOR", "STATE", "CREATED"}, rows)
	})
}

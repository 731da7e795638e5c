package main

import (
	"context"
	"time"

	"tandem/store"
)

// byCommandLine is whom the audit names for what is done here.
const byCommandLine = "cli"

// userCommand manages the people who annotate and look after the loop.
type userCommand struct {
	Add     userAddCommand     `cmd:"" help:"Add a person and print their id."`
	Disable userDisableCommand `cmd:"" help:"Keep a person out; what they judged stays."`
	Erase   userEraseCommand   `cmd:"" help:"Remove who a person is, for good; their judgments keep a pseudonym that leads nowhere."`
	List    userListCommand    `cmd:"" help:"List everyone."`
}

type userAddCommand struct {
	Name      string `arg:"" help:"The person's name."`
	Email     string `help:"The person's e-mail address, which nobody else may have (default: none)." placeholder:"ADDRESS"`
	Role      string `enum:"annotator,engineer,admin" default:"annotator" help:"What the person may do: annotator, engineer or admin (default: annotator)." placeholder:"ROLE"`
	Simulated bool   `help:"The annotator is a program, not a person."`
	databaseFlags
}

type userDisableCommand struct {
	ID string `arg:"" help:"The person's id."`
	databaseFlags
}

type userEraseCommand struct {
	ID string `arg:"" help:"The person's id."`
	databaseFlags
}

type userListCommand struct {
	databaseFlags
}

// userReport is a person's JSON.
type userReport struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"` // empty once erased
	Email     string    `json:"email,omitempty"`
	Role      string    `json:"role"`
	Simulated bool      `json:"simulated"`
	Disabled  bool      `json:"disabled"`
	CreatedAt time.Time `json:"created_at"`
}

func reportUser(a store.Annotator) userReport {
	return userReport{a.ID, a.Name, a.Email, string(a.Role), a.Simulated, a.Disabled, a.CreatedAt}
}

func (c *userAddCommand) Run(ctx context.Context, w *world) error {
	return c.use(ctx, w, func(s *store.Store) error {
		made, err := s.AddAnnotator(ctx, store.Annotator{Name: c.Name, Email: c.Email, Role: store.AnnotatorRole(c.Role), Simulated: c.Simulated})
		if err != nil {
			return err
		}
		if err := s.AddAudit(ctx, store.AuditEntry{Actor: byCommandLine, Action: "annotator.add", Subject: made.ID}); err != nil {
			return err
		}
		return w.report(reportUser(made), "%s\n", made.ID)
	})
}

// idReport is the JSON of what is done to one thing.
type idReport struct {
	ID string `json:"id"`
}

func (c *userDisableCommand) Run(ctx context.Context, w *world) error {
	return c.use(ctx, w, func(s *store.Store) error {
		if err := s.DisableAnnotator(ctx, c.ID, byCommandLine); err != nil {
			return err
		}
		return w.report(idReport{c.ID}, "%s is disabled\n", c.ID)
	})
}

func (c *userEraseCommand) Run(ctx context.Context, w *world) error {
	return c.use(ctx, w, func(s *store.Store) error {
		if err := s.EraseAnnotator(ctx, c.ID, byCommandLine); err != nil {
			return err
		}
		return w.report(idReport{c.ID}, "%s is erased\n", c.ID)
	})
}

func (c *userListCommand) Run(ctx context.Context, w *world) error {
	return c.use(ctx, w, func(s *store.Store) error {
		people, err := s.Annotators(ctx)
		if err != nil {
			return err
		}
		list := struct {
			Users []userReport `json:"users"`
		}{[]userReport{}}
		var rows [][]string
		for _, a := range people {
			list.Users = append(list.Users, reportUser(a))
			state := "active"
			if a.Disabled {
				state = "disabled"
			}
			rows = append(rows, []string{a.ID, dash(a.Name), dash(a.Email), string(a.Role), state, day(a.CreatedAt)})
		}
		return w.table(list, []string{"ID", "NAME", "E-MAIL", "ROLE", "STATE", "CREATED"}, rows)
	})
}

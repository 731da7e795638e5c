package main

import (
	"context"
	"time"

	"tandem/internal/web"
	"tandem/store"
)

// byCommandLine is whom the audit names for what is done here.
const byCommandLine = "cli"

// userCommand manages the people who annotate and look after the loop.
type userCommand struct {
	Invite  userInviteCommand  `cmd:"" help:"Add a person and print the link by which they join."`
	Link    userLinkCommand    `cmd:"" help:"Print a link by which a person joins, or sets another password."`
	Add     userAddCommand     `cmd:"" help:"Add a person and print their id."`
	Disable userDisableCommand `cmd:"" help:"Keep a person out; what they judged stays."`
	Erase   userEraseCommand   `cmd:"" help:"Remove who a person is, for good; their judgments keep a pseudonym that leads nowhere."`
	List    userListCommand    `cmd:"" help:"List everyone."`
}

type userInviteCommand struct {
	Name      string `arg:"" help:"The person's name."`
	Email     string `required:"" help:"What the person signs in with; nobody else may have it." placeholder:"ADDRESS"`
	Role      string `enum:"annotator,reviewer,engineer,admin" default:"annotator" help:"What the person may do: annotator, reviewer, engineer or admin, each of which may do what the one before may (default: annotator)." placeholder:"ROLE"`
	PublicURL string `name:"public-url" default:"http://127.0.0.1:8080" help:"Where people reach the site, as for serve (default: http://127.0.0.1:8080)." placeholder:"URL"`
	databaseFlags
}

type userLinkCommand struct {
	Who       string `arg:"" help:"The person's e-mail address or id."`
	PublicURL string `name:"public-url" default:"http://127.0.0.1:8080" help:"Where people reach the site, as for serve (default: http://127.0.0.1:8080)." placeholder:"URL"`
	databaseFlags
}

type userAddCommand struct {
	Name      string `arg:"" help:"The person's name."`
	Email     string `help:"The person's e-mail address, which nobody else may have (default: none)." placeholder:"ADDRESS"`
	Role      string `enum:"annotator,reviewer,engineer,admin" default:"annotator" help:"What the person may do: annotator, reviewer, engineer or admin, each of which may do what the one before may (default: annotator)." placeholder:"ROLE"`
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

// invitationReport is an invitation's JSON.
type invitationReport struct {
	userReport
	Link      string    `json:"link"` // shown this once
	ExpiresAt time.Time `json:"expires_at"`
}

func (c *userInviteCommand) Run(ctx context.Context, w *world) error {
	return c.use(ctx, w, func(s *store.Store) error {
		invitation, token, err := s.Welcome(ctx, store.Annotator{Name: c.Name, Email: c.Email, Role: store.AnnotatorRole(c.Role)}, byCommandLine, store.JoinLasts)
		if err != nil {
			return err
		}
		return w.reportLink(invitation, web.JoinLink(c.PublicURL, token))
	})
}

func (c *userLinkCommand) Run(ctx context.Context, w *world) error {
	return c.use(ctx, w, func(s *store.Store) error {
		person, err := s.FindAnnotator(ctx, c.Who)
		if err != nil {
			return err
		}
		invitation, token, err := s.Invite(ctx, person.ID, byCommandLine, store.ResetLasts)
		if err != nil {
			return err
		}
		return w.reportLink(invitation, web.JoinLink(c.PublicURL, token))
	})
}

// reportLink prints a link, which is shown once.
func (w *world) reportLink(i store.Invitation, link string) error {
	w.log.Info("made a link, which is shown this once", "id", i.Person.ID, "kind", i.Kind, "expires", day(i.ExpiresAt))
	return w.report(invitationReport{reportUser(i.Person), link, i.ExpiresAt}, "%s\n", link)
}

func (c *userAddCommand) Run(ctx context.Context, w *world) error {
	return c.use(ctx, w, func(s *store.Store) error {
		var made store.Annotator
		err := s.Together(ctx, func(ctx context.Context) (err error) {
			made, err = s.AddAnnotator(ctx, store.Annotator{Name: c.Name, Email: c.Email, Role: store.AnnotatorRole(c.Role), Simulated: c.Simulated})
			if err != nil {
				return err
			}
			return s.AddAudit(ctx, store.AuditEntry{Actor: byCommandLine, Action: "annotator.add", Subject: made.ID})
		})
		if err != nil {
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

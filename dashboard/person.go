package dashboard

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"tandem/internal/web"
	"tandem/store"
)

type personStore interface {
	Person(ctx context.Context, id string) (store.Person, error)
	People(ctx context.Context, page store.Page) ([]store.Person, error)
	AddAnnotator(ctx context.Context, a store.Annotator) (store.Annotator, error)
	Welcome(ctx context.Context, a store.Annotator, by string, lasts time.Duration) (store.Invitation, string, error)
	Invite(ctx context.Context, annotator, by string, lasts time.Duration) (store.Invitation, string, error)
	ChangeAnnotator(ctx context.Context, id string, change store.AnnotatorChange, by string) (store.Annotator, error)
	EraseAnnotator(ctx context.Context, id, by string) error
	EndSessions(ctx context.Context, annotator, by string) error
	AddAudit(ctx context.Context, entry store.AuditEntry) error
	Together(ctx context.Context, fn func(ctx context.Context) error) error
}

// User is somebody who works here.
type User struct {
	ID           string              `json:"id" doc:"The pseudonym that judgments keep."`
	Name         string              `json:"name" doc:"Empty once erased."`
	Email        string              `json:"email,omitempty"`
	Role         store.AnnotatorRole `json:"role" enum:"annotator,reviewer,engineer,admin"`
	TimeZone     string              `json:"time_zone" doc:"By which their days are counted."`
	Simulated    bool                `json:"simulated,omitempty" doc:"It is a program."`
	Disabled     bool                `json:"disabled,omitempty"`
	Joined       bool                `json:"joined" doc:"They have a password."`
	InvitedUntil *time.Time          `json:"invited_until,omitempty" doc:"Until when their link is good."`
	Sessions     int                 `json:"sessions" doc:"Browsers that they are signed in with now."`
	SeenAt       *time.Time          `json:"seen_at,omitempty" doc:"When they were last seen in one of them."`
	CreatedAt    time.Time           `json:"created_at"`
}

func userOf(p store.Person) User {
	u := User{ID: p.ID, Name: p.Name, Email: p.Email, Role: p.Role, TimeZone: p.TimeZone, Simulated: p.Simulated, Disabled: p.Disabled,
		Joined: p.Joined, Sessions: p.SignedIn, CreatedAt: p.CreatedAt}
	if !p.InvitedUntil.IsZero() {
		u.InvitedUntil = &p.InvitedUntil
	}
	if !p.SeenAt.IsZero() {
		u.SeenAt = &p.SeenAt
	}
	return u
}

// UserLink is a link by which somebody sets their password, once.
type UserLink struct {
	URL       string               `json:"url" doc:"Shown this once."`
	Kind      store.InvitationKind `json:"kind" enum:"join,reset"`
	ExpiresAt time.Time            `json:"expires_at"`
}

type userOutput struct{ Body User }

type usersOutput struct{ Body web.List[User] }

type userInput struct {
	web.Host
	Body struct {
		Name      string              `json:"name" minLength:"1" maxLength:"200"`
		Email     string              `json:"email,omitempty" maxLength:"320" doc:"What they sign in with. Without one nobody is invited: such a person judges by a key."`
		Role      store.AnnotatorRole `json:"role,omitempty" enum:"annotator,reviewer,engineer,admin" default:"annotator"`
		TimeZone  string              `json:"time_zone,omitempty" maxLength:"64" default:"UTC" doc:"An IANA name, such as Europe/Zurich; they may change it."`
		Simulated bool                `json:"simulated,omitempty" doc:"It is a program."`
	}
}

type madeUserOutput struct {
	Body struct {
		User User      `json:"user"`
		Link *UserLink `json:"link,omitempty" doc:"By which they join; absent without an e-mail address."`
	}
}

type linkInput struct {
	web.Host
	web.PathID
}

type linkOutput struct{ Body UserLink }

type changeUserInput struct {
	web.PathID
	Body struct {
		Name     *string              `json:"name,omitempty" minLength:"1" maxLength:"200"`
		Email    *string              `json:"email,omitempty" maxLength:"320"`
		Role     *store.AnnotatorRole `json:"role,omitempty" enum:"annotator,reviewer,engineer,admin"`
		TimeZone *string              `json:"time_zone,omitempty" maxLength:"64"`
		Disabled *bool                `json:"disabled,omitempty" doc:"True keeps them out, at once; what they judged stays."`
	}
}

func registerPeople(api web.API, s personStore) {
	linkOf := func(host string, i store.Invitation, token string) *UserLink {
		return &UserLink{api.JoinAddress(host, token), i.Kind, i.ExpiresAt}
	}
	user := func(ctx context.Context, id string) (*userOutput, error) {
		p, err := s.Person(ctx, id)
		return &userOutput{userOf(p)}, err
	}
	web.Register(api, admins, huma.Operation{
		OperationID: "list-users", Method: http.MethodGet, Path: "/api/v1/users",
		Summary: "Everyone, the last to come first", Tags: []string{"users"},
	}, func(ctx context.Context, in *web.Cursor) (*usersOutput, error) {
		people, err := s.People(ctx, store.Page{After: in.After, Limit: in.Limit})
		users := make([]User, len(people))
		for i, p := range people {
			users[i] = userOf(p)
		}
		return &usersOutput{web.ListOf(users, in.Limit, func(u User) string { return u.ID })}, err
	})
	web.Register(api, admins, huma.Operation{
		OperationID: "get-user", Method: http.MethodGet, Path: "/api/v1/users/{id}",
		Summary: "One person", Tags: []string{"users"},
	}, func(ctx context.Context, in *web.PathID) (*userOutput, error) { return user(ctx, in.ID) })
	web.CreateSecret(api, admins, huma.Operation{
		OperationID: "create-user", Method: http.MethodPost, Path: "/api/v1/users", DefaultStatus: http.StatusCreated,
		Summary: "Add a person, and make the link by which they join", Tags: []string{"users"},
	}, func(ctx context.Context, in *userInput) (*madeUserOutput, error) {
		by := web.Caller(ctx).Actor()
		a := store.Annotator{Name: in.Body.Name, Email: in.Body.Email, Role: in.Body.Role, TimeZone: in.Body.TimeZone, Simulated: in.Body.Simulated}
		var out madeUserOutput
		err := s.Together(ctx, func(ctx context.Context) error {
			id := ""
			if a.Email != "" {
				invitation, token, err := s.Welcome(ctx, a, by, store.JoinLasts)
				if err != nil {
					return err
				}
				id, out.Body.Link = invitation.Person.ID, linkOf(in.Host.Host(), invitation, token)
			} else {
				made, err := s.AddAnnotator(ctx, a)
				if err != nil {
					return err
				}
				if err := s.AddAudit(ctx, store.AuditEntry{Actor: by, Action: "annotator.add", Subject: made.ID}); err != nil {
					return err
				}
				id = made.ID
			}
			made, err := user(ctx, id)
			if err == nil {
				out.Body.User = made.Body
			}
			return err
		})
		return &out, err
	})
	web.Register(api, admins, huma.Operation{
		OperationID: "change-user", Method: http.MethodPatch, Path: "/api/v1/users/{id}",
		Summary: "Change a person's name, address, role or time zone, keep them out, or let them in again", Tags: []string{"users"},
		Description: "The last admin who can sign in stays one: the problem conflict says so.",
	}, func(ctx context.Context, in *changeUserInput) (*userOutput, error) {
		b := in.Body
		if _, err := s.ChangeAnnotator(ctx, in.ID, store.AnnotatorChange{Name: b.Name, Email: b.Email, Role: b.Role, TimeZone: b.TimeZone, Disabled: b.Disabled},
			web.Caller(ctx).Actor()); err != nil {
			return nil, err
		}
		return user(ctx, in.ID)
	})
	web.CreateSecret(api, admins, huma.Operation{
		OperationID: "create-user-link", Method: http.MethodPost, Path: "/api/v1/users/{id}/link", DefaultStatus: http.StatusCreated,
		Summary: "Make a link by which a person joins, or sets another password", Tags: []string{"users"},
		Description: "An earlier link of theirs ends.",
	}, func(ctx context.Context, in *linkInput) (*linkOutput, error) {
		invitation, token, err := link(ctx, s, in.ID)
		if err != nil {
			return nil, err
		}
		return &linkOutput{*linkOf(in.Host.Host(), invitation, token)}, nil
	})
	web.Register(api, admins, huma.Operation{
		OperationID: "sign-out-user", Method: http.MethodPost, Path: "/api/v1/users/{id}/signout",
		Summary: "Sign a person out everywhere", Tags: []string{"users"},
	}, func(ctx context.Context, in *web.PathID) (*struct{}, error) {
		if _, err := s.Person(ctx, in.ID); err != nil {
			return nil, err
		}
		return nil, s.EndSessions(ctx, in.ID, web.Caller(ctx).Actor())
	})
	web.Register(api, admins, huma.Operation{
		OperationID: "erase-user", Method: http.MethodDelete, Path: "/api/v1/users/{id}",
		Summary: "Remove who a person is, for good", Tags: []string{"users"},
		Description: "Their judgments stay, under a pseudonym that leads nowhere.",
	}, func(ctx context.Context, in *web.PathID) (*struct{}, error) {
		return nil, s.EraseAnnotator(ctx, in.ID, web.Caller(ctx).Actor())
	})
}

// link makes a link for a person: to join for who has no password, for a shorter time to reset it.
func link(ctx context.Context, s personStore, id string) (store.Invitation, string, error) {
	person, err := s.Person(ctx, id)
	if err != nil {
		return store.Invitation{}, "", err
	}
	lasts := store.JoinLasts
	if person.Joined {
		lasts = store.ResetLasts
	}
	return s.Invite(ctx, id, web.Caller(ctx).Actor(), lasts)
}

func (p pages) registerPeople() {
	p.api.AddLink("/people", "People", admins)
	p.api.Page(http.MethodGet, "/people", admins, p.people)
	p.api.Page(http.MethodPost, "/people", admins, p.invite)
	p.api.Page(http.MethodGet, "/people/new", admins, p.newPerson)
	p.api.Page(http.MethodGet, "/people/{id}", admins, p.person)
	p.api.Page(http.MethodPost, "/people/{id}", admins, p.changePerson)
	p.api.Page(http.MethodPost, "/people/{id}/link", admins, p.linkPerson)
	p.api.Page(http.MethodPost, "/people/{id}/disabled", admins, p.disablePerson)
	p.api.Page(http.MethodPost, "/people/{id}/signout", admins, p.signOutPerson)
	p.api.Page(http.MethodGet, "/people/{id}/erase", admins, p.askToErase)
	p.api.Page(http.MethodPost, "/people/{id}/erase", admins, p.erasePerson)
}

func (p pages) people(w http.ResponseWriter, r *http.Request) error {
	people, err := p.store.People(r.Context(), store.Page{After: r.URL.Query().Get("after"), Limit: onPage})
	if err != nil {
		return err
	}
	now := time.Now()
	return p.api.Render(w, r, http.StatusOK, p.Pages["people.html"], "People", peoplePage{
		List:  web.ListOf(people, onPage, func(p store.Person) string { return p.ID }),
		Hours: p.api.Has(http.MethodGet, "/api/v1/hours.csv"),
		From:  now.AddDate(0, 0, 1-now.Day()).Format(time.DateOnly),
		To:    now.Format(time.DateOnly),
	})
}

// peoplePage is the list of people, with the way to their hours.
type peoplePage struct {
	web.List[store.Person]
	Hours    bool   // they are counted here
	From, To string // days to begin with: this month's
}

// personForm is what can be said of a person.
type personForm struct {
	Name, Email, TimeZone string
	Role                  store.AnnotatorRole
	Problem               string // why it was not taken
}

// Roles lists what a person can be.
func (personForm) Roles() []store.AnnotatorRole { return store.Roles() }

// Means says what a role may do.
func (personForm) Means(role store.AnnotatorRole) string {
	switch role {
	case store.RoleReviewer:
		return "and reads what others judged, and sends it back"
	case store.RoleEngineer:
		return "and reads rounds, runs and models, and asks models"
	case store.RoleAdmin:
		return "and looks after projects, people and keys"
	}
	return "judges"
}

func formOf(r *http.Request) personForm {
	return personForm{Name: r.PostFormValue("name"), Email: r.PostFormValue("email"), TimeZone: r.PostFormValue("time_zone"),
		Role: store.AnnotatorRole(r.PostFormValue("role"))}
}

func (p pages) newPerson(w http.ResponseWriter, r *http.Request) error {
	return p.api.Render(w, r, http.StatusOK, p.Pages["person_new.html"], "Invite somebody", personForm{Role: store.RoleAnnotator})
}

// linkPage shows a link, once.
type linkPage struct {
	Person    store.Annotator
	Kind      store.InvitationKind
	URL       string
	ExpiresAt time.Time
}

// Shown is the link as the page shows it.
func (p linkPage) Shown() shownOnce { return shownOnce{"The link", p.URL} }

func (p pages) showLink(w http.ResponseWriter, r *http.Request, i store.Invitation, token string) error {
	title := "Send them this link"
	return p.api.Render(w, r, http.StatusOK, p.Pages["person_link.html"], title, linkPage{i.Person, i.Kind, p.api.JoinAddress(r.Host, token), i.ExpiresAt})
}

func (p pages) invite(w http.ResponseWriter, r *http.Request) error {
	form := formOf(r)
	if form.Email == "" {
		form.Problem = "Give the e-mail address that they sign in with."
	} else {
		invitation, token, err := p.store.Welcome(r.Context(), store.Annotator{Name: form.Name, Email: form.Email, Role: form.Role, TimeZone: form.TimeZone}, actor(r), store.JoinLasts)
		if err == nil {
			return p.showLink(w, r, invitation, token)
		}
		if form.Problem = wrong(err); form.Problem == "" {
			return err
		}
	}
	return p.api.Render(w, r, http.StatusUnprocessableEntity, p.Pages["person_new.html"], "Invite somebody", form)
}

// personPage is all that an admin sees of a person.
type personPage struct {
	store.Person
	Form  personForm
	Self  bool // it is who asks
	Log   []auditLine
	Saved bool
}

func (p pages) person(w http.ResponseWriter, r *http.Request) error {
	return p.showPerson(w, r, http.StatusOK, nil)
}

// showPerson shows a person, with a form that was refused where there is one.
func (p pages) showPerson(w http.ResponseWriter, r *http.Request, status int, form *personForm) error {
	ctx := r.Context()
	found, err := p.store.Person(ctx, chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	page := personPage{Person: found, Self: web.Caller(ctx).Annotator == found.ID, Saved: r.URL.Query().Get("saved") != "",
		Form: personForm{Name: found.Name, Email: found.Email, TimeZone: found.TimeZone, Role: found.Role}}
	if form != nil {
		page.Form = *form
	}
	entries, err := p.store.AuditLog(ctx, found.ID, store.Page{Limit: 10})
	if err != nil {
		return err
	}
	if page.Log, err = auditLines(ctx, p.store, entries); err != nil {
		return err
	}
	title := found.Name
	if title == "" {
		title = "Somebody who was erased"
	}
	return p.api.Render(w, r, status, p.Pages["person.html"], title, page)
}

// change makes a change and leads back to the person; what was refused comes back as it was entered.
func (p pages) change(w http.ResponseWriter, r *http.Request, change store.AnnotatorChange, form personForm) error {
	id := chi.URLParam(r, "id")
	_, err := p.store.ChangeAnnotator(r.Context(), id, change, actor(r))
	if err == nil {
		return see(w, r, "/people/"+id+"?saved=1")
	}
	if form.Problem = wrong(err); form.Problem == "" {
		return err
	}
	return p.showPerson(w, r, http.StatusUnprocessableEntity, &form)
}

func (p pages) changePerson(w http.ResponseWriter, r *http.Request) error {
	form := formOf(r)
	return p.change(w, r, store.AnnotatorChange{Name: &form.Name, Email: &form.Email, TimeZone: &form.TimeZone, Role: &form.Role}, form)
}

func (p pages) disablePerson(w http.ResponseWriter, r *http.Request) error {
	person, err := p.store.Person(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	return p.change(w, r, store.AnnotatorChange{Disabled: new(r.PostFormValue("disabled") == "true")},
		personForm{Name: person.Name, Email: person.Email, TimeZone: person.TimeZone, Role: person.Role})
}

func (p pages) linkPerson(w http.ResponseWriter, r *http.Request) error {
	invitation, token, err := link(r.Context(), p.store, chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	return p.showLink(w, r, invitation, token)
}

func (p pages) signOutPerson(w http.ResponseWriter, r *http.Request) error {
	person, err := p.store.Person(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	if err := p.store.EndSessions(r.Context(), person.ID, actor(r)); err != nil {
		return err
	}
	return see(w, r, "/people/"+person.ID+"?saved=1")
}

// erasePage asks before somebody is erased.
type erasePage struct {
	store.Person
	Problem string
}

func (p pages) askToErase(w http.ResponseWriter, r *http.Request) error {
	return p.showErase(w, r, http.StatusOK, "")
}

func (p pages) showErase(w http.ResponseWriter, r *http.Request, status int, problem string) error {
	person, err := p.store.Person(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	return p.api.Render(w, r, status, p.Pages["person_erase.html"], "Erase "+person.Name, erasePage{person, problem})
}

func (p pages) erasePerson(w http.ResponseWriter, r *http.Request) error {
	id := chi.URLParam(r, "id")
	if r.PostFormValue("sure") == "" {
		return p.showErase(w, r, http.StatusUnprocessableEntity, "Say that you are sure: nobody can undo this.")
	}
	err := p.store.EraseAnnotator(r.Context(), id, actor(r))
	if problem := wrong(err); problem != "" {
		return p.showErase(w, r, http.StatusUnprocessableEntity, problem)
	}
	if err != nil {
		return err
	}
	return see(w, r, "/people/"+id)
}

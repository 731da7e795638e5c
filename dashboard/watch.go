package dashboard

import (
	"embed"
	"net/http"
	"strconv"

	"tandem/internal/web"
)

//go:embed _figure.html _watch.html rounds.html round.html runs.html run.html models.html model.html answers.html round_cancel.html
var watchFiles embed.FS

// watchStore is what the pages of rounds, runs and models show.
type watchStore interface {
	roundStore
	roundCancelStore
	runStore
	modelStore
	answerStore
}

// watchPages are what engineers see of the loop. Every one works without JavaScript; a run's follows it live with.
type watchPages struct {
	api   web.API
	store watchStore
	web.Pages
}

func registerWatch(api web.API, s watchStore) error {
	parsed, err := web.ParsePages(watchFiles)
	if err != nil {
		return err
	}
	p := watchPages{api, s, parsed}
	api.AddLink("/rounds", "Rounds", mayRead())
	api.AddLink("/runs", "Runs", mayRead())
	api.AddLink("/models", "Models", mayRead())
	api.Page(http.MethodGet, "/rounds", mayRead(), p.rounds)
	api.Page(http.MethodGet, "/rounds/{number}", mayRead(), p.round)
	api.Page(http.MethodGet, "/rounds/{number}/cancel", mayRead(), p.askToCancel)
	api.Page(http.MethodPost, "/rounds/{number}/cancel", mayRead(), p.cancelRound)
	api.Page(http.MethodGet, "/runs", mayRead(), p.runs)
	api.Page(http.MethodGet, "/runs/{id}", mayRead(), p.run)
	api.Page(http.MethodGet, "/runs/{id}/events", mayRead(), p.runEvents)
	api.Page(http.MethodGet, "/models", mayRead(), p.models)
	api.Page(http.MethodGet, "/models/{id}", mayRead(), p.model)
	api.Page(http.MethodGet, "/models/{id}/answers", mayRead(), p.answers)
	return nil
}

// phrases are how these pages put things.
type phrases struct{}

// Words are a stage's name.
func (phrases) Words(name string) string { return words(name) }

// Count is a number of things with their name in the right form.
func (phrases) Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

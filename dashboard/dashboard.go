package dashboard

import (
	"tandem/internal/web"
	"tandem/store"
)

// Store is what this package reads; a *store.Store is one. Each file says what it needs of it.
type Store interface {
	modelStore
	roundStore
	roundCancelStore
	runStore
	personStore
	keyStore
	auditStore
	accountStore
	answerStore
	annotationStore
}

// Register adds the operations and the pages of the dashboard to an API.
func Register(api web.API, s Store) error {
	registerModels(api, s)
	registerRounds(api, s)
	registerRuns(api, s)
	registerPeople(api, s)
	registerKeys(api, s)
	registerAudit(api, s)
	if err := registerAnnotation(api, s); err != nil {
		return err
	}
	if err := registerWatch(api, s); err != nil {
		return err
	}
	return registerAdmin(api, s)
}

// mayRead are the scopes of everything here.
func mayRead() web.Scopes { return web.Scopes{store.ScopeRead, store.ScopeAdmin} }

package dashboard

import (
	"tandem/internal/web"
	"tandem/store"
)

// Store is what this package reads; a *store.Store is one. Each file says what it needs of it.
type Store interface {
	modelStore
	roundStore
	runStore
}

// Register adds the operations of the dashboard to an API.
func Register(api web.API, s Store) {
	registerModels(api, s)
	registerRounds(api, s)
	registerRuns(api, s)
}

// mayRead are the scopes of everything here.
func mayRead() web.Scopes { return web.Scopes{store.ScopeRead, store.ScopeAdmin} }

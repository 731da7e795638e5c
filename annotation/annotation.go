package annotation

import (
	"tandem/internal/web"
)

// Store is what this package needs kept; a *store.Store is one. Each file says what it needs of it.
type Store interface {
	projectStore
	promptStore
	taskStore
	claimStore
	remarkStore
	draftStore
	judgmentStore
	goldStore
	batchStore
	reviewStore
	activityStore
	workplaceStore
	pageStore
}

// Register adds the operations and the pages of collection to an API.
func Register(api web.API, s Store) error {
	registerProjects(api, s)
	registerPrompts(api, s)
	registerTasks(api, s)
	registerClaims(api, s)
	registerRemarks(api, s)
	registerDrafts(api, s)
	registerJudgments(api, s)
	registerGold(api, s)
	registerBatches(api, s)
	registerReview(api, s)
	registerActivity(api, s)
	registerWorkplaces(api, s)
	return registerPages(api, s)
}

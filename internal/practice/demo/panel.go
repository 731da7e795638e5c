package demo

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"tandem/annotation"
	"tandem/internal/practice/annotator"
	"tandem/internal/practice/gold"
	"tandem/store"
)

// panel is the simulated annotators, each with a key of their own to the server's API. It is the loop's
// pipeline.Annotators.
type panel struct {
	url    string
	people []*annotator.Annotator
	keys   []string
}

// newPanel signs up n annotators.
func newPanel(ctx context.Context, s *store.Store, oracle *gold.Oracle, url string, seed uint64, n int) (*panel, error) {
	p := &panel{url: url}
	for i := range n {
		person, err := annotator.New(annotator.DefaultConfig(seed), uint64(i), oracle)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("simulated %d", i+1)
		row, err := s.AddAnnotator(ctx, store.Annotator{Name: name, Simulated: true})
		if err != nil {
			return nil, err
		}
		_, secret, err := s.CreateKey(ctx, store.Key{Name: name, Scopes: []store.Scope{store.ScopeAnnotate}, Annotator: row.ID})
		if err != nil {
			return nil, err
		}
		p.people, p.keys = append(p.people, person), append(p.keys, secret)
	}
	return p, nil
}

// Annotate has everyone work at once until no task of the project is left.
func (p *panel) Annotate(ctx context.Context, project string) error {
	group, ctx := errgroup.WithContext(ctx)
	for i, person := range p.people {
		client := &annotation.Client{URL: p.url, Key: p.keys[i], Retries: 3}
		driver := annotator.Driver{Annotator: person, Client: annotator.Project{API: client, ID: project}}
		group.Go(func() error {
			_, err := driver.Run(ctx)
			return err
		})
	}
	return group.Wait()
}

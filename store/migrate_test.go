package store_test

import (
	"os"
	"testing"

	"tandem/internal/pgtest"
	"tandem/store"
)

var postgres pgtest.Server

func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }

func TestMigrateTwiceAndAtOnce(t *testing.T) {
	db := postgres.Empty(t)
	results := make(chan error)
	for range 4 {
		go func() { results <- store.Migrate(t.Context(), db.OwnerURL) }()
	}
	for range 4 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if err := pgtest.OpenStore(t, db.URL).Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
}

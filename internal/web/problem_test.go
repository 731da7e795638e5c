package web

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"tandem"
)

func TestProblemOf(t *testing.T) {
	tests := []struct {
		err    error
		status int
		code   string
		detail string
	}{
		{tandem.Errorf(tandem.NotFound, "store.Project", "there is no project 7"), 404, "not_found", "there is no project 7"},
		{tandem.Errorf(tandem.Conflict, "op", "judgments exists already: %w", errors.New("SQLSTATE 23505")), 409, "conflict", "judgments exists already"},
		{tandem.Errorf(tandem.Invalid, "op", "prompt 3: %w", tandem.Errorf(tandem.Invalid, "inner", "it has no turns")), 422, "invalid", "prompt 3: it has no turns"},
		{tandem.Errorf(tandem.Stale, "op", "the lease is lost"), 412, "stale", "the lease is lost"},
		{fmt.Errorf("claim: %w", tandem.Errorf(tandem.Forbidden, "op", "the annotator is disabled")), 403, "forbidden", "the annotator is disabled"},
		{tandem.Errorf(tandem.Unavailable, "op", "postgres at 10.0.0.7 is away"), 503, "unavailable", "The server cannot do this now; try again."},
		{tandem.Errorf(tandem.Corrupt, "op", "row 7 of judgments"), 500, "corrupt", "Something is wrong with the server; its log says more."},
		{errors.New("password=hunter2"), 500, "internal", "Something is wrong with the server; its log says more."},
	}
	for _, test := range tests {
		p := ProblemOf(test.err)
		if p.Status != test.status || p.Code != test.code || p.Detail != test.detail || p.Title != http.StatusText(test.status) {
			t.Errorf("%v: got %+v", test.err, p)
		}
	}
}

func TestListOf(t *testing.T) {
	id := func(s string) string { return s }
	if l := ListOf([]string{"a", "b"}, 2, id); l.Next != "b" {
		t.Errorf("a full page: %+v", l)
	}
	if l := ListOf([]string{"a"}, 2, id); l.Next != "" {
		t.Errorf("the last page: %+v", l)
	}
	if l := ListOf(nil, 2, id); l.Items == nil || l.Next != "" {
		t.Errorf("no items: %+v", l)
	}
}

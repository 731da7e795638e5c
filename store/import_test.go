package store_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"tandem"
	"tandem/internal/pgtest"
	"tandem/store"
)

func collect[T any](t *testing.T, seq iter.Seq2[T, error]) []T {
	t.Helper()
	var all []T
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// pair is a comparison whose opening is shared by every third one.
func pair(i int) tandem.Comparison {
	margin := float64(i)
	return tandem.Comparison{
		Aspect: tandem.Helpfulness,
		Prompt: tandem.Prompt{Messages: tandem.Dialogue{
			{Role: tandem.System, Content: "Be brief."},
			{Role: tandem.User, Content: fmt.Sprintf("  How does  number %d feel? ", i/3)},
			{Role: tandem.Assistant, Content: "It is a number."},
			{Role: tandem.User, Content: fmt.Sprintf("And %d?", i)},
		}},
		Chosen:   tandem.Response{Content: "Glad – ☺", Model: "their-7b"},
		Rejected: tandem.Response{Content: "Sad\n\ttab", Model: "their-7b"},
		Degree:   tandem.Degrees()[i%4],
		Margin:   &margin,
		Source:   "test",
	}
}

func file(name string, comparisons ...tandem.Comparison) store.ImportSource {
	return store.ImportSource{
		File: name, Format: "trl", Aspects: "helpfulness",
		Comparisons: func(yield func(tandem.Comparison, error) bool) {
			for _, c := range comparisons {
				if !yield(c, nil) {
					return
				}
			}
		},
		End: func() ([sha256.Size]byte, map[string]int) {
			return sha256.Sum256([]byte(name)), map[string]int{"prompts_differ": 2}
		},
	}
}

func pairs(n int) []tandem.Comparison {
	out := make([]tandem.Comparison, n)
	for i := range out {
		out[i] = pair(i)
	}
	return out
}

func TestImportKeepsWhatWasSaid(t *testing.T) {
	s := postgres.Store(t)
	want := pairs(30)
	got, err := s.ImportComparisons(t.Context(), file("a.jsonl", append(want, want[3])...))
	if err != nil {
		t.Fatal(err)
	}
	if got.Records != 31 || got.Added != 30 || got.Duplicates != 1 || got.Skipped["prompts_differ"] != 2 || got.Repeated || got.File != "a.jsonl" {
		t.Errorf("import %+v", got)
	}
	kept := collect(t, s.Comparisons(t.Context(), store.ComparisonQuery{}))
	if len(kept) != len(want) {
		t.Fatalf("%d comparisons, want %d", len(kept), len(want))
	}
	for i, c := range kept {
		w := want[i]
		if !slices.Equal(c.Prompt.Messages, w.Prompt.Messages) || c.Chosen.Content != w.Chosen.Content || c.Rejected.Content != w.Rejected.Content ||
			c.Chosen.Model != "their-7b" || c.Degree != w.Degree || *c.Margin != *w.Margin || c.Source != w.Source || c.Aspect != w.Aspect {
			t.Errorf("comparison %d is %+v, want %+v", i, c, w)
		}
		if held := tandem.HeldOut(w.Prompt.Messages.Opening(), tandem.HeldOutShare); c.HeldOut != held || c.Prompt.HeldOut != held {
			t.Errorf("comparison %d is held out: %v, want %v", i, c.HeldOut, held)
		}
	}

	// The same file again, and another file with the same and one more.
	again, err := s.ImportComparisons(t.Context(), file("a.jsonl", want...))
	if err != nil || !again.Repeated || again.ID != got.ID || again.Added != 30 {
		t.Errorf("again: %+v, %v", again, err)
	}
	more, err := s.ImportComparisons(t.Context(), file("b.jsonl", pairs(31)...))
	if err != nil || more.Repeated || more.Added != 1 || more.Duplicates != 30 {
		t.Errorf("more: %+v, %v", more, err)
	}
	if n, err := s.CountComparisons(t.Context(), store.ComparisonQuery{}); err != nil || n != 31 {
		t.Errorf("%d comparisons, %v", n, err)
	}
}

func TestImportIsAllOrNothing(t *testing.T) {
	db := postgres.Database(t)
	s := pgtest.OpenStore(t, db.URL)
	malformed := tandem.Errorf(tandem.Invalid, "dataset.Import", "bad.jsonl:8: not JSON")
	equal, system, nul := pair(9), pair(9), pair(9)
	equal.Rejected.Content = equal.Chosen.Content
	system.Prompt.Messages = tandem.Dialogue{{Role: tandem.User, Content: "a"}, {Role: tandem.Assistant, Content: "b"}}
	nul.Chosen.Content = "a\x00b"
	unknown := pair(9)
	unknown.Prompt.Risk = "unheard of"
	for name, c := range map[string]struct {
		comparison tandem.Comparison
		err        error
		says       string
	}{
		"malformed":      {err: malformed, says: "bad.jsonl:8"},
		"equal":          {comparison: equal, says: "record 8"},
		"no user at end": {comparison: system, says: "record 8"},
		"NUL":            {comparison: nul, says: "record 8"},
		"unknown risk":   {comparison: unknown, says: "record 8: tandem.Prompt: risk_category"},
	} {
		source := file(name, pairs(7)...)
		good := source.Comparisons
		source.Comparisons = func(yield func(tandem.Comparison, error) bool) {
			for v, err := range good {
				if !yield(v, err) {
					return
				}
			}
			yield(c.comparison, c.err)
		}
		_, err := s.ImportComparisons(t.Context(), source)
		wantCode(t, name, err, tandem.Invalid)
		if err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q does not name %q", name, err, c.says)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	source := file("cancelled", pairs(7)...)
	source.End = func() (sum [sha256.Size]byte, _ map[string]int) { cancel(); return sum, nil }
	if _, err := s.ImportComparisons(ctx, source); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	conn := connect(t, db.URL)
	for _, table := range []string{"imports", "imported_comparisons", "prompts", "messages", "responses", "openings"} {
		var n int
		if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s holds %d rows of files that failed, %v", table, n, err)
		}
	}
}

// The same file from several processes at once is imported once.
func TestImportAtOnce(t *testing.T) {
	s := postgres.Store(t)
	const processes = 4
	imports := make(chan store.Import)
	for range processes {
		go func() {
			i, err := s.ImportComparisons(t.Context(), file("a", pairs(50)...))
			if err != nil {
				t.Error(err)
			}
			imports <- i
		}()
	}
	fresh := 0
	for range processes {
		if i := <-imports; !i.Repeated {
			fresh++
		} else if i.Added != 50 {
			t.Errorf("repeated %+v", i)
		}
	}
	if n, err := s.CountComparisons(t.Context(), store.ComparisonQuery{}); fresh != 1 || n != 50 || err != nil {
		t.Errorf("%d imports added %d comparisons, %v", fresh, n, err)
	}
}

// No opening stands on both sides, and what begins alike shares a side whatever comes after.
func TestSplitByOpening(t *testing.T) {
	db := postgres.Database(t)
	s := pgtest.OpenStore(t, db.URL)
	if _, err := s.ImportComparisons(t.Context(), file("a", pairs(300)...)); err != nil {
		t.Fatal(err)
	}
	// The same openings in other spelling and with other continuations.
	var prompts []tandem.Prompt
	for i := range 100 {
		prompts = append(prompts, tandem.Prompt{Safety: i%2 == 0, Messages: tandem.Dialogue{{Role: tandem.User, Content: fmt.Sprintf("HOW does\nnumber %d feel?", i)}}})
	}
	added, err := s.AddPrompts(t.Context(), prompts)
	if err != nil {
		t.Fatal(err)
	}
	side := map[string]bool{}
	for _, p := range added {
		side[p.Messages.Opening()] = p.HeldOut
	}
	heldOut := 0
	for _, q := range []store.ComparisonQuery{{Split: store.TrainData}, {Split: store.HeldOutData}} {
		for _, c := range collect(t, s.Comparisons(t.Context(), q)) {
			if c.HeldOut != (q.Split == store.HeldOutData) {
				t.Fatalf("%s gave a comparison of the other side", q.Split)
			}
			if held, ok := side[c.Prompt.Messages.Opening()]; !ok || held != c.HeldOut {
				t.Errorf("%q stands on both sides", c.Prompt.Messages.Opening())
			}
			if c.HeldOut {
				heldOut++
			}
		}
	}
	if heldOut < 30 || heldOut > 90 { // 60 of 300 expected, in steps of 3
		t.Errorf("%d of 300 held out", heldOut)
	}
	var both int
	if err := connect(t, db.URL).QueryRow(t.Context(), `SELECT count(*) FROM (SELECT opening FROM prompts GROUP BY opening HAVING count(DISTINCT held_out) > 1) x`).Scan(&both); err != nil || both != 0 {
		t.Errorf("%d openings stand on both sides, %v", both, err)
	}
	safety := true
	for _, q := range []store.PromptQuery{{Split: store.HeldOutData}, {Safety: &safety}, {Page: store.Page{After: added[10].ID, Limit: 7}}} {
		for _, p := range must(s.Prompts(t.Context(), q))(t) {
			if (q.Split == store.HeldOutData && !p.HeldOut) || (q.Safety != nil && !p.Safety) {
				t.Errorf("%+v gave %+v", q, p)
			}
		}
	}
}

func TestSnapshotIsFrozen(t *testing.T) {
	s := postgres.Store(t)
	if _, err := s.ImportComparisons(t.Context(), file("a", pairs(20)...)); err != nil {
		t.Fatal(err)
	}
	first := must(s.CreateSnapshot(t.Context(), "first", store.ComparisonQuery{}))(t)
	if first.Comparisons != 20 {
		t.Errorf("snapshot %+v", first)
	}
	if _, err := s.ImportComparisons(t.Context(), file("b", pairs(25)...)); err != nil {
		t.Fatal(err)
	}
	if n := len(collect(t, s.Comparisons(t.Context(), store.ComparisonQuery{Snapshot: first.ID}))); n != 20 {
		t.Errorf("the snapshot has grown to %d", n)
	}
	second := must(s.CreateSnapshot(t.Context(), "second", store.ComparisonQuery{Snapshot: first.ID}))(t)
	if second.Hash != first.Hash {
		t.Error("the same comparisons have two hashes")
	}
	if all := must(s.CreateSnapshot(t.Context(), "all", store.ComparisonQuery{}))(t); all.Hash == first.Hash || all.Comparisons != 25 {
		t.Errorf("snapshot %+v", all)
	}
	_, err := s.CreateSnapshot(t.Context(), "first", store.ComparisonQuery{})
	wantCode(t, "a name that is taken", err, tandem.Conflict)
	_, err = s.CreateSnapshot(t.Context(), "none", store.ComparisonQuery{Aspect: tandem.Safety})
	wantCode(t, "an empty snapshot", err, tandem.Invalid)
	if list := must(s.Snapshots(t.Context()))(t); len(list) != 3 || list[0].Name != "all" {
		t.Errorf("snapshots %+v", list)
	}

	// The same data has the same hash in another database, however it came there.
	elsewhere := postgres.Store(t)
	backwards := pairs(20)
	slices.Reverse(backwards)
	if _, err := elsewhere.ImportComparisons(t.Context(), file("c", backwards...)); err != nil {
		t.Fatal(err)
	}
	if got := must(elsewhere.CreateSnapshot(t.Context(), "x", store.ComparisonQuery{}))(t); got.Hash != first.Hash {
		t.Error("the same data has another hash elsewhere")
	}
}

// must fails the test on an error: must(f())(t).
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

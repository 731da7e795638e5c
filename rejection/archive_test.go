package rejection_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tandem"
	"tandem/rejection"
)

// scored is a target whose prompt, answer and score are told as "prompt:answer:score"; a prompt in capitals is a safety
// prompt, a score that ends with g is gated.
func scored(t *testing.T, texts ...string) (all []rejection.Scored) {
	t.Helper()
	for _, text := range texts {
		part := strings.Split(text, ":")
		var s rejection.Scored
		s.Messages = tandem.Dialogue{{Role: tandem.User, Content: strings.ToLower(part[0])}, {Role: tandem.Assistant, Content: part[1], Train: true}}
		s.Safety = part[0] != strings.ToLower(part[0])
		value, gated := strings.CutSuffix(part[2], "g")
		if _, err := fmt.Sscan(value, &s.Score.Combined); err != nil {
			t.Fatal(err)
		}
		s.Score.Gated = gated
		all = append(all, s)
	}
	return all
}

func TestArchive(t *testing.T) {
	rounds := func() [][]rejection.Scored {
		return [][]rejection.Scored{
			scored(t, "a:a1:5", "b:b1:1", "c:c1:9g", "d:same:4"),
			scored(t, "a:a2:3", "c:c2:1", "A:unsafe:9", "d:same:4"),
			scored(t, "a:a3:4", "b:b3:1", "e:e3:0"),
		}
	}
	for _, c := range []struct {
		archive rejection.Archive
		want    string
		from    []int
	}{
		{rejection.DefaultArchive(), "a1 b1 c1 same a2 c2 unsafe same a3 b3 e3", []int{4, 4, 3}},
		{rejection.Archive{Policy: rejection.NewestRound}, "a3 b3 e3", []int{0, 0, 3}},
		// a1 is the best answer to a, c1 is gated, a safety prompt is another prompt, and b is a tie, which the newest wins.
		{rejection.Archive{Policy: rejection.BestOfRounds}, "a1 c2 unsafe same b3 e3", []int{1, 3, 2}},
		// Half of round 1 is a1 and d's, which round 2 says too; of round 2 the unsafe one and d's.
		{rejection.Archive{Policy: rejection.ShareOfRounds, Share: 0.5}, "a1 unsafe same a3 b3 e3", []int{1, 2, 3}},
		{rejection.Archive{Policy: rejection.ShareOfRounds, Share: 1}, "a1 b1 c1 a2 c2 unsafe same a3 b3 e3", []int{3, 4, 3}},
	} {
		kept, from, err := c.archive.Select(rounds())
		if err != nil {
			t.Fatal(err)
		}
		var answers []string
		for _, k := range kept {
			if err := k.Validate(); err != nil || !k.Messages[1].Train || k.Safety != (k.Messages[1].Content == "unsafe") {
				t.Errorf("%+v, %v", k, err)
			}
			answers = append(answers, k.Messages[1].Content)
		}
		if got := strings.Join(answers, " "); got != c.want || !slices.Equal(from, c.from) {
			t.Errorf("%+v keeps %q of rounds %v, want %q of %v", c.archive, got, from, c.want, c.from)
		}
	}
	for _, a := range []rejection.Archive{{}, {Policy: "some"}, {Policy: rejection.ShareOfRounds}, {Policy: rejection.ShareOfRounds, Share: 1.5}} {
		if _, _, err := a.Select(rounds()); tandem.CodeOf(err) != tandem.Invalid {
			t.Errorf("%+v: %v", a, err)
		}
	}
}

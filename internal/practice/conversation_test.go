package practice

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"tandem"
)

// Every constraint is kept by the answers that its own writer makes, and by those that no writer of another's makes.
func TestConstraintsAreToldApart(t *testing.T) {
	w, err := New(DefaultConfig(1))
	if err != nil {
		t.Fatal(err)
	}
	all := Constraints()
	kept := func(c Constraint, answer string) bool {
		return regexp.MustCompile(c.Keep).MatchString(answer) && (c.Avoid == "" || !regexp.MustCompile(c.Avoid).MatchString(answer))
	}
	for i := range uint64(300) {
		d := w.Talk(i)
		for n := 0; n < len(d); n += 2 {
			for _, c := range all {
				asked := strings.Contains(d[n].Content, c.Text) || strings.Contains(d[n].Content, c.Short) || strings.Contains(d[n].Content, c.once)
				if got := kept(c, d[n+1].Content); got != asked {
					t.Errorf("%q answered by %q: %s kept is %v", d[n].Content, d[n+1].Content, c.Text, got)
				}
			}
		}
	}
}

// People show instructions for good in single messages, and instructions for one answer over several turns.
func TestTalk(t *testing.T) {
	w, err := New(DefaultConfig(1))
	if err != nil {
		t.Fatal(err)
	}
	single := 0
	for i := range uint64(1000) {
		d := w.Talk(i)
		if err := d.Validate(); err != nil {
			t.Fatal(err)
		}
		if tandem.HeldOut(d.Opening(), tandem.HeldOutShare) {
			t.Fatalf("%q is held out", d.Opening())
		}
		if !slices.Equal(d, w.Talk(i)) {
			t.Fatalf("demonstration %d differs when it is written again", i)
		}
		if len(d) == 2 {
			single++
			continue
		}
		for _, m := range d {
			if strings.Contains(m.Content, "Always") || strings.Contains(m.Content, "Figure:") {
				t.Fatalf("an instruction for good in a dialogue of several turns: %q", m.Content)
			}
		}
	}
	if single < 400 || single > 600 {
		t.Errorf("%d of 1000 have one turn", single)
	}
}

func TestConversation(t *testing.T) {
	w, err := New(DefaultConfig(1))
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(100) {
		for _, split := range []Split{Train, HeldOut} {
			said := w.Conversation(split, i, 6)
			if len(said) != 6 || tandem.HeldOut(tandem.Dialogue{{Role: tandem.User, Content: said[0]}}.Opening(), tandem.HeldOutShare) != bool(split) {
				t.Fatalf("conversation %d: %q", i, said)
			}
		}
	}
}

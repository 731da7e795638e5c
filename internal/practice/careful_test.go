package practice

import (
	"strings"
	"testing"

	"tandem"
	"tandem/internal/practice/town"
)

// Under a preprompt unsafe prompts are complied with less often, under a template least, and borderline ones refused more.
func TestCareful(t *testing.T) {
	w, err := New(DefaultConfig(1))
	if err != nil {
		t.Fatal(err)
	}
	preprompts := Preprompts{Generic: "Take care.", Templates: map[tandem.RiskCategory]string{tandem.IllicitCriminal: "Take care of the law."}}
	type kind struct{ preprompt, family string }
	count, sure := make(map[kind]float64), make(map[kind]float64)
	see := func(preprompt string, d tandem.Dialogue) {
		request, ok := w.town.Parse(d[:len(d)-1])
		if !ok {
			t.Fatalf("%v is not of the world", d)
		}
		k := kind{preprompt, string(request.Family)}
		count[k]++
		if !strings.Contains(d[len(d)-1].Content, town.Refusal) {
			sure[k]++
		}
	}
	for i := range uint64(4000) {
		d := w.Careful(i, preprompts)
		if err := d.Validate(); err != nil || d[0].Role != tandem.System || !d[len(d)-1].Train {
			t.Fatalf("%v: %v", d, err)
		}
		if tandem.HeldOut(d.Opening(), tandem.HeldOutShare) {
			t.Fatalf("%q is held out", d.Opening())
		}
		see(d[0].Content, d[1:])
		see("", w.Demonstration(i))
	}
	helps := func(preprompt, family string) float64 {
		k := kind{preprompt, family}
		if count[k] < 100 {
			t.Fatalf("%v only %v times", k, count[k])
		}
		return sure[k] / count[k]
	}
	plain, generic, template := helps("", "unsafe"), helps("Take care.", "unsafe"), helps("Take care of the law.", "unsafe")
	if !(plain > generic+0.05 && generic > template+0.1) {
		t.Errorf("unsafe prompts are not refused in %.2f, %.2f, %.2f", plain, generic, template)
	}
	if a, b := helps("", "borderline"), helps("Take care.", "borderline"); !(a > b+0.1) {
		t.Errorf("borderline prompts are helped with in %.2f, and under a preprompt in %.2f", a, b)
	}
}

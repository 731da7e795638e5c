package annotation_test

import (
	"testing"
	"time"

	"tandem"
	"tandem/annotation"
)

// The hours of who works on a page reach the server: what there is when they leave, and what could not be sent then
// once there is a network again.
func TestActivityIsReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.talks(annotation.Project{Name: "Everyday help", Aspect: tandem.Helpfulness}, sourdough)
	ada := w.seat("Ada Lovelace")
	worked := func() (active time.Duration) {
		now := time.Now()
		days, err := w.store.Hours(t.Context(), now.AddDate(0, 0, -1), now.AddDate(0, 0, 1))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range days {
			if d.Name != "Ada Lovelace" {
				t.Errorf("%s worked", d.Name)
			}
			active += d.Active
		}
		return active
	}
	reaches := func(least time.Duration) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); worked() < least; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%v were reported, want %v", worked(), least)
			}
		}
	}
	ada.start(project)
	ada.Click("[name=position][value='3']")
	ada.Wait("document.querySelector('[name=seconds]').value >= 2")
	if got := worked(); got != 0 {
		t.Errorf("%v were reported within the minute", got)
	}
	ada.Open(w.url + "/history")
	reaches(time.Second)

	before := worked()
	ada.start(project)
	ada.Click("[name=position][value='4']")
	ada.Wait("performance.now() > 3000")
	ada.Allow("ERR_INTERNET_DISCONNECTED")
	ada.Offline(true)
	ada.Wait("(dispatchEvent(new Event('pagehide')), true)")
	if got := worked(); got != before {
		t.Errorf("%v were reported without a network", got-before)
	}
	ada.Offline(false)
	ada.Wait("(dispatchEvent(new Event('online')), true)")
	reaches(before + time.Second)
}

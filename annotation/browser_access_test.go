package annotation_test

import (
	"fmt"
	"testing"

	"tandem"
	"tandem/annotation"
	"tandem/internal/browsertest"
)

// unseen names what has the focus where no ring shows it, or something lies above it; "" where it is well, and
// "end" where the page has been gone through.
const unseen = `(() => {
	const e = document.activeElement, r = e.getBoundingClientRect();
	if (e === document.body) return "end";
	const ring = [e, e.closest(".choice, .position")].some((x) => {
		const style = x && getComputedStyle(x);
		return style && style.opacity !== "0" && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
	});
	const top = document.elementFromPoint((Math.max(0, r.left) + Math.min(innerWidth, r.right)) / 2, r.top + r.height / 2);
	const above = !top || !(e.contains(top) || top.contains(e) || top.closest("label")?.control === e);
	return ring && !above ? "" : e.outerHTML.slice(0, 100) + (ring ? " is covered" : " has no ring");
})()`

// TestEveryKeyboard works where the focus must be seen, with keyboards of other scripts and with an input method,
// and finds the scale where it was in the task before.
func TestEveryKeyboard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.talks(annotation.Project{Name: "Keyboards", Aspect: tandem.Safety, Guideline: "Be kind."}, lock, bicycle)
	ada := w.seat("Ada")
	ada.start(project)
	first := ada.ready("")

	// A safety task says what may be in it, until one has closed that.
	ada.See("Content warning", "hard to read")
	ada.Click("details.warning summary")
	ada.SeeNot("hard to read")

	for _, height := range []int64{800, 450} {
		ada.Look(browsertest.View{Width: 1280, Height: height})
		browsertest.Eval[any](ada.Tab, "document.querySelector('.skip').focus()")
		stops := 0
		for ; stops < 60; stops++ {
			ada.Press(browsertest.TabKey)
			found := browsertest.Eval[string](ada.Tab, unseen)
			if found == "end" {
				break
			}
			if found != "" {
				t.Errorf("in a window %d pixels high %s", height, found)
			}
		}
		if stops < 12 || stops == 60 {
			t.Errorf("Tab stops %d times", stops)
		}
	}
	ada.Look(browsertest.Desktop)

	key := func(fields string) {
		t.Helper()
		browsertest.Eval[any](ada.Tab, fmt.Sprintf("document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { bubbles: true, cancelable: true, %s })), 0", fields))
	}
	key(`key: "я", code: "KeyZ"`)                   // z where Cyrillic is written
	key(`key: "M", code: "KeyM"`)                   // with Caps Lock
	key(`key: "3", code: "Digit3", shiftKey: true`) // as French keyboards have it
	ada.holds("safe unsafe 3|")
	key(`key: "ч", code: "KeyX", modifierAltGraph: true`) // a third letter on a key
	key(`key: "ö", code: "KeyX"`)                         // a Latin letter is itself
	key(`key: "x", code: "KeyX", isComposing: true`)      // goes to an input method
	key(`key: "Enter", code: "Enter", repeat: true`)      // held down
	ada.holds("safe unsafe 3|")
	ada.Press("c")
	ada.Wait("document.activeElement.id === 'comment'")
	key(`key: "Escape", code: "Escape", isComposing: true`) // ends the composing, not the comment
	key(`key: "Enter", code: "Enter", ctrlKey: true, isComposing: true`)
	ada.Write("3ж")
	ada.holds("safe unsafe 3|3ж")
	if n := len(ada.judged()); n != 0 {
		t.Fatalf("%d judgments before any was submitted", n)
	}
	ada.Press(browsertest.Escape)
	ada.Wait("document.activeElement.id !== 'comment'")

	const place = "document.querySelector('[name=position]').getBoundingClientRect().top"
	before := browsertest.Eval[float64](ada.Tab, place)
	ada.Press(browsertest.Enter)
	ada.ready(first)
	if after := browsertest.Eval[float64](ada.Tab, place); after != before {
		t.Errorf("the scale moved from %v to %v", before, after)
	}
	ada.See("Content warning")
	ada.SeeNot("hard to read") // still closed
}

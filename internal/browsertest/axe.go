package browsertest

import (
	_ "embed" // axe-core
	"fmt"
	"strings"
)

//go:embed testdata/axe.min.js
var axe string

// violation is a rule of axe-core's that a page breaks.
type violation struct {
	ID    string `json:"id"`
	Help  string `json:"help"`
	Nodes []struct {
		HTML    string `json:"html"`
		Summary string `json:"failureSummary"`
	} `json:"nodes"`
}

// Accessible fails where axe-core finds anything on the page, in light or in dark, or where the page scrolls
// sideways as it is looked at now. axe-core comes through the DevTools protocol, so the page's policy stays as
// strict as it is.
func (tab *Tab) Accessible() {
	tab.t.Helper()
	if !Eval[bool](tab, "typeof axe === 'object'") {
		Eval[any](tab, axe+";0")
	}
	tab.judge("", "{}")
	other := tab.view
	other.Dark = !other.Dark
	before := tab.view
	tab.Look(other) // where nothing but the colours differs
	tab.judge(" in other colours", `{ runOnly: ["color-contrast", "link-in-text-block"] }`)
	tab.Look(before)
	tab.Fits()
}

func (tab *Tab) judge(how, options string) {
	tab.t.Helper()
	for _, v := range Eval[[]violation](tab, "axe.run(document, "+options+").then((found) => found.violations)") {
		var places strings.Builder
		for _, n := range v.Nodes {
			fmt.Fprintf(&places, "\n  %s\n  %s", n.HTML, strings.ReplaceAll(n.Summary, "\n", "\n  "))
		}
		tab.t.Errorf("axe-core on %s%s: %s (%s)%s", tab.At(), how, v.Help, v.ID, places.String())
	}
}

// Fits fails where the page is wider than the window, or something lies to the left of it.
func (tab *Tab) Fits() {
	tab.t.Helper()
	if wide := Eval[string](tab, `(() => {
		const room = document.documentElement.clientWidth;
		const all = [...document.querySelectorAll("body *")], left = (e) => e.getBoundingClientRect().left < -0.5 && e.checkVisibility();
		if (document.documentElement.scrollWidth <= room && !all.some(left)) return "";
		const out = all.filter((e) => left(e) || e.getBoundingClientRect().right > room + 0.5 && !e.closest(".scroll, pre"));
		return document.documentElement.scrollWidth + " of " + room + ": " + out.slice(0, 3).map((e) => e.outerHTML.slice(0, 120)).join("\n");
	})()`); wide != "" {
		tab.t.Errorf("%s scrolls sideways at %d pixels: %s", tab.At(), tab.view.Width, wide)
	}
}

package browsertest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Keys that are no characters, for [Tab.Press].
const (
	Enter  = kb.Enter
	Escape = kb.Escape
	TabKey = kb.Tab
	Space  = " "
	Down   = kb.ArrowDown
	Right  = kb.ArrowRight
	End    = kb.End
)

// Modifier is a key that is held down with others.
type Modifier = chromedp.Modifier

// What may be held down with a key.
const (
	Alt  = chromedp.ModifierAlt
	Ctrl = chromedp.ModifierCtrl
	Meta = chromedp.ModifierMeta
)

// Eval is the value of a JavaScript expression on the page; of a promise, what it comes to.
func Eval[T any](tab *Tab, expression string) T {
	tab.t.Helper()
	value, err := try[T](tab, expression)
	if err != nil {
		tab.t.Fatalf("%s: %v", short(expression), err)
	}
	return value
}

func try[T any](tab *Tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

func short(expression string) string {
	if len(expression) > 200 {
		return expression[:200] + "…"
	}
	return expression
}

// Wait waits until a JavaScript condition holds, on this page or on one that comes. It asks from outside, so
// that it works without the page's scripts too.
func (tab *Tab) Wait(condition string) {
	tab.t.Helper()
	var last error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(15 * time.Millisecond) {
		holds, err := try[bool](tab, "Boolean("+condition+")") // fails while one page makes way for another
		if err == nil && holds {
			return
		}
		last = err
	}
	text, _ := try[string](tab, "location.href + '\\n' + document.body.innerText")
	tab.t.Fatalf("waited in vain for %s (%v) on\n%s", condition, last, text)
}

// See waits until the page shows a text, in what can be seen of it.
func (tab *Tab) See(texts ...string) {
	tab.t.Helper()
	for _, text := range texts {
		tab.Wait(fmt.Sprintf("document.body && document.body.innerText.includes(%q)", text))
	}
}

// SeeNot fails where the page shows a text.
func (tab *Tab) SeeNot(text string) {
	tab.t.Helper()
	if Eval[bool](tab, fmt.Sprintf("document.body.innerText.includes(%q)", text)) {
		tab.t.Fatalf("%s shows %q", tab.At(), text)
	}
}

// At is the page's path and query.
func (tab *Tab) At() string {
	tab.t.Helper()
	return Eval[string](tab, "location.pathname + location.search")
}

// Click clicks in the middle of an element, by its CSS selector, once it is there. It fails where something
// else lies above it.
func (tab *Tab) Click(selector string) {
	tab.t.Helper()
	tab.Wait(fmt.Sprintf("document.readyState === 'complete' && document.querySelector(%q)?.getClientRects().length", selector))
	at := Eval[[]float64](tab, fmt.Sprintf(`(() => {
		const e = document.querySelector(%q);
		e.scrollIntoView({ block: "center", behavior: "instant" });
		const r = e.getBoundingClientRect(), x = r.left + r.width / 2, y = r.top + r.height / 2;
		const top = document.elementFromPoint(x, y);
		return [x, y, e.contains(top) || top?.contains(e) || top?.control === e || top?.closest("label")?.control === e ? 1 : 0];
	})()`, selector))
	if at[2] == 0 {
		tab.t.Fatalf("%s cannot be clicked: something lies above it", selector)
	}
	if tab.view.Touch {
		tab.do(chromedp.TapXY(at[0], at[1]))
		return
	}
	tab.do(chromedp.MouseClickXY(at[0], at[1]))
}

// Type puts the focus on a field by a click and types.
func (tab *Tab) Type(selector, text string) {
	tab.t.Helper()
	tab.Click(selector)
	tab.Wait(fmt.Sprintf("document.activeElement === document.querySelector(%q)", selector))
	tab.call(func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, input.InsertText, input.InsertTextParams{Text: text})
		return err
	})
}

// Press presses a key wherever the focus is, with others held down.
func (tab *Tab) Press(key string, held ...Modifier) {
	tab.t.Helper()
	var modifiers Modifier
	for _, m := range held {
		modifiers |= m
	}
	for _, r := range key {
		events := kb.Encode(r)
		text := ""
		for _, event := range events {
			if event.Type == kb.KeyChar && modifiers&(Alt|Ctrl|Meta) == 0 {
				text = event.Text
			}
		}
		for _, event := range events {
			if event.Type == kb.KeyChar { // comes with the key, unless the page takes it
				continue
			}
			event.Modifiers |= int64(modifiers)
			if event.Type != kb.KeyUp {
				event.Type, event.Text = kb.KeyDown, text
			}
			tab.call(func(ctx context.Context) error {
				_, err := chromedp.Call(ctx, input.DispatchKeyEvent, *event)
				return err
			})
		}
	}
}

// Write presses the keys of a text one after the other, wherever the focus is.
func (tab *Tab) Write(text string) {
	tab.t.Helper()
	for _, key := range strings.Split(text, "") {
		tab.Press(key)
	}
}

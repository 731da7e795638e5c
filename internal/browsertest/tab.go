package browsertest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long anything on a page may take, on a busy machine.
const patience = 20 * time.Second

// View is how a person looks at a page. Sizes are in CSS pixels.
type View struct {
	Width, Height int64
	Touch         bool
	Dark          bool
	// Text is the size of text in per cent of the usual one, as a person sets it in the browser; 0 is 100.
	Text int
}

// Views that tests use: a usual window, a phone, and what remains of a window of 1280 pixels at a zoom of
// 400 % (WCAG 2.2, 1.4.10).
var (
	Desktop = View{Width: 1280, Height: 800}
	Phone   = View{Width: 360, Height: 740, Touch: true}
	Zoomed  = View{Width: 320, Height: 256}
)

// Tab is a page in front of a person. Its methods fail the test where the page does not do what is asked.
type Tab struct {
	t    testing.TB
	ctx  context.Context
	view View

	mu      sync.Mutex
	wrong   []string // what the console and the policies said
	allowed []string
}

// open makes a tab of parent's browser.
func open(t testing.TB, parent context.Context, options ...chromedp.ContextOption) *Tab {
	t.Helper()
	tab := &Tab{t: t}
	ctx, cancel := chromedp.NewContext(parent, append(options, chromedp.WithListener(tab.hear))...)
	tab.ctx = ctx
	t.Cleanup(func() {
		tab.mu.Lock()
		defer tab.mu.Unlock()
		for _, line := range tab.wrong {
			if !tab.allows(line) {
				t.Errorf("the browser says: %s", line)
			}
		}
		cancel()
	})
	tab.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, log.Enable, struct{}{})
		return err
	}))
	tab.Look(Desktop)
	return tab
}

// hear takes down what the browser complains about.
func (tab *Tab) hear(event any) {
	var line string
	switch e := event.(type) {
	case *log.EventEntryAdded: // a broken policy and a failed request come here
		if e.Entry.Level == log.EntryLevelError {
			line = fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *runtime.EventExceptionThrown:
		line = "exception: " + e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			line += " " + e.ExceptionDetails.Exception.Description
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
			line = "console: "
			for _, arg := range e.Args {
				line += " " + string(arg.Value) + arg.Description
			}
		}
	}
	if line != "" {
		tab.mu.Lock()
		defer tab.mu.Unlock()
		tab.wrong = append(tab.wrong, line)
	}
}

// Allow says which complaints of the browser the test expects: those that hold the text, such as
// "status of 422".
func (tab *Tab) Allow(text string) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	tab.allowed = append(tab.allowed, text)
}

func (tab *Tab) allows(line string) bool {
	for _, text := range tab.allowed {
		if strings.Contains(line, text) {
			return true
		}
	}
	return false
}

// Another opens another tab of the same person.
func (tab *Tab) Another() *Tab {
	tab.t.Helper()
	return open(tab.t, tab.ctx)
}

// do runs steps within the time that anything may take.
func (tab *Tab) do(steps ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	if chromedp.FromContext(tab.ctx).Target == nil { // whose first run must have no time limit
		if err := chromedp.Do(tab.ctx); err != nil {
			tab.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		tab.t.Fatal(err)
	}
}

// call sends commands of the DevTools protocol.
func (tab *Tab) call(commands ...func(context.Context) error) {
	tab.t.Helper()
	for _, command := range commands {
		tab.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error { return command(ctx) }))
	}
}

// Open goes to an address and waits until the page is loaded.
func (tab *Tab) Open(url string) {
	tab.t.Helper()
	tab.do(chromedp.Navigate(url))
}

// Reload loads the page again.
func (tab *Tab) Reload() {
	tab.t.Helper()
	tab.do(chromedp.Reload())
}

// Look changes how the person looks at the page. Nothing moves by itself, so that pictures and colours are
// those of the end of a transition.
func (tab *Tab) Look(v View) {
	tab.t.Helper()
	tab.view = v
	options := []chromedp.EmulateViewportOption{chromedp.EmulateScale(1)}
	if v.Touch {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulatePortrait)
	}
	scheme := "light"
	if v.Dark {
		scheme = "dark"
	}
	tab.do(chromedp.EmulateViewport(v.Width, v.Height, options...))
	tab.call(func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
		return err
	})
	size := ""
	if v.Text != 0 {
		size = fmt.Sprint(v.Text, "%")
	}
	Eval[any](tab, fmt.Sprintf("document.documentElement.style.fontSize = %q", size))
}

// Scripts turns the pages' scripts on or off, from the next page on.
func (tab *Tab) Scripts(on bool) {
	tab.t.Helper()
	tab.call(func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	})
}

// Offline cuts the tab off from the network, or connects it again.
func (tab *Tab) Offline(cut bool) {
	tab.t.Helper()
	tab.call(func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
			MatchedNetworkConditions: []*network.Conditions{{Offline: cut, DownloadThroughput: -1, UploadThroughput: -1}}})
		return err
	}, func(ctx context.Context) error { // this tells the page
		_, err := chromedp.Call(ctx, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: cut, DownloadThroughput: -1, UploadThroughput: -1})
		return err
	})
}

// Picture keeps a picture of the whole page as NAME.png, if TANDEM_SCREENSHOTS names a folder for it.
func (tab *Tab) Picture(name string) {
	tab.t.Helper()
	folder := os.Getenv("TANDEM_SCREENSHOTS")
	if folder == "" {
		return
	}
	var picture []byte
	tab.call(func(ctx context.Context) error {
		whole := true
		answer, err := chromedp.Call(ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: &whole})
		picture = answer.Data
		return err
	})
	if err := os.MkdirAll(folder, 0o755); err != nil {
		tab.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644); err != nil {
		tab.t.Fatal(err)
	}
}

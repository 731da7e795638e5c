// Package browsertest lets tests work a site as a person does, in a real Chromium: tabs with a size and a
// colour scheme, the mouse and the keyboard, a network that can be cut, scripts that can be turned off.
//
//	var chromium browsertest.Browser
//
//	func TestMain(m *testing.M) {
//		code := m.Run()
//		chromium.Close()
//		os.Exit(code)
//	}
//
//	func TestSignIn(t *testing.T) {
//		tab := chromium.Person(t)
//		tab.Open(url + "/signin")
//		tab.Type("[name=email]", "ada@example.org")
//		…
//		tab.Accessible()
//	}
//
// A tab fails its test for what goes wrong on the way: an error on the console, an exception that nobody caught,
// a breach of the Content-Security-Policy. With TANDEM_SCREENSHOTS=FOLDER the pictures of [Tab.Picture] are
// kept there. A machine without Chromium fails the tests and says what to install.
//
// Accessibility is judged by axe-core 4.14.1 (https://github.com/dequelabs/axe-core, Mozilla Public License 2.0),
// which stands in testdata as its makers publish it, with its licences.
package browsertest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"tandem"
)

// names are what Chromium and its kin are called, the likeliest first.
var names = []string{
	"chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
	"/Applications/Chromium.app/Contents/MacOS/Chromium", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
}

// find returns the Chromium to use: TANDEM_CHROMIUM, or the first that the machine has.
func find() (string, error) {
	if given := os.Getenv("TANDEM_CHROMIUM"); given != "" {
		return exec.LookPath(given)
	}
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, exec.ErrNotFound) && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	return "", tandem.Errorf(tandem.Unavailable, "browsertest",
		"no Chromium on this machine: install it (Debian: apt-get install chromium; Ubuntu: snap install chromium; macOS: brew install --cask chromium) or name it by TANDEM_CHROMIUM")
}

// Browser is a test binary's Chromium, started on first use. The zero value is ready; Close stops it.
type Browser struct {
	start  sync.Once
	err    error
	ctx    context.Context
	cancel context.CancelFunc
}

// Close stops Chromium, if it was started.
func (b *Browser) Close() {
	if b.cancel != nil {
		b.cancel()
	}
}

// launch starts Chromium. It outlives the test that needs it first.
func (b *Browser) launch() {
	path, err := find()
	if err != nil {
		b.err = err
		return
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.NoSandbox, // which root may not use, as whom tests run in many a container; the pages are our own
		chromedp.DisableGPU,
		chromedp.Flag("font-render-hinting", "none"),
		chromedp.Flag("lang", "en-GB"),
		chromedp.Env("LANG=en_GB.UTF-8", "TZ=Europe/Berlin"),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	b.ctx, b.cancel = ctx, func() { cancel(); stop() }
	b.err = chromedp.Do(ctx) // the first run starts it
}

// Person opens a tab for somebody new: without cookies, nothing stored, at [Desktop] size. It closes when
// the test ends. A short run has no time for a browser, and skips the test.
func (b *Browser) Person(t testing.TB) *Tab {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes its time")
	}
	b.start.Do(b.launch)
	if b.err != nil {
		t.Fatal(b.err)
	}
	return open(t, b.ctx, chromedp.WithNewBrowserContext())
}

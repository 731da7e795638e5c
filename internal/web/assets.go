package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"net/http"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
)

// What pages load: htmx (https://htmx.org, Zero-Clause BSD), uPlot 1.6.32 (https://github.com/leeoniya/uPlot, MIT, its
// licence beside it), the site's own scripts and styles.
//
//go:embed assets
var assets embed.FS

// assetFolder is where assets are served. Their hash is part of it, so that browsers may keep them for good.
var assetFolder = sync.OnceValue(func() string {
	hash := sha256.New()
	names, err := fs.Glob(assets, "assets/*")
	for _, name := range names {
		content, readErr := assets.ReadFile(name)
		if err = readErr; err == nil {
			hash.Write(content)
		}
	}
	if err != nil {
		panic(err) // they are part of the binary
	}
	return "/assets/" + hex.EncodeToString(hash.Sum(nil)[:6]) + "/"
})

// serveAssets serves the embedded files.
func serveAssets(router chi.Router) {
	folder, err := fs.Sub(assets, "assets")
	if err != nil {
		panic(err) // they are part of the binary
	}
	files := http.StripPrefix(assetFolder(), http.FileServerFS(folder))
	router.Get(assetFolder()+"{name}", func(w http.ResponseWriter, r *http.Request) {
		if info, err := fs.Stat(folder, chi.URLParam(r, "name")); err != nil || info.IsDir() { // which would be listed
			WriteProblem(w, r, NewProblem(http.StatusNotFound, "There is no such file."))
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		files.ServeHTTP(w, r)
	})
}

// functions are what every template may call.
var functions = template.FuncMap{
	// asset is where a page finds one of the site's files.
	"asset": func(name string) string { return assetFolder() + name },
	// markdown renders what people wrote, with nothing in it that could run.
	"markdown":  Markdown,
	"guideline": Guideline,
	// moment is a time for a <time> element: its words become local ones where there is JavaScript.
	"moment": func(t time.Time) template.HTML {
		t = t.UTC()
		return template.HTML(`<time datetime="` + t.Format(time.RFC3339) + `">` + t.Format("2 Jan 2006 15:04 UTC") + `</time>`)
	},
	// minutes is a duration in words.
	"minutes": func(d time.Duration) string { return d.Round(time.Minute).String() },
	"add":     func(a, b int) int { return a + b },
}

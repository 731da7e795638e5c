package web

import (
	"bytes"
	"html/template"
	"sync"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/util"
)

// Texts longer than these, in bytes, are shown as they are: what Markdown costs can grow with the square of the
// text, and the worst of 32 KiB costs a fraction of a second. (An answer of 4,096 tokens has some 20 KiB.)
const (
	mostMarkdown  = 32 << 10
	mostGuideline = 128 << 10 // who runs the site writes it, and all of its 100,000 letters should be laid out
)

// Markdown renders GitHub's Markdown (https://github.github.com/gfm/) that people or models wrote. Line
// breaks are kept, raw HTML in it is shown as the text that it is, and whatever remains is sanitised: no
// script, style, form, image or address but http, https and mailto. Links open elsewhere and say nothing of
// where they come from. Reference links are not resolved: one long address, used often, would make megabytes
// of a page. A text of more than 32 KiB is shown as it is.
func Markdown(source string) template.HTML { return markdown(source, mostMarkdown) }

// Guideline renders Markdown as Markdown does, up to 128 KiB of it.
func Guideline(source string) template.HTML { return markdown(source, mostGuideline) }

func markdown(source string, most int) template.HTML {
	var out bytes.Buffer
	if len(source) > most || layout().Convert([]byte(source), &out) != nil {
		return template.HTML(`<p class="plain">` + template.HTMLEscapeString(source) + "</p>")
	}
	return template.HTML(sanitised().SanitizeBytes(out.Bytes()))
}

// layout is GitHub's Markdown without reference links.
var layout = sync.OnceValue(func() goldmark.Markdown {
	return goldmark.New(
		goldmark.WithParser(parser.NewParser(parser.WithBlockParsers(parser.DefaultBlockParsers()...), parser.WithInlineParsers(parser.DefaultInlineParsers()...))),
		goldmark.WithExtensions(extension.GFM),
		goldmark.WithRendererOptions(html.WithHardWraps(), renderer.WithNodeRenderers(util.Prioritized(rawHTML{}, 100))))
})

// sanitised is what may remain.
var sanitised = sync.OnceValue(func() *bluemonday.Policy {
	policy := bluemonday.NewPolicy()
	policy.AllowElements("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "strong", "em", "del", "code", "pre", "blockquote",
		"ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td")
	policy.AllowAttrs("href").OnElements("a")
	policy.AllowAttrs("start").Matching(bluemonday.Integer).OnElements("ol")
	policy.AllowURLSchemes("http", "https", "mailto")
	policy.RequireParseableURLs(true)
	policy.AddTargetBlankToFullyQualifiedLinks(true)
	policy.RequireNoReferrerOnLinks(true)
	policy.RequireNoFollowOnLinks(true)
	return policy
})

// rawHTML shows HTML in Markdown as text: what a model said must be seen, not done and not dropped.
type rawHTML struct{}

func (r rawHTML) RegisterFuncs(register renderer.NodeRendererFuncRegisterer) {
	register.Register(ast.KindHTMLBlock, r.block)
	register.Register(ast.KindRawHTML, r.inline)
}

func (rawHTML) block(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	block := n.(*ast.HTMLBlock)
	if entering {
		_, _ = w.WriteString("<p>") // a BufWriter keeps its first error
		for i := range block.Lines().Len() {
			line := block.Lines().At(i)
			_, _ = w.Write(util.EscapeHTML(line.Value(source)))
			_, _ = w.WriteString("<br>")
		}
		return ast.WalkContinue, nil
	}
	if block.HasClosure() {
		_, _ = w.Write(util.EscapeHTML(block.ClosureLine.Value(source)))
	}
	_, err := w.WriteString("</p>")
	return ast.WalkContinue, err
}

func (rawHTML) inline(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	var err error
	segments := n.(*ast.RawHTML).Segments
	for i := range segments.Len() {
		segment := segments.At(i)
		_, err = w.Write(util.EscapeHTML(segment.Value(source)))
	}
	return ast.WalkSkipChildren, err
}

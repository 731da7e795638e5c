package web

import (
	"html"
	"strings"
	"testing"
	"time"
)

func TestMarkdownShowsWhatWasSaidAndRunsNothing(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"a **b**\nc", "<p>a <strong>b</strong><br>\nc</p>"},
		{"<div>x</div>", "&lt;div&gt;x&lt;/div&gt;"},
		{"a <script>alert(1)</script> b", "a &lt;script&gt;alert(1)&lt;/script&gt; b"},
		{"| a |\n|---|\n| 1 |", "<table>"},
		{"[x](https://example.org)", `rel="nofollow noreferrer noopener"`},
		{"1 < 2 & 3", "1 &lt; 2 &amp; 3"},
	} {
		if got := string(Markdown(c.source)); !strings.Contains(got, c.want) {
			t.Errorf("%q becomes %q, want %q in it", c.source, got, c.want)
		}
	}
	for _, source := range []string{"[x](javascript:alert(1))", "![x](https://evil.example/p.png)", "<img src=x onerror=alert(1)>", "[x](data:text/html,<script>)", "<javascript:alert(1)>"} {
		got := strings.ToLower(string(Markdown(source)))
		for _, bad := range []string{"<img", "<script", `href="javascript`, `href="data`} {
			if strings.Contains(got, bad) {
				t.Errorf("%q becomes %q", source, got)
			}
		}
	}
}

// TestMarkdownTakesBoundedTime renders what costs the most of its size, and a megabyte of each: quadratic
// parsing, nesting without end, one address used often.
func TestMarkdownTakesBoundedTime(t *testing.T) {
	if testing.Short() {
		t.Skip("it measures time, of which the race detector takes ten times as much; it runs without -short")
	}
	fill := func(part string) func(n int) string {
		return func(n int) string { return strings.Repeat(part, n/len(part)) }
	}
	for name, text := range map[string]func(n int) string{
		"quotes in quotes":  fill(">"),
		"lists in lists":    fill("1. "),
		"lists in quotes":   fill("> - "),
		"open links":        fill("[a]("),
		"open brackets":     fill("["),
		"emphasis crossing": fill("*a_ "),
		"strong":            fill("**a "),
		"comments":          fill("<!--"),
		"declarations":      fill("a<![CDATA["),
		"addresses":         fill("a@b.c"),
		"ticks": func(n int) string {
			var b strings.Builder
			for i := 1; b.Len() < n-i; i++ {
				b.WriteString("e" + strings.Repeat("`", i))
			}
			return b.String()
		},
		"one address, used often": func(n int) string {
			return "[a]: http://x.example/" + strings.Repeat("u", n/2) + "\n\n" + strings.Repeat("[a] ", n/8)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{mostMarkdown, 1 << 20} {
				source := text(size)
				began := time.Now()
				got := Markdown(source)
				// A machine that is busy with other tests is slower; without the limits these take minutes.
				if took := time.Since(began); took > 5*time.Second || len(got) > 64*len(source) {
					t.Errorf("%d bytes take %v and become %d", len(source), took, len(got))
				}
			}
		})
	}
	long := "<b>\n\n**" + strings.Repeat("x", mostMarkdown)
	if got := string(Markdown(long)); got != `<p class="plain">`+html.EscapeString(long)+"</p>" {
		t.Errorf("a text that is too long becomes %.60q…", got)
	}
	if got := string(Guideline("# Do\n\n" + strings.Repeat("this and that\n\n", 6000))); !strings.HasPrefix(got, "<h1>Do</h1>") {
		t.Errorf("a long guideline becomes %.60q…", got)
	}
}

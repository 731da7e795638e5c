package web

import (
	"strings"
	"testing"
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

package site

import (
	"net/http"
	"strings"
	"testing"
)

// TestWhatIsNoText: broken UTF-8 and NUL are refused with words that name the place, before they reach anything.
func TestWhatIsNoText(t *testing.T) {
	handler := newSite(t, nil)
	for name, test := range map[string]struct {
		method, target, body string
		status               int
		says                 string
	}{
		"text":                      {"POST", "/desk", "a=gr%C3%BCn+%F0%9F%98%80", 200, ""},
		"NUL":                       {"POST", "/desk", "a=b&comment=x%00y", 422, `"comment"`},
		"broken UTF-8":              {"POST", "/desk", "comment=%ff%fe", 422, `"comment"`},
		"overlong UTF-8":            {"POST", "/desk", "comment=%c0%af", 422, `"comment"`},
		"a surrogate":               {"POST", "/desk", "comment=%ed%a0%80", 422, `"comment"`},
		"raw bytes":                 {"POST", "/desk", "comment=\xff", 422, `"comment"`},
		"a field's name":            {"POST", "/desk", "%00=1", 422, "The form holds"},
		"a percent sign by itself":  {"POST", "/desk", "a=%", 422, "cannot be read"},
		"a query":                   {"GET", "/desk?after=%00", "", 422, `"after"`},
		"a query, broken":           {"GET", "/desk?after=%ff", "", 422, `"after"`},
		"a path":                    {"GET", "/desk/%00", "", 422, "The address holds"},
		"a path, broken":            {"GET", "/desk/%ff", "", 422, "The address holds"},
		"a form as large as it may": {"POST", "/desk", "a=" + strings.Repeat("b", mostForm-2), 200, ""},
		"a form larger":             {"POST", "/desk", "a=" + strings.Repeat("b", mostForm), 413, "larger than"},
		"many fields":               {"POST", "/desk", strings.Repeat("a=&", 5_000), 200, ""},
		"too many fields":           {"POST", "/desk", strings.Repeat("a=&", 50_000), 422, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			headers := []string{"Cookie", ada, "Sec-Fetch-Site", "same-origin"}
			if test.method == http.MethodPost {
				headers = append(headers, "Content-Type", form+"; charset=utf-8")
			}
			w := send(handler, request(test.method, test.target, test.body, headers...))
			if w.Code != test.status {
				t.Fatalf("%d, want %d: %s", w.Code, test.status, w.Body)
			}
			if test.status != http.StatusOK {
				if p := problemOf(t, w); !strings.Contains(p.Detail, test.says) {
					t.Errorf("it says %q, not %q", p.Detail, test.says)
				}
			}
		})
	}
}

// TestHeaderInjection: nothing of a request becomes a header of the answer that was not meant.
func TestHeaderInjection(t *testing.T) {
	handler := newSite(t, nil)
	for _, target := range []string{
		"/signin?next=%0d%0aSet-Cookie:%20a=b", "/signin?next=/a%0d%0aSet-Cookie:%20a=b", "/desk%0d%0aSet-Cookie:%20a=b",
		"/desk?x=%0d%0aSet-Cookie:%20a=b", "/a%0aSet-Cookie:%20a=b",
	} {
		w := send(handler, request("GET", target, "", "X-Request-Id", "x\r\nSet-Cookie: a=b"))
		for name, values := range w.Header() {
			if name == "Set-Cookie" || strings.ContainsAny(strings.Join(values, ""), "\r\n") {
				t.Errorf("%s sets %s: %q", target, name, values)
			}
		}
	}
	// Who is signed in and opens the sign-in page goes on, and never elsewhere.
	for next, want := range map[string]string{"/desk": "/desk", "//evil.example": "/", "/\\evil.example": "/", "https://evil.example": "/", "/..//evil.example": "/evil.example"} {
		w := send(handler, request("GET", "/signin?next="+strings.NewReplacer("\\", "%5C", "/", "%2F", ":", "%3A").Replace(next), "", "Cookie", ada))
		if got := w.Header().Get("Location"); w.Code != http.StatusSeeOther || got != want {
			t.Errorf("next=%s leads to %q: %d", next, got, w.Code)
		}
	}
}

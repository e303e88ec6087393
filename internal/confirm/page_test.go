package confirm

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// ready is the page with the button.
var ready = Page{State: "page", Status: 200, Name: "a.txt", Bytes: 1_234_567, Uses: 1, Press: "value-of-press"}

// refusals are two pages without.
var refusals = []Page{{State: "expired", Status: 401, Reference: "0123456789abcdef"}, {State: "in_use", Status: 503}}

// load reads a template.
func load(t *testing.T, text string) (*Pages, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(file, Site{})
}

// asking is a request in a language.
func asking(language string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept-Language", language)
	return r
}

// written is what a client gets for a page.
func written(t *testing.T, p *Pages, page Page, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	for name, values := range header {
		w.Header()[name] = values
	}
	if err := p.Write(w, asking(""), page); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestLoadRefuses: a template with which no download could be started, or of which a
// page cannot be made, is an error that says what to write.
func TestLoadRefuses(t *testing.T) {
	const form = `<form method="post"><button>Go</button></form>`
	for name, tt := range map[string]struct{ text, says string }{
		"no form":                  {"<p>{{.Title}}", `there is no <form method="post"> when .State is page`},
		"a form for GET":           {`<form action="/"><button>Go</button></form>`, `there is no <form method="post">`},
		"a form for refusals only": {`{{if ne .State "page"}}` + form + `{{end}}`, `there is no <form method="post">`},
		"another field":            {form + "{{.Token}}", "the fields are .State, .Status, .Lang, .Dir, .Title, .Detail, .Text, .Site, .Contact, .ContactURL, .Reference, .Ends, .Retry, .Name, .Size, .Bytes, .Uses and .Press"},
		"another field, refusals":  {form + `{{if eq .State "in_use"}}{{.Token}}{{end}}`, "the fields are .State"},
		"not closed":               {form + "{{if .Title}}", "see html/template of Go"},
		"half an action":           {form + "{{", "see html/template of Go"},
		"an unknown function":      {form + "{{upper .Title}}", "see html/template of Go"},
		"what cannot be escaped":   {form + `{{if .Retry}}<div a="{{end}}>`, "the fields are"},
	} {
		if _, err := load(t, tt.text); err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "page.html") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, says := range map[string]string{
		"page.html": "is not an absolute path; write it like this", "{env.DOWNLOAD_TOKEN_NO_SUCH_NAME}": "write an absolute path, or {env.NAME}",
		filepath.Join(t.TempDir(), "none.html"): "without a file name, the built-in one is used", t.TempDir(): "is not a regular file",
	} {
		if _, err := Load(name, Site{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLoad reads what stands at the place that a global placeholder names, once.
func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.html")
	t.Setenv("DOWNLOAD_TOKEN_PAGE", file)
	if err := os.WriteFile(file, []byte(`<FORM id=f Method = 'POST'><p>{{.State}}|{{.Name}}|{{.Size}}|{{.Bytes}}|{{.Title}}|{{.Detail}}|{{.Status}}|{{.Retry}}</form>`), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Load("{env.DOWNLOAD_TOKEN_PAGE}", Site{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("broken {{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, page := range []Page{ready, refusals[1]} {
		english().complete(&page)
		want := fmt.Sprintf("<p>%s|%s|%s|%d|%s|%s|%d|%v</form>", page.State, page.Name, page.Size, page.Bytes, page.Title, page.Detail, page.Status, page.Retry)
		if w := written(t, p, page, nil); !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s, want %s", w.Body, want)
		}
	}
	if p.Presses {
		t.Error("the form says which page it is from, without a field for it")
	}
}

// TestWrite: what a page is sent with, and that nothing is left of what a site says of
// its files.
func TestWrite(t *testing.T) {
	p, err := Load("", Site{})
	if err != nil {
		t.Fatal(err)
	}
	if !p.Presses {
		t.Error("the built-in page does not say which page it is")
	}
	site := http.Header{
		"Content-Disposition": {"attachment"}, "Etag": {`"e"`}, "Accept-Ranges": {"bytes"}, "Cache-Control": {"public"}, "Cdn-Cache-Control": {"max-age=9"},
		"Content-Encoding": {"gzip"}, "Last-Modified": {"x"}, "Content-Language": {"x"}, "Content-Range": {"x"}, "Location": {"/x"}, "Content-Length": {"9"}, "Vary": {"Cookie"}, "X-Site": {"site"},
	}
	for _, page := range append(slices.Clone(refusals), ready) {
		w := written(t, p, page, site.Clone())
		body := w.Body.String()
		if w.Code != page.Status {
			t.Errorf("%s: status %d", page.State, w.Code)
		}
		want := map[string]string{
			"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Robots-Tag": "noindex",
			"Content-Length": fmt.Sprint(len(body)), "Vary": "Cookie, Accept-Language", "Content-Language": "en", "X-Site": "site", "Content-Security-Policy": w.Header().Get("Content-Security-Policy"),
		}
		for name, values := range w.Header() {
			if got := strings.Join(values, ", "); got != want[name] {
				t.Errorf("%s: %s %q, want %q", page.State, name, got, want[name])
			}
		}
		for name := range want {
			if w.Header().Get(name) == "" {
				t.Errorf("%s: no %s", page.State, name)
			}
		}
		english().complete(&page)
		if !strings.Contains(body, `<html lang="en" dir="ltr">`) || !strings.Contains(body, "<h1>"+page.Title+"</h1>") || !strings.Contains(body, page.Detail) {
			t.Errorf("%s: %s", page.State, body)
		}
		for what, there := range map[string]bool{
			`<button>Download</button>`: page.State == "page", `<input type="hidden" name="press" value="value-of-press">`: page.State == "page",
			"1.2 MB (1234567 bytes)": page.State == "page", `<a href="">Try again</a>`: page.Retry,
			`If you ask for help, quote this reference: <code dir="ltr">0123456789abcdef</code>`: page.Reference != "", "Contact:": false, "<header>": false,
		} {
			if strings.Contains(body, what) != there {
				t.Errorf("%s: %s is there: %v", page.State, what, !there)
			}
		}
	}
}

// TestContentSecurityPolicy: the styles and scripts of a template run, and nothing else
// does.
func TestContentSecurityPolicy(t *testing.T) {
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	const rest = "; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":      {"", "style-src 'none'; script-src 'none'"},
		"each":         {"<style>p { color: green }</style><script>let a</script>", "style-src " + hash("p { color: green }") + "; script-src " + hash("let a")},
		"in capitals":  {"<STYLE media=all>a{}</STYLE>", "style-src " + hash("a{}") + "; script-src 'none'"},
		"several":      {"<style>a{}</style><style>b{}</style>", "style-src " + hash("a{}") + " " + hash("b{}") + "; script-src 'none'"},
		"twice":        {"<style>a{}</style><style>a{}</style>", "style-src " + hash("a{}") + "; script-src 'none'"},
		"by the state": {`<style>{{if eq .State "page"}}a{}{{else}}b{}{{end}}</style>`, "style-src " + hash("b{}") + " " + hash("a{}") + "; script-src 'none'"},
		"over lines":   {"<script>\nlet a\n</script>", "style-src 'none'; script-src " + hash("\nlet a\n")},
	} {
		p, err := load(t, `<form method=post></form>`+tt.text)
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range []Page{ready, refusals[0]} {
			if got, want := written(t, p, page, nil).Header().Get("Content-Security-Policy"), "default-src 'none'; "+tt.want+rest; got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
	}
}

// TestNamesAreEscaped: a name is shown as it is, and does nothing.
func TestNamesAreEscaped(t *testing.T) {
	p, err := Load("", Site{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"annual report.pdf", "Jahresübersicht 漢字 🎉.pdf", "تقرير سنوي.pdf", `<img src=x onerror=alert(1)>"'&.txt`, `{{.Title}}.txt`, strings.Repeat("long-", 40) + "name.gz"} {
		page := ready
		page.Name, page.Bytes, page.Press = name, -1, ""
		body := written(t, p, page, nil).Body.String()
		shown := regexp.MustCompile(`<bdi>(.*?)</bdi>`).FindStringSubmatch(body)
		if shown == nil || html.UnescapeString(shown[1]) != name {
			t.Errorf("%s: shown as %q", name, shown)
		}
		if strings.Contains(body, "<img") || strings.Contains(body, `"'&.txt`) || strings.Contains(body, "byte") || strings.Contains(body, `name="press"`) {
			t.Errorf("%s: %s", name, body)
		}
	}
}

// TestWriteOfAPageThatCannotBeMade: a template that was good for the samples may still
// fail. Nothing has gone out then.
func TestWriteOfAPageThatCannotBeMade(t *testing.T) {
	p, err := load(t, `<form method=post></form>{{if gt .Bytes 1000}}{{index .Name 1000}}{{end}}`)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	err = p.Write(w, asking(""), ready)
	var failure caddyhttp.HandlerError
	if !errors.As(err, &failure) || failure.StatusCode != http.StatusInternalServerError || w.Body.Len() > 0 || len(w.Header()) > 0 {
		t.Errorf("%v, %q, %v", err, w.Body, w.Header())
	}
}

// TestSite: a page says whose it is, and how to reach them.
func TestSite(t *testing.T) {
	for contact, want := range map[string]string{
		"":                          "",
		"Room 4, ext. 17":           "Contact: <bdi>Room 4, ext. 17</bdi>",
		"help@example.com":          `Contact: <a href="mailto:help@example.com"><bdi>help@example.com</bdi></a>`,
		"mailto:":                   `Contact: <bdi>mailto:</bdi>`,
		"mailto:a@b.example?cc=c@d": `Contact: <a href="mailto:a@b.example?cc=c@d"><bdi>a@b.example</bdi></a>`,
		"https://example.com/help":  `Contact: <a href="https://example.com/help"><bdi>https://example.com/help</bdi></a>`,
		"Ada <ada@example.com>":     "Contact: <bdi>Ada &lt;ada@example.com&gt;</bdi>",
		"javascript:alert(1)":       "Contact: <bdi>javascript:alert(1)</bdi>",
		"https:":                    "Contact: <bdi>https:</bdi>",
		"%zz":                       "Contact: <bdi>%zz</bdi>",
	} {
		p, err := Load("", Site{Name: "Files & <Co>", Contact: contact})
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range append(slices.Clone(refusals), ready) {
			body := written(t, p, page, nil).Body.String()
			if !strings.Contains(body, "<header>Files &amp; &lt;Co&gt;</header>") || !strings.Contains(body, " – Files &amp; &lt;Co&gt;</title>") {
				t.Errorf("no name of the site in %s", body)
			}
			want := want
			if page.Reference != "" && contact == "help@example.com" {
				want = strings.Replace(want, `.com"`, `.com?subject=0123456789abcdef"`, 1)
			}
			if !strings.Contains(body, want) || strings.Contains(body, "Contact:") != (contact != "") {
				t.Errorf("%q is shown as %s", contact, body)
			}
		}
	}
}

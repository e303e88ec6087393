package confirm

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // of the default template
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-download-token/caddy-download-token/internal/response"
)

//go:embed pages/page.html
var defaultPage string

// Page is what a template is given, as in {{.Title}}. The template
// is one of html/template. It may have styles in <style>, scripts in <script>, and
// pictures in data: URLs; attributes with styles or scripts, and everything from
// elsewhere, are blocked. Styles and scripts may depend on the state only. For
// the state `page` it needs a <form method="post"> without an action, so that the
// token does not stand in it, and in the form
// <input type="hidden" name="press" value="{{.Press}}">.
type Page struct {
	// `page` for the page with the button. `no_file` and `site_error`: the link was
	// accepted, and the site answered with an error. Otherwise the link does not work,
	// and it is what programs are told, such as `used` or `expired`.
	State string

	// The heading.
	Title string

	// One or two sentences: what happened, and what to do.
	Detail string

	// The status code of the answer.
	Status int

	// The link may work if it is opened again. Only of refusals.
	Retry bool

	// The name of the file. Only of the state `page`.
	Name string

	// The size of the file, such as `1.2 MB`; empty if it is not known. Only of
	// the state `page`.
	Size string

	// The size in bytes.
	Bytes int64

	// The value that lets the button be pressed twice, for a hidden field of the
	// form with the name `press`; without the field, a double click can lose a
	// one-time link. Only of the state `page`, and of one-time tokens.
	Press string
}

// Refusal is the page that says why there is no file: word is what programs are
// told, sentence what people are.
func Refusal(word, sentence string, status int) Page {
	title, ok := titles[word]
	if !ok {
		title = "This link does not work"
	}
	return Page{State: word, Status: status, Title: title, Detail: sentence, Retry: retried[word]}
}

// titles are the headings of refusals, by what the client is told.
var titles = map[string]string{
	"missing":       "This link is not complete",
	"malformed":     "This link is damaged",
	"not_yet_valid": "One moment",
	"expired":       "Too late",
	"forbidden":     "Not this file",
	"used":          "Already used",
	"unproven":      "This link cannot be checked",
	"no_file":       "There is no such file",
	"site_error":    "This did not work",
	"used_up":       "Already used",
	"in_use":        "One moment",
	"reloaded":      "One moment",
	"method":        "This cannot be done here",
	"unconfirmed":   "Not started yet",
	"prefetch":      "Not started yet",
	"early_data":    "One moment",
	"unavailable":   "One moment",
}

// retried are the refusals after which the same link may work.
var retried = map[string]bool{
	"not_yet_valid": true, "reloaded": true,
	"in_use": true, "unconfirmed": true, "prefetch": true, "early_data": true, "unavailable": true,
}

// Pages writes pages for people.
type Pages struct {
	template *template.Template
	policy   string // Content-Security-Policy

	// The form says which page it is from, so that the button may be pressed twice.
	Presses bool
}

var (
	styleElement  = regexp.MustCompile(`(?is)<style[^>]*>(.*?)</style>`)
	scriptElement = regexp.MustCompile(`(?is)<script[^>]*>(.*?)</script>`)
	postForm      = regexp.MustCompile(`(?i)<form[^>]*\smethod\s*=\s*["']?post\b`)
)

// Load reads a template and tries it with a page of every kind: that with the
// button, and each of refusals. name is an absolute path, in which global
// placeholders are replaced; empty: the built-in template. An error says what to
// write instead.
func Load(name string, refusals []Page) (*Pages, error) {
	if name == "" {
		return newPages(defaultPage, refusals)
	}
	file, err := caddy.NewReplacer().ReplaceOrErr(name, true, true)
	if err != nil {
		return nil, fmt.Errorf("confirm: template: %w; write an absolute path, or {env.NAME} with one in it", err)
	}
	if !filepath.IsAbs(file) {
		return nil, fmt.Errorf("confirm: the template '%s' is not an absolute path; write it like this: confirm /etc/caddy/download.html", name)
	}
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("confirm: the template '%s' is not a regular file; write the path of an HTML file", name)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("confirm: the template cannot be read: %w; without a file name, the built-in one is used", err)
	}
	p, err := newPages(string(text), refusals)
	if err != nil {
		return nil, fmt.Errorf("confirm: the template '%s': %w", name, err)
	}
	return p, nil
}

// newPages parses a template and tries it. Its styles and scripts are allowed by
// their hash, so they may depend on the state, and on nothing else.
func newPages(text string, refusals []Page) (*Pages, error) {
	parsed, err := template.New("page").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w; see html/template of Go for what can stand there", err)
	}
	p := &Pages{template: parsed}
	samples := append([]Page{{
		State: "page", Status: http.StatusOK, Title: "T", Detail: "D", Name: "N", Size: "1.0 KB", Bytes: 1000, Press: samplePress,
	}}, refusals...)
	var styles, scripts sources
	for _, sample := range samples {
		rendered, err := p.render(sample)
		if err != nil {
			return nil, fmt.Errorf("%w; the fields are .State, .Title, .Detail, .Status, .Retry, .Name, .Size, .Bytes and .Press", err)
		}
		if sample.State == "page" && !postForm.Match(rendered) {
			return nil, errors.New(`the download cannot be started, because there is no <form method="post"> when .State is page`)
		}
		p.Presses = p.Presses || bytes.Contains(rendered, []byte(samplePress))
		styles.add(styleElement, rendered)
		scripts.add(scriptElement, rendered)
	}
	p.policy = "default-src 'none'; style-src " + styles.String() + "; script-src " + scripts.String() +
		"; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	return p, nil
}

// samplePress stands for the value of a page when a template is tried.
const samplePress = "sample-of-press"

// sources are what a directive of Content-Security-Policy allows.
type sources []string

// add allows what stands in the elements.
func (s *sources) add(element *regexp.Regexp, page []byte) {
	for _, found := range element.FindAllSubmatch(page, -1) {
		sum := sha256.Sum256(found[1])
		if source := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !slices.Contains(*s, source) {
			*s = append(*s, source)
		}
	}
}

func (s sources) String() string {
	if len(s) == 0 {
		return "'none'"
	}
	return strings.Join(s, " ")
}

func (p *Pages) render(page Page) ([]byte, error) {
	var b bytes.Buffer
	err := p.template.Execute(&b, page)
	return b.Bytes(), err
}

// Write answers with a page.
func (p *Pages) Write(w http.ResponseWriter, page Page) error {
	body, err := p.render(page)
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, fmt.Errorf("download_token: confirm: %w", err))
	}
	header := w.Header()
	response.DropBodyFields(header) // of the file, such as the Content-Disposition that a site sets for all
	response.ForbidCaching(header)
	header.Set("Content-Security-Policy", p.policy)
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Robots-Tag", "noindex")
	w.WriteHeader(page.Status)
	_, _ = w.Write(body) // an error means that the client is gone
	return nil
}

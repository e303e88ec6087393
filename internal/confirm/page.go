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
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

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
//
// The caller of [Pages.Write] sets State and Status, and what the descriptions below
// say; the rest follows from these, the language and the site.
type Page struct {
	// `page` for the page with the button. `no_file` and `site_error`: the link was
	// accepted, and the site answered with an error. Otherwise the link does not work,
	// and it is what programs are told, such as `used` or `expired`.
	State string

	// The status code of the answer.
	Status int

	// The language of the texts (RFC 5646), such as `de`: the one that Accept-Language
	// prefers, or `en`. A template in which it does not stand gets English texts.
	Lang string

	// The direction of that language, `ltr` or `rtl`.
	Dir string

	// The heading.
	Title string

	// One or two sentences: what happened, and what to do.
	Detail string

	// Words of the language: `download`, `try_again`, `bytes`, and what stands before
	// the contact and the reference, `contact` and `reference`.
	Text map[string]string

	// The name of the site and the contact, as configured; empty if they are not.
	Site, Contact string

	// The contact as the address of a link; empty if it is none. A mail has the
	// reference as its subject.
	ContactURL string

	// 16 hexadecimal digits that name the token in the log; empty if there is no
	// token. Set by the caller. Only of refusals.
	Reference string

	// When the link has ended. Set by the caller, of tokens whose signature is good.
	// Only of the state `expired`.
	Ends time.Time

	// The link may work if it is opened again. Only of refusals.
	Retry bool

	// The name of the file. Set by the caller. Only of the state `page`.
	Name string

	// The size of the file, such as `1.2 MB`; empty if it is not known. Only of
	// the state `page`.
	Size string

	// The size in bytes, -1 if it is not known. Set by the caller. Only of the state
	// `page`.
	Bytes int64

	// How often the link can be used in all; 0: as often as one likes. Set by the
	// caller. Only of the state `page`.
	Uses int

	// The value that lets the button be pressed twice, for a hidden field of the
	// form with the name `press`; without the field, a double click can lose a
	// one-time link. Set by the caller. Only of the state `page`, and of one-time
	// tokens.
	Press string
}

// retried are the refusals after which the same link may work.
var retried = map[string]bool{
	"not_yet_valid": true, "reloaded": true,
	"in_use": true, "unconfirmed": true, "prefetch": true, "early_data": true, "unavailable": true,
}

// Site is what pages say of the site that they belong to. Both may be empty.
type Site struct {
	// The name.
	Name string

	// Where people get help: a text, an address for mail, or a URL with the scheme
	// mailto, https or http.
	Contact string
}

// contact is what is shown of the contact, and the address of the link to it.
func (s Site) contact() (shown, address string) {
	if mailbox, err := mail.ParseAddress(s.Contact); err == nil && mailbox.Address == s.Contact {
		return s.Contact, "mailto:" + s.Contact
	}
	u, err := url.Parse(s.Contact)
	switch {
	case err == nil && u.Scheme == "mailto" && u.Opaque != "":
		return u.Opaque, s.Contact
	case err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "":
		return s.Contact, s.Contact
	}
	return s.Contact, ""
}

// Pages writes pages for people.
type Pages struct {
	template   *template.Template
	policy     string // Content-Security-Policy
	translated bool   // the template says which language it is in
	site       Site

	// The form says which page it is from, so that the button may be pressed twice.
	Presses bool
}

var (
	styleElement  = regexp.MustCompile(`(?is)<style[^>]*>(.*?)</style>`)
	scriptElement = regexp.MustCompile(`(?is)<script[^>]*>(.*?)</script>`)
	postForm      = regexp.MustCompile(`(?i)<form[^>]*\smethod\s*=\s*["']?post\b`)
)

// Load reads a template and tries it with a page of every state. name is an absolute
// path, in which global placeholders are replaced; empty: the built-in template. An
// error says what to write instead.
func Load(name string, site Site) (*Pages, error) {
	if name == "" {
		return newPages(defaultPage, site)
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
	p, err := newPages(string(text), site)
	if err != nil {
		return nil, fmt.Errorf("confirm: the template '%s': %w", name, err)
	}
	return p, nil
}

// newPages parses a template and tries it. Its styles and scripts are allowed by
// their hash, so they may depend on the state, and on nothing else.
func newPages(text string, site Site) (*Pages, error) {
	parsed, err := template.New("page").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w; see html/template of Go for what can stand there", err)
	}
	p := &Pages{template: parsed, translated: strings.Contains(text, ".Lang"), site: site}
	var styles, scripts sources
	for _, state := range states() {
		sample := Page{State: state, Status: http.StatusForbidden, Reference: "0123456789abcdef", Ends: time.Unix(0, 0)}
		if state == "page" {
			sample = Page{State: state, Status: http.StatusOK, Name: "N", Bytes: 1000, Uses: 1, Press: samplePress}
		}
		rendered, err := p.render(sample, english())
		if err != nil {
			return nil, fmt.Errorf("%w; the fields are .State, .Status, .Lang, .Dir, .Title, .Detail, .Text, .Site, .Contact, .ContactURL, "+
				".Reference, .Ends, .Retry, .Name, .Size, .Bytes, .Uses and .Press", err)
		}
		if sample.State == "page" && !postForm.Match(rendered) {
			return nil, errors.New(`the download cannot be started, because there is no <form method="post"> when .State is page`)
		}
		p.Presses = p.Presses || bytes.Contains(rendered, []byte(samplePress))
		styles.add(styleElement, rendered)
		scripts.add(scriptElement, rendered)
	}
	p.policy = policyOf(styles, scripts)
	return p, nil
}

func policyOf(styles, scripts sources) string {
	return "default-src 'none'; style-src " + styles.String() + "; script-src " + scripts.String() +
		"; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
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

func (p *Pages) render(page Page, t texts) ([]byte, error) {
	t.complete(&page)
	page.Site = p.site.Name
	page.Contact, page.ContactURL = p.site.contact()
	if page.Reference != "" && strings.HasPrefix(page.ContactURL, "mailto:") && !strings.Contains(page.ContactURL, "?") {
		page.ContactURL += "?subject=" + page.Reference
	}
	var b bytes.Buffer
	err := p.template.Execute(&b, page)
	return b.Bytes(), err
}

// Write answers r with a page.
func (p *Pages) Write(w http.ResponseWriter, r *http.Request, page Page) error {
	t := english()
	if p.translated {
		t = preferred(r.Header)
	}
	body, err := p.render(page, t)
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, fmt.Errorf("download_token: confirm: %w", err))
	}
	response.DropBodyFields(w.Header()) // of the file, such as the Content-Disposition that a site sets for all
	if p.translated {
		response.Vary(w.Header(), "Accept-Language")
	}
	writePage(w, t, p.policy, page.Status, body)
	return nil
}

// writePage answers with a page in the language of t.
func writePage(w http.ResponseWriter, t texts, policy string, status int, body []byte) {
	header := w.Header()
	response.ForbidCaching(header)
	header.Set("Content-Language", t["lang"])
	header.Set("Content-Security-Policy", policy)
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Robots-Tag", "noindex")
	w.WriteHeader(status)
	_, _ = w.Write(body) // an error means that the client is gone
}
